//! One interface: which VIPs are owned on it or might be, who hears what about them.
//!
//! This file holds the state and takes the inputs; `sending` decides what leaves when.

mod sending;

use super::Config;
use super::asker::{Asker, Askers, share};
use super::bucket::Bucket;
use super::defence::{Defence, Rival};
use super::message::{Claim, Effect, Event, Frame, Question, Verdict};
use super::pace::{Class, Pace};
use crate::address::{Family, Vip};
use crate::link::Link;
use crate::mac::MacAddr;
use sending::Queues;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

/// What this node is to a VIP on one interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Absent,
    Candidate,
    Owner,
}

/// A VIP on one interface.
#[derive(Debug)]
struct Presence {
    owned: bool,
    /// When somebody asked last.
    asked: Option<Instant>,
    askers: Askers,
    answers: Bucket,
    run: Option<Run>,
    /// The MAC address last reported as announced.
    announced: Option<MacAddr>,
    defence: Defence,
}

/// One pass through the schedule.
#[derive(Clone, Copy, Debug)]
struct Run {
    id: u64,
    /// When the first announcement left.
    started: Instant,
    /// How many announcements have followed.
    step: usize,
    /// When the next one is due, while it waits for that.
    due: Option<Instant>,
}

#[derive(Debug)]
pub(crate) struct Segment {
    link: Link,
    config: Config,
    pace: Pace,
    vips: HashMap<Vip, Presence>,
    /// How many VIPs share each solicited-node group.
    groups: HashMap<Ipv6Addr, usize>,
    /// Where the gateways are, as far as they have said so.
    gateway_macs: BTreeMap<IpAddr, MacAddr>,
    queues: Queues,
    lacks_link_local: bool,
}

impl Segment {
    pub(crate) fn new(link: Link, config: Config) -> Self {
        Self {
            link,
            config,
            pace: Pace::new(config.pacing),
            vips: HashMap::new(),
            groups: HashMap::new(),
            gateway_macs: BTreeMap::new(),
            queues: Queues::default(),
            lacks_link_local: false,
        }
    }

    pub(crate) const fn mac(&self) -> MacAddr {
        self.link.mac
    }

    /// Changes what this node is to a VIP.
    pub(crate) fn place(&mut self, vip: Vip, standing: Standing, effects: &mut VecDeque<Effect>) {
        if standing == Standing::Absent {
            if self.vips.contains_key(&vip) {
                self.cancel(vip);
                self.vips.remove(&vip);
                self.release_group(vip, effects);
            }
            return;
        }
        if !self.vips.contains_key(&vip) {
            self.hold_group(vip, effects);
        }
        let presence = self.vips.entry(vip).or_insert_with(|| Presence {
            owned: false,
            asked: None,
            askers: Askers::default(),
            answers: Pace::answers(self.config.pacing),
            run: None,
            announced: None,
            defence: Defence::default(),
        });
        let owned = standing == Standing::Owner;
        if presence.owned == owned {
            return;
        }
        presence.owned = owned;
        presence.announced = None;
        presence.defence = Defence::default();
        if owned {
            self.queues.to_start.push(vip);
        } else {
            self.cancel(vip);
        }
    }

    fn hold_group(&mut self, vip: Vip, effects: &mut VecDeque<Effect>) {
        let IpAddr::V6(address) = vip.address() else { return };
        let group = solicited_node_group(address);
        let members = self.groups.entry(group).or_insert(0);
        *members = members.saturating_add(1);
        if *members == 1 {
            effects.push_back(Effect::Join { link: self.link.index, group });
        }
    }

    fn release_group(&mut self, vip: Vip, effects: &mut VecDeque<Effect>) {
        let IpAddr::V6(address) = vip.address() else { return };
        let group = solicited_node_group(address);
        let Some(members) = self.groups.get_mut(&group) else { return };
        *members = members.saturating_sub(1);
        if *members == 0 {
            self.groups.remove(&group);
            effects.push_back(Effect::Leave { link: self.link.index, group });
        }
    }

    /// Takes note of a change of the interface.
    pub(crate) fn set_link(&mut self, link: &Link) {
        if *link == self.link {
            return;
        }
        let before = std::mem::replace(&mut self.link, link.clone());
        self.gateway_macs.retain(|gateway, _| link.gateways.contains(gateway));
        if before.carrier && !link.carrier {
            let vips: Vec<Vip> = self.vips.keys().copied().collect();
            for vip in vips {
                self.cancel(vip);
            }
            self.vips.values_mut().for_each(|presence| presence.announced = None);
        } else if (link.carrier && !before.carrier) || link.mac != before.mac {
            self.restart();
        } else if link.link_local != before.link_local {
            self.restart_family(Family::V6);
        }
        self.lacks_link_local &= link.link_local.is_none();
    }

    /// Announces everything again.
    pub(crate) fn restart(&mut self) {
        self.restart_family(Family::V4);
        self.restart_family(Family::V6);
    }

    fn restart_family(&mut self, family: Family) {
        let owned = self.vips.iter().filter(|(vip, presence)| presence.owned && vip.family() == family);
        self.queues.to_start.extend(owned.map(|(vip, _)| *vip));
    }

