//! The announcer in virtual time: a wire that records what is sent when.

mod limits;
mod reactions;
mod timing;

use super::*;
use crate::names::InterfaceName;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::OnceLock;
use std::time::Duration;

/// The beginning of virtual time.
#[expect(clippy::disallowed_methods, reason = "an instant can only be had from the clock; tests count from it")]
pub(crate) fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    // Well into the clock's range, so that nothing before it is out of range either.
    *START.get_or_init(|| Instant::now() + Duration::from_secs(1_000_000))
}

const LINK: IfIndex = IfIndex(2);
const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const STRANGER: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xbb]);

fn vip(text: &str) -> Vip {
    Vip::new(text.parse().unwrap()).unwrap()
}

/// `198.51.0.0` and so on.
fn numbered(number: u32) -> Vip {
    Vip::new(IpAddr::V4(Ipv4Addr::from_bits(0xc633_0000 + number))).unwrap()
}

fn link(gateways: &[&str]) -> Link {
    Link {
        index: LINK,
        name: InterfaceName::new("eth0"),
        mac: MAC,
        carrier: true,
        addresses: [IpNet::new("192.0.2.1".parse().unwrap(), 24).unwrap()].into(),
        link_local: Some("fe80::1".parse().unwrap()),
        gateways: gateways.iter().map(|gateway| gateway.parse().unwrap()).collect(),
    }
}

/// What left, when, in milliseconds since the beginning.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sent {
    at: f64,
    mac: MacAddr,
    frame: Frame,
}

/// An announcer on one interface with virtual time.
struct Wire {
    announcer: Announcer,
    now: Instant,
    link: Link,
    sent: Vec<Sent>,
    probed: Vec<Vip>,
    events: Vec<Event>,
    groups: Vec<(bool, std::net::Ipv6Addr)>,
}

impl Wire {
    fn new(config: Config, link: Link) -> Self {
        let mut wire = Self {
            announcer: Announcer::new(config),
            now: start(),
            link,
            sent: Vec::new(),
            probed: Vec::new(),
            events: Vec::new(),
            groups: Vec::new(),
        };
        wire.relink(|_| {});
        wire
    }

    fn owning(vips: impl IntoIterator<Item = Vip>) -> Self {
        let mut wire = Self::new(Config::default(), link(&[]));
        wire.own(vips);
        wire
    }

    fn own(&mut self, vips: impl IntoIterator<Item = Vip>) {
        self.publish(vips, []);
    }

    fn publish(&mut self, owned: impl IntoIterator<Item = Vip>, candidates: impl IntoIterator<Item = Vip>) {
        let on_link = |vip| (vip, BTreeSet::from([LINK]));
        let announcements = Announcements {
            owned: owned.into_iter().map(on_link).collect(),
            candidates: candidates.into_iter().map(on_link).collect(),
        };
        self.announcer.set_announcements(announcements, self.now);
        self.collect();
    }

    fn relink(&mut self, change: impl FnOnce(&mut Link)) {
        change(&mut self.link);
        self.announcer.set_links(&Links::from([(LINK, self.link.clone())]), self.now);
        self.collect();
    }

    fn hear(&mut self, heard: &Heard) -> Verdict {
        let verdict = self.announcer.handle_frame(LINK, heard, self.now);
        self.collect();
        verdict
    }

    fn ask(&mut self, vip: Vip, host: u32) -> Verdict {
        self.hear(&question(vip, host))
    }

    /// Lets time pass, waking the announcer exactly when it wants to.
    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        let mut idle = 0;
        while let Some(deadline) = self.announcer.next_deadline(self.now).filter(|deadline| *deadline <= end) {
            let before = self.sent.len();
            self.now = self.now.max(deadline);
            self.announcer.handle_timeout(self.now);
            self.collect();
            idle = if self.sent.len() == before { idle + 1 } else { 0 };
            assert!(idle < 10_000, "the announcer is woken again and again for nothing");
        }
        self.now = end;
    }

    fn collect(&mut self) {
        while let Some(effect) = self.announcer.poll_effect() {
            match effect {
                Effect::Send { link, mac, frame } => {
                    assert_eq!(link, LINK);
                    let at = (self.now - start()).as_secs_f64() * 1e3;
                    self.sent.push(Sent { at, mac, frame });
                    self.announcer.handle_sent(link, mac, &frame, self.now);
                }
                Effect::Probe { vip, .. } => self.probed.push(vip),
                Effect::Join { group, .. } => self.groups.push((true, group)),
                Effect::Leave { group, .. } => self.groups.push((false, group)),
                Effect::Report(event) => self.events.push(event),
            }
        }
    }

    /// What has been sent since the last call.
    fn take(&mut self) -> Vec<Frame> {
        std::mem::take(&mut self.sent).into_iter().map(|sent| sent.frame).collect()
    }

    /// Times of the announcements to all.
    fn times(&self) -> Vec<f64> {
        self.sent.iter().filter(|sent| sent.frame.announced().is_some()).map(|sent| sent.at).collect()
    }
}

/// A broadcast question of the host with this number.
fn question(target: Vip, host: u32) -> Heard {
    let mac = host_mac(host);
    let asker = match target.address() {
        IpAddr::V4(_) => IpAddr::V4(host_address(host)),
        IpAddr::V6(_) => "2001:db8::50".parse().unwrap(),
    };
    Heard {
        source: mac,
        directed: false,
        claim: Some(Claim { address: asker, mac, unasked: true }),
        question: Some(Question { target: target.address(), asker: Some(asker), mac }),
    }
}

fn host_mac(host: u32) -> MacAddr {
    let [a, b, c, d] = host.to_be_bytes();
    MacAddr([2, 1, a, b, c, d])
}

fn host_address(host: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a00_0000 + host)
}

fn claim(address: Vip, mac: MacAddr) -> Heard {
    Heard {
        source: mac,
        directed: false,
        claim: Some(Claim { address: address.address(), mac, unasked: false }),
        question: None,
    }
}
