//! A client's neighbour table, kept as Linux does with its defaults (`arp_accept=0`, `locktime` 1 s, `drop_gratuitous_arp=0`).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use herald_core::address::Vip;
use herald_core::mac::MacAddr;
use herald_wire::ethernet::Frame;
use herald_wire::{arp, ndp};

/// Within this time of an update only gratuitous messages and questions for the client's own address change an entry.
const LOCK_TIME: Duration = Duration::from_secs(1);
/// So long an entry is used after its last confirmation without asking: reachable for 30 s, then delayed for 5 s.
const TRUST: Duration = Duration::from_secs(35);
/// Between two questions.
const RETRANSMIT: Duration = Duration::from_secs(1);
/// So many unicast questions without an answer end an entry.
const PROBES: u32 = 3;

/// What the client does next to reach a VIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It sends there.
    Send(MacAddr),
    /// It sends there, and asks that station whether it still has it.
    Probe(MacAddr),
    /// It asks everybody.
    Ask,
    /// It waits for an answer.
    Wait,
}

/// The client's addresses and its table.
#[derive(Debug)]
pub(super) struct Neighbours {
    v4: Ipv4Addr,
    v6: Ipv6Addr,
    entries: BTreeMap<Vip, Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// `None`: being asked for.
    mac: Option<MacAddr>,
    updated: Duration,
    confirmed: Duration,
    asked: Duration,
    probes: u32,
}

/// What a frame does to a table.
struct News {
    vip: Vip,
    mac: MacAddr,
    creates: bool,
    overrides: bool,
    confirms: bool,
}

impl Neighbours {
    pub(super) const fn new(v4: Ipv4Addr, v6: Ipv6Addr) -> Self {
        Self { v4, v6, entries: BTreeMap::new() }
    }

    /// Takes a frame; returns what the table says from now on, if that changed.
    pub(super) fn hear(&mut self, frame: &Frame, now: Duration) -> Option<(Vip, MacAddr)> {
        let news = match frame {
            Frame::Arp(message) => self.arp(message)?,
            Frame::Neighbor(packet) => self.neighbor(packet)?,
        };
        if news.creates {
            let new = Entry { mac: None, updated: now, confirmed: now, asked: now, probes: 0 };
            self.entries.entry(news.vip).or_insert(new);
        }
        let entry = self.entries.get_mut(&news.vip)?;
        let locked = now < entry.updated + LOCK_TIME && !news.overrides;
        if entry.mac.is_some_and(|mac| mac != news.mac) && locked {
            return None;
        }
        let changed = entry.mac != Some(news.mac);
        *entry = Entry { mac: Some(news.mac), updated: now, probes: 0, ..*entry };
        if news.confirms || changed {
            entry.confirmed = now;
        }
        changed.then_some((news.vip, news.mac))
    }

    fn arp(&self, message: &arp::Message) -> Option<News> {
        let vip = Vip::new(message.sender_ip.into()).ok()?;
        let gratuitous = message.sender_ip == message.target_ip
            && (message.operation == arp::Operation::Request || message.target_mac == message.sender_mac);
        let asks_me = message.operation == arp::Operation::Request && message.target_ip == self.v4;
        let answers_me = message.operation == arp::Operation::Reply && message.target_ip == self.v4;
        Some(News {
            vip,
            mac: MacAddr(message.sender_mac),
            creates: asks_me,
            overrides: gratuitous || asks_me,
            confirms: answers_me,
        })
    }

    fn neighbor(&self, packet: &ndp::Packet) -> Option<News> {
        match packet.message {
            ndp::Message::Advertisement { target, solicited, overriding, target_link, .. } => Some(News {
                vip: Vip::new(target.into()).ok()?,
                mac: MacAddr(target_link?),
                creates: false,
                overrides: overriding,
                confirms: solicited,
            }),
            ndp::Message::Solicitation { target, source_link } if target == self.v6 => Some(News {
                vip: Vip::new(packet.from.into()).ok()?,
                mac: MacAddr(source_link?),
                creates: true,
                overrides: true,
                confirms: false,
            }),
            ndp::Message::Solicitation { .. } => None,
        }
    }

