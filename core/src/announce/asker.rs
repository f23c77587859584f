//! Who asked for a VIP lately, kept by every node that might own it next.

use crate::mac::MacAddr;
use std::net::Ipv4Addr;
use std::time::Instant;

/// At most so many askers of one VIP are told of a new owner: more than a segment has active hosts, as a rule.
pub(crate) const PER_VIP: usize = 256;

/// At most so many are remembered on one interface, shared evenly by its VIPs: half a megabyte.
const PER_LINK: usize = 16_384;

/// Even with very many VIPs each keeps a few.
const AT_LEAST: usize = 8;

/// How many askers each of so many VIPs may remember.
pub(crate) fn share(vips: usize) -> usize {
    PER_LINK.checked_div(vips).unwrap_or(PER_VIP).clamp(AT_LEAST, PER_VIP)
}

/// A host that asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asker {
    pub(crate) at: Instant,
    pub(crate) address: Ipv4Addr,
    pub(crate) mac: MacAddr,
}

/// The most recent askers of one VIP, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Askers(Vec<Asker>);

impl Askers {
    /// Notes that a host asked; the oldest beyond the share are forgotten.
    pub(crate) fn note(&mut self, asker: Asker, share: usize) {
        // Mostly the newest asks again, so the search from behind is short.
        if let Some(known) = self.0.iter().rposition(|known| known.address == asker.address) {
            self.0.remove(known);
        }
        let surplus = self.0.len().saturating_add(1).saturating_sub(share);
        self.0.drain(..surplus.min(self.0.len()));
        self.0.push(asker);
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Asker> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::announce::tests::start;
    use std::time::Duration;

    fn asker(host: u8, second: u64) -> Asker {
        let address = Ipv4Addr::new(192, 0, 2, host);
        Asker { at: start() + Duration::from_secs(second), address, mac: MacAddr([2, 0, 0, 0, 0, host]) }
    }

    #[test]
    fn an_asker_is_kept_once_with_its_latest_question() {
        let mut askers = Askers::default();
        for noted in [asker(1, 0), asker(2, 1), asker(1, 2)] {
            askers.note(noted, 8);
        }
        assert_eq!(askers.iter().copied().collect::<Vec<_>>(), [asker(2, 1), asker(1, 2)]);
    }

    #[test]
    fn the_oldest_are_forgotten_beyond_the_share() {
        let mut askers = Askers::default();
        (0..20).for_each(|host| askers.note(asker(host, host.into()), 8));
        assert_eq!(
            askers.iter().map(|kept| kept.address.octets()[3]).collect::<Vec<_>>(),
            (12..20).collect::<Vec<_>>()
        );
        askers.note(asker(30, 30), 3);
        assert_eq!(askers.iter().count(), 3, "a smaller share takes effect");
    }

    #[test]
    fn memory_stays_bounded_with_many_vips() {
        assert_eq!(share(1), 256);
        assert_eq!(share(64), 256);
        assert_eq!(share(1_000), 16);
        assert_eq!(share(10_000), 8);
    }
}
