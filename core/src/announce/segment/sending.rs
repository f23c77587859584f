//! What leaves an interface when: first announcements, then repeats, then directed requests to those who asked lately,
//! each as fast as its bucket allows.

use super::super::asker::Asker;
use super::super::message::{Effect, Event, Frame};
use super::super::pace::{Class, Pace};
use super::super::schedule::{Form, after, least_gap, refresh_interval, steps};
use super::{Presence, Run, Segment};
use crate::address::{Family, Vip};
use crate::mac::MacAddr;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::net::IpAddr;
use std::time::Instant;

/// No more directed requests than this wait on one interface; far more than the askers that are remembered.
const DIRECTED_WAITING: usize = 65_536;

/// What wakes a VIP up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Step,
    Defence,
}

/// The first announcement of a run that has not fully left yet.
#[derive(Debug)]
struct First {
    vip: Vip,
    run: u64,
    /// Whether the announcement to all has left.
    led: bool,
    /// Gateways that have not been told yet.
    gateways: Vec<IpAddr>,
}

/// A host to be told. Ordered by when it asked.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Directed {
    at: Instant,
    vip: Vip,
    run: u64,
    target: std::net::Ipv4Addr,
    to: MacAddr,
}

/// What waits for its time or for a bucket. Entries of a run that was given up are left in place and passed over.
#[derive(Debug, Default)]
pub(super) struct Queues {
    /// VIPs whose schedule begins with the next call.
    pub(super) to_start: Vec<Vip>,
    timers: BTreeSet<(Instant, Vip, Timer)>,
    firsts: VecDeque<First>,
    /// VIPs to be asked for before they may be announced.
    pub(super) probes: VecDeque<Vip>,
    repeats: VecDeque<(Vip, u64)>,
    directed: BinaryHeap<Directed>,
    runs: u64,
}

impl Queues {
    pub(super) fn plan_defence(&mut self, due: Instant, vip: Vip) {
        self.timers.insert((due, vip, Timer::Defence));
    }
}

impl Segment {
    /// Gives a VIP's run up: nothing of it is sent any more.
    pub(super) fn cancel(&mut self, vip: Vip) {
        let run = self.vips.get_mut(&vip).and_then(|presence| presence.run.take());
        if let Some(due) = run.and_then(|run| run.due) {
            self.queues.timers.remove(&(due, vip, Timer::Step));
        }
    }

    /// Sends what may leave now.
    pub(crate) fn go_on(&mut self, now: Instant, effects: &mut VecDeque<Effect>) {
        self.expire(now);
        self.begin_runs(now, effects);
        self.send_firsts(now, effects);
        self.send_probes(now, effects);
        if self.queues.firsts.is_empty() {
            self.send_repeats(now, effects);
            self.send_directed(now, effects);
        }
    }