    /// Answers a question for a VIP owned here, and notes who asked for any.
    pub(crate) fn handle_question(
        &mut self,
        question: Question,
        now: Instant,
        effects: &mut VecDeque<Effect>,
    ) -> Verdict {
        // Who asks for its own address announces it; that is a claim and no question.
        if question.mac == self.link.mac || question.asker == Some(question.target) {
            return Verdict::Unconcerned;
        }
        let share = share(self.vips.len());
        let Ok(vip) = Vip::new(question.target) else { return Verdict::Unconcerned };
        let Some(presence) = self.vips.get_mut(&vip) else { return Verdict::Unconcerned };
        let refused = if presence.owned { Verdict::Limited } else { Verdict::Overheard };
        if !presence.answers.take(now) {
            return refused;
        }
        presence.asked = Some(now);
        if let Some(IpAddr::V4(address)) = question.asker {
            presence.askers.note(Asker { at: now, address, mac: question.mac }, share);
        }
        if !presence.owned {
            return Verdict::Overheard;
        }
        let Some(frame) = self.answer(vip, question) else { return Verdict::Unconcerned };
        if !self.pace.take(Class::Answer, now) {
            return Verdict::Limited;
        }
        effects.push_back(Effect::Send { link: self.link.index, mac: self.link.mac, frame });
        Verdict::Answered
    }

    fn answer(&self, vip: Vip, question: Question) -> Option<Frame> {
        match (vip.address(), question.asker) {
            (IpAddr::V4(vip), Some(IpAddr::V4(asker))) => Some(Frame::ArpReply { vip, asker, to: question.mac }),
            (IpAddr::V4(vip), None) => Some(Frame::ArpReply { vip, asker: Ipv4Addr::UNSPECIFIED, to: question.mac }),
            (IpAddr::V6(vip), Some(IpAddr::V6(asker))) => {
                Some(Frame::Advertisement { vip, from: self.link.link_local?, asker, to: question.mac })
            }
            (IpAddr::V6(vip), None) => Some(Frame::ProbeAnswer { vip, from: self.link.link_local? }),
            _ => None,
        }
    }

    /// Watches for others that claim a VIP owned here, and plans the defence.
    pub(crate) fn handle_claim(
        &mut self,
        claim: Claim,
        rival: Rival,
        now: Instant,
        effects: &mut VecDeque<Effect>,
    ) -> Verdict {
        if self.link.gateways.contains(&claim.address) {
            self.gateway_macs.insert(claim.address, claim.mac);
            return Verdict::Unconcerned;
        }
        if self.is_by_proxy(&claim) {
            return Verdict::Unconcerned;
        }
        let Some((vip, presence)) = Vip::new(claim.address)
            .ok()
            .and_then(|vip| Some((vip, self.vips.get_mut(&vip)?)))
            .filter(|(_, presence)| presence.owned)
        else {
            return Verdict::Unconcerned;
        };
        if presence.defence.is_news(now) {
            effects.push_back(Effect::Report(Event::Rival { vip, link: self.link.index, mac: claim.mac }));
        }
        if let Some(due) = presence.defence.handle_rival(rival, now) {
            self.queues.plan_defence(due, vip);
        }
        Verdict::Rival
    }

    /// A router with proxy ARP answers for whatever it can route: that takes nothing away from us. But the next hop of a
    /// route may also be another node of the cluster, which announces what it has taken over.
    pub(crate) fn is_by_proxy(&self, claim: &Claim) -> bool {
        !claim.unasked && self.gateway_macs.values().any(|gateway| *gateway == claim.mac)
    }

    /// Announces a VIP again if it is owned here.
    pub(crate) fn announce_again(&mut self, vip: Vip) {
        self.queues.to_start.extend(self.vips.get(&vip).filter(|presence| presence.owned).map(|_| vip));
    }

    /// Has everybody asked for a VIP as soon as that may leave.
    pub(crate) fn probe(&mut self, vip: Vip) {
        self.queues.probes.push_back(vip);
    }

    /// The question has been settled otherwise.
    pub(crate) fn stop_probing(&mut self, vip: Vip) {
        self.queues.probes.retain(|waiting| *waiting != vip);
    }

    /// Takes note that something leaves, or may, that is none of the announcer's: `false` if it should wait.
    pub(crate) fn may_ask(&mut self, now: Instant) -> bool {
        self.queues.probes.is_empty() && self.pace.take(Class::Probe, now)
    }

    /// Plans the defence of a VIP owned here against a member that may have announced it.
    pub(crate) fn contend(&mut self, vip: Vip, now: Instant) {
        if let Some(presence) = self.vips.get_mut(&vip).filter(|presence| presence.owned)
            && let Some(due) = presence.defence.handle_rival(Rival::Member, now)
        {
            self.queues.plan_defence(due, vip);
        }
    }

    /// Takes note that a VIP was announced; says whether that is news.
    pub(crate) fn note_sent(&mut self, vip: Vip, mac: MacAddr) -> bool {
        match self.vips.get_mut(&vip) {
            Some(presence) if presence.owned && presence.announced != Some(mac) => {
                presence.announced = Some(mac);
                true
            }
            _ => false,
        }
    }
}

/// The multicast group in which an address is asked for (RFC 4291, 2.7.1).
fn solicited_node_group(address: Ipv6Addr) -> Ipv6Addr {
    let [.., high, low] = address.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | (high & 0xff), low)
}
