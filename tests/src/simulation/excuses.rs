//! What each trouble of a schedule excuses, told to the judge: which moves it explains, and how long clients may wait.

use std::time::Duration;

use herald_core::liveness::Profile;

use super::addresses::{Kind, mac, vip};
use super::schedule::{Act, Schedule, Trouble};
use crate::invariants::{ANYTHING, Fault, Plan};

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A frozen speaker keeps its VIPs so long at most, and so do nodes that nobody can vouch for the death of.
const SLOW: Duration = ms(3500);
/// A speaker that goes on after a stop asks the wire before it answers again.
const WAKING: Duration = ms(150);
/// A speaker that was killed is replaced within this time.
const KILLED: Duration = ms(300);
/// Nobody may move because of a speaker that was stopped for less.
const STOP_WITHOUT_MOVE: Duration = ms(2000);
/// A planned move happens within this time, unless those who should take it fail.
const PLAN: Duration = ms(6000);
/// Troubles so close to each other are one: the cluster has not settled in between.
const CLOSE: Duration = ms(4000);
/// Loss below this share of a hundred is everyday life.
const LITTLE_LOSS: u32 = 5;

/// After a death the next owner announces within this time, where somebody can bear it out.
fn bound(profile: Profile) -> Duration {
    if profile == Profile::BALANCED {
        ms(1000)
    } else if profile == Profile::FAST {
        ms(400)
    } else {
        ms(5000)
    }
}

/// All faults of a schedule.
pub(super) fn faults(schedule: &Schedule) -> Vec<Fault> {
    schedule.acts.iter().filter_map(|act| fault(schedule, act)).collect()
}

/// All moves that a schedule calls for.
pub(super) fn plans(schedule: &Schedule) -> Vec<Plan> {
    schedule.acts.iter().filter_map(|act| plan(schedule, act)).collect()
}

fn fault(schedule: &Schedule, act: &Act) -> Option<Fault> {
    let length = act.until.saturating_sub(act.from);
    let base = Fault {
        name: act.trouble.to_string(),
        from: act.from,
        until: act.until,
        victim: act.trouble.victim().map(|node| mac(Kind::Node, node)),
        moves: false,
        splits: false,
        silence: Duration::ZERO,
        outage: Duration::ZERO,
    };
    let more = delay(schedule, act);
    let more = if more.is_zero() { more } else { more + length };
    let witnessed = schedule.gateway || schedule.nodes > 2;
    let dead = if witnessed { bound(schedule.profile) } else { SLOW } + more;
    let fault = match act.trouble {
        Trouble::Power(_) | Trouble::Cable(_) => Fault { moves: true, silence: dead, outage: dead, ..base },
        // It says itself that it is cut off.
        Trouble::Deaf(_) if witnessed && schedule.gateway => {
            Fault { moves: true, splits: true, silence: dead, outage: dead, ..base }
        }
        Trouble::Isolation(_)
        | Trouble::Mute(_)
        | Trouble::Deaf(_)
        | Trouble::OneWay(..)
        | Trouble::Partition(_)
        | Trouble::Loss(LITTLE_LOSS..) => {
            let waits = length + SLOW + more;
            Fault { moves: true, splits: true, silence: waits, outage: waits, ..base }
        }
        Trouble::Loss(_) => Fault { silence: ms(200), outage: ms(200), ..base },
        Trouble::Delay(_) | Trouble::Duplication(_) => base,
        // One that is back before it was replaced learns what it had and asks the wire first.
        Trouble::Kill(_) if length < KILLED => Fault { moves: true, silence: KILLED + WAKING + more, ..base },
        Trouble::Kill(_) => Fault { moves: true, silence: KILLED + more, ..base },
        Trouble::Stop(_) => {
            let silence = (length + WAKING).min(SLOW) + more;
            Fault { moves: length > STOP_WITHOUT_MOVE, silence, ..base }
        }
        Trouble::Starvation(_) => Fault { silence: ms(100) + more, ..base },
        // The stranger takes clients away, and nobody begins with what it has.
        Trouble::Stranger(_) => Fault { silence: more, outage: length + ms(2000) + more, ..base },
        Trouble::Deletion(_) => {
            let gone = length + ms(2000) + unknown(schedule, act);
            Fault { moves: true, silence: gone, outage: gone, ..base }
        }
        Trouble::Termination(_) => Fault { moves: true, silence: more, outage: Duration::ZERO, ..base },
        Trouble::Drain(_)
        | Trouble::Unwell(_)
        | Trouble::Pin(..)
        | Trouble::ApiDown
        | Trouble::ApiCut(_)
        | Trouble::GatewayDown => return None,
    };
    Some(fault)
}

fn plan(schedule: &Schedule, act: &Act) -> Option<Plan> {
    let from = |node| Some(mac(Kind::Node, node));
    let until = act.until + PLAN + delay(schedule, act);
    let base = Plan { at: act.from, until, vip: None, from: None, to: None, elective: false };
    let forever = Plan { until: ANYTHING, ..base.clone() };
    match act.trouble {
        Trouble::Drain(node) | Trouble::Unwell(node) | Trouble::Termination(node) => {
            Some(Plan { from: from(node), ..base })
        }
        // A wish stays.
        Trouble::Pin(number, node) => {
            Some(Plan { vip: Some(vip(number)), to: Some(mac(Kind::Node, node)), elective: true, ..forever })
        }
        Trouble::Deletion(number) => Some(Plan { vip: Some(vip(number)), ..base }),
        _ => None,
    }
}

/// Whoever should take over may be in trouble itself, until that is over and a little longer.
fn delay(schedule: &Schedule, act: &Act) -> Duration {
    let others = others(schedule, act).filter(|other| other.trouble.matters());
    others.map(|other| other.until.saturating_sub(other.from) + SLOW).sum()
}

/// Nobody learns of a VIP that is there again before the API server is.
fn unknown(schedule: &Schedule, act: &Act) -> Duration {
    let silent = |other: &&Act| matches!(other.trouble, Trouble::ApiDown | Trouble::ApiCut(_));
    others(schedule, act).filter(silent).map(|other| other.until.saturating_sub(act.until)).max().unwrap_or_default()
}

fn others<'s>(schedule: &'s Schedule, act: &'s Act) -> impl Iterator<Item = &'s Act> {
    let overlaps = |other: &Act| other.from <= act.until + CLOSE && act.from <= other.until + CLOSE;
    schedule.acts.iter().filter(move |other| !std::ptr::eq(*other, act) && overlaps(other))
}

impl Trouble {
    /// Whether it may make another trouble's consequences come later.
    const fn matters(self) -> bool {
        !matches!(self, Self::ApiDown | Self::ApiCut(_) | Self::Delay(_) | Self::Duplication(_))
    }
}