    /// What to do to send to a VIP now.
    pub(super) fn step(&mut self, vip: Vip, now: Duration) -> Step {
        let new = Entry { mac: None, updated: now, confirmed: now, asked: now, probes: 0 };
        let Some(entry) = self.entries.get_mut(&vip) else {
            self.entries.insert(vip, new);
            return Step::Ask;
        };
        let may_ask = now >= entry.asked + RETRANSMIT;
        match entry.mac {
            None if may_ask => {
                entry.asked = now;
                Step::Ask
            }
            None => Step::Wait,
            Some(mac) if now < entry.confirmed + TRUST || !may_ask => Step::Send(mac),
            Some(mac) if entry.probes < PROBES => {
                entry.asked = now;
                entry.probes += 1;
                Step::Probe(mac)
            }
            Some(_) => {
                *entry = new;
                Step::Ask
            }
        }
    }

    /// Takes note that what was sent was answered.
    pub(super) fn confirm(&mut self, vip: Vip, now: Duration) {
        if let Some(entry) = self.entries.get_mut(&vip) {
            entry.confirmed = now;
            entry.probes = 0;
        }
    }

    pub(super) fn forget(&mut self, vip: Vip) {
        self.entries.remove(&vip);
    }
}

#[cfg(test)]
mod tests {
    use super::super::addresses::{Kind, mac, v4, v6, vip};
    use super::super::frames::{announcement, arp_reply, who_has};
    use super::*;
    use herald_core::announce::Frame as Announcement;
    use std::net::IpAddr;

    const A: MacAddr = mac(Kind::Node, 0);
    const B: MacAddr = mac(Kind::Node, 1);

    fn table() -> Neighbours {
        Neighbours::new(v4(Kind::Client, 0), v6(Kind::Client, 0))
    }

    fn address() -> Ipv4Addr {
        match vip(0).address() {
            IpAddr::V4(address) => address,
            IpAddr::V6(other) => panic!("{other} is not IPv4"),
        }
    }

    fn hear(table: &mut Neighbours, frame: &[u8], millis: u64) -> Option<MacAddr> {
        table.hear(&Frame::decode(frame).unwrap(), Duration::from_millis(millis)).map(|(_, mac)| mac)
    }

    #[test]
    fn an_answer_resolves_and_a_gratuitous_request_overrides_it_at_once() {
        let mut table = table();
        assert_eq!(table.step(vip(0), Duration::ZERO), Step::Ask);
        let answer = arp_reply(A, address(), mac(Kind::Client, 0), v4(Kind::Client, 0));
        assert_eq!(hear(&mut table, &answer, 1), Some(A));
        let other = arp_reply(B, address(), mac(Kind::Client, 0), v4(Kind::Client, 0));
        assert_eq!(hear(&mut table, &other, 2), None, "locked for a second");
        let gratuitous = announcement(&Announcement::GratuitousRequest { vip: address() }, B);
        assert_eq!(hear(&mut table, &gratuitous, 3), Some(B));
    }

    #[test]
    fn only_a_question_for_the_clients_own_address_makes_an_entry_unasked() {
        let mut table = table();
        let gratuitous = announcement(&Announcement::GratuitousRequest { vip: address() }, B);
        assert_eq!(hear(&mut table, &gratuitous, 3), None);
        let directed = who_has(v4(Kind::Client, 0).into(), Some(address().into()), B, Some(mac(Kind::Client, 0)));
        assert_eq!(hear(&mut table, &directed, 4), Some(B));
    }

    #[test]
    fn an_entry_that_nobody_confirms_is_asked_for_again_after_35_seconds_and_given_up_after_38() {
        let mut table = table();
        table.step(vip(0), Duration::ZERO);
        hear(&mut table, &arp_reply(A, address(), mac(Kind::Client, 0), v4(Kind::Client, 0)), 0);
        let mut steps = Vec::new();
        for tick in 0..2500 {
            let now = Duration::from_millis(tick * 20);
            match table.step(vip(0), now) {
                Step::Send(_) | Step::Wait => {}
                step => steps.push((now.as_secs(), step)),
            }
        }
        let probes = [35, 36, 37].map(|second| (second, Step::Probe(A)));
        assert_eq!(steps[..3], probes);
        assert_eq!(steps[3], (38, Step::Ask));
    }
}