    /// When [`Segment::go_on`] has something to do.
    pub(crate) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let timer = self.queues.timers.first().map(|(due, ..)| *due);
        let waits = |waiting: bool, class| waiting.then(|| self.pace.ready_at(class, now));
        let first = waits(!self.queues.firsts.is_empty(), Class::First);
        let probe = waits(!self.queues.probes.is_empty(), Class::Probe);
        let repeat = waits(!self.queues.repeats.is_empty(), Class::Repeat);
        let directed = waits(!self.queues.directed.is_empty(), Class::Directed);
        // Others wait for the firsts, so until those have left only their bucket counts.
        let paced = if first.is_some() { first } else { [repeat, directed].into_iter().flatten().min() };
        [timer, paced, probe].into_iter().flatten().min()
    }

    fn expire(&mut self, now: Instant) {
        while let Some(&(due, vip, timer)) = self.queues.timers.first().filter(|(due, ..)| *due <= now) {
            self.queues.timers.remove(&(due, vip, timer));
            let Some(presence) = self.vips.get_mut(&vip).filter(|presence| presence.owned) else { continue };
            match (timer, &mut presence.run) {
                (Timer::Step, Some(run)) => {
                    run.due = None;
                    self.queues.repeats.push_back((vip, run.id));
                }
                (Timer::Defence, _) if presence.defence.take_due(now) => self.queues.to_start.push(vip),
                _ => {}
            }
        }
    }

    /// Begins the runs that are asked for, those first whose VIP was asked for most recently.
    fn begin_runs(&mut self, now: Instant, effects: &mut VecDeque<Effect>) {
        let mut starting = std::mem::take(&mut self.queues.to_start);
        starting.retain(|vip| self.vips.get(vip).is_some_and(|presence| presence.owned));
        starting.sort_by_cached_key(|vip| (Reverse(self.vips.get(vip).and_then(|presence| presence.asked)), *vip));
        starting.dedup();
        for vip in starting {
            self.begin_run(vip, now, effects);
        }
    }

    fn begin_run(&mut self, vip: Vip, now: Instant, effects: &mut VecDeque<Effect>) {
        self.cancel(vip);
        if !self.link.carrier {
            return;
        }
        if vip.family() == Family::V6 && self.link.link_local.is_none() {
            if !std::mem::replace(&mut self.lacks_link_local, true) {
                effects.push_back(Effect::Report(Event::NoLinkLocal { link: self.link.index }));
            }
            return;
        }
        let Some(presence) = self.vips.get_mut(&vip) else { return };
        self.queues.runs = self.queues.runs.wrapping_add(1);
        let id = self.queues.runs;
        presence.run = Some(Run { id, started: now, step: 0, due: None });
        let of_family = |gateway: &&IpAddr| Family::of(**gateway) == vip.family();
        let gateways = self.link.gateways.iter().filter(of_family).copied().collect();
        self.queues.firsts.push_back(First { vip, run: id, led: false, gateways });
        let room = DIRECTED_WAITING.saturating_sub(self.queues.directed.len());
        let is_gateway = |asker: &&Asker| self.link.gateways.contains(&IpAddr::V4(asker.address));
        let askers = presence.askers.iter().filter(|asker| !is_gateway(asker)).take(room);
        let directed =
            askers.map(|asker| Directed { at: asker.at, vip, run: id, target: asker.address, to: asker.mac });
        self.queues.directed.extend(directed);
    }

    fn send_firsts(&mut self, now: Instant, effects: &mut VecDeque<Effect>) {
        while let Some(mut first) = self.queues.firsts.pop_front() {
            if !self.is_running(first.vip, first.run) {
                continue;
            }
            if !self.pace.take(Class::First, now) {
                self.queues.firsts.push_front(first);
                return;
            }
            let frame = if std::mem::replace(&mut first.led, true) {
                first.gateways.pop().and_then(|gateway| direct(first.vip, gateway, MacAddr::BROADCAST))
            } else {
                self.plan_next(first.vip, now);
                self.announcement(first.vip, Form::Request)
            };
            if !first.gateways.is_empty() {
                self.queues.firsts.push_front(first);
            }
            self.send(frame, effects);
        }
    }

    fn send_probes(&mut self, now: Instant, effects: &mut VecDeque<Effect>) {
        while !self.queues.probes.is_empty() && self.pace.take(Class::Probe, now) {
            let link = self.link.index;
            effects.extend(self.queues.probes.pop_front().map(|vip| Effect::Probe { link, vip }));
        }
    }

    fn send_repeats(&mut self, now: Instant, effects: &mut VecDeque<Effect>) {
        while let Some(&(vip, run)) = self.queues.repeats.front() {
            if self.is_running(vip, run) {
                if !self.pace.take(Class::Repeat, now) {
                    return;
                }
                let step = self.vips.get(&vip).and_then(|presence| presence.run).map_or(0, |run| run.step);
                let form = steps(vip.family()).get(step).map_or(Form::Request, |step| step.form);
                self.send(self.announcement(vip, form), effects);
                if let Some(run) = self.vips.get_mut(&vip).and_then(|presence| presence.run.as_mut()) {
                    run.step = run.step.saturating_add(1);
                }
                self.plan_next(vip, now);
            }
            self.queues.repeats.pop_front();
        }
    }

    fn send_directed(&mut self, now: Instant, effects: &mut VecDeque<Effect>) {
        // One bucket for everything leaves nothing over while repeats wait.
        if matches!(self.pace, Pace::Compat(_)) && !self.queues.repeats.is_empty() {
            return;
        }
        while let Some(directed) = self.queues.directed.pop() {
            if !self.is_running(directed.vip, directed.run) {
                continue;
            }
            if !self.pace.take(Class::Directed, now) {
                self.queues.directed.push(directed);
                return;
            }
            self.send(direct(directed.vip, IpAddr::V4(directed.target), directed.to), effects);
        }
    }

    /// Sets the timer for the announcement that follows the one which leaves now.
    fn plan_next(&mut self, vip: Vip, now: Instant) {
        let seed = self.config.seed;
        let Some(Presence { run: Some(run), .. }) = self.vips.get_mut(&vip) else { return };
        let family = vip.family();
        if run.step == 0 {
            run.started = now;
        }
        let due = match steps(family).get(run.step) {
            Some(step) => after(run.started, step.after).max(after(now, least_gap(family))),
            None => after(now, refresh_interval(seed ^ fold(vip).wrapping_add(run.step as u64))),
        };
        run.due = Some(due);
        self.queues.timers.insert((due, vip, Timer::Step));
    }

    fn is_running(&self, vip: Vip, run: u64) -> bool {
        self.vips.get(&vip).and_then(|presence| presence.run).is_some_and(|running| running.id == run)
    }

    fn announcement(&self, vip: Vip, form: Form) -> Option<Frame> {
        Some(match (vip.address(), form) {
            (IpAddr::V4(vip), Form::Request) => Frame::GratuitousRequest { vip },
            (IpAddr::V4(vip), Form::Reply) => Frame::GratuitousReply { vip },
            (IpAddr::V6(vip), _) => Frame::UnsolicitedAdvertisement { vip, from: self.link.link_local? },
        })
    }

    fn send(&self, frame: Option<Frame>, effects: &mut VecDeque<Effect>) {
        effects.extend(frame.map(|frame| Effect::Send { link: self.link.index, mac: self.link.mac, frame }));
    }
}

fn direct(vip: Vip, target: IpAddr, to: MacAddr) -> Option<Frame> {
    match (vip.address(), target) {
        (IpAddr::V4(vip), IpAddr::V4(target)) => Some(Frame::DirectedRequest { vip, target, to }),
        (IpAddr::V6(vip), IpAddr::V6(target)) => Some(Frame::DirectedSolicitation { vip, target }),
        _ => None,
    }
}

/// A VIP as a number, for refreshes at different times.
fn fold(vip: Vip) -> u64 {
    let mix = |octets: &[u8]| octets.iter().fold(0_u64, |number, octet| number.rotate_left(8) ^ u64::from(*octet));
    match vip.address() {
        IpAddr::V4(address) => mix(&address.octets()).rotate_left(32),
        IpAddr::V6(address) => mix(&address.octets()).rotate_left(32),
    }
}
