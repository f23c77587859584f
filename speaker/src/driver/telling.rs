//! What the driver passes on: from the member to people, and to the API server.

use super::{Driver, GATHER_PROBES, clock, moment, timestamp};
use crate::admin::Lacking;
use crate::events::{Notice, Subject};
use crate::member::Event;
use crate::report::speaker::{Facts, Health};
use crate::report::writer::Object;
use crate::report::{self, Author, Report};
use crate::situation;
use crate::transitions::{self, Change};
use herald_api::condition::status;
use herald_api::keys::{condition, reason};
use herald_core::address::Vip;
use herald_core::member::{self, VipState};

impl Driver {
    /// Takes in what the member says.
    pub(super) fn hear(&mut self, mut event: Event) {
        let now = moment();
        self.overlook_namesake(&mut event);
        match self.situation.note(event, now) {
            situation::News::Vip(vip, before) => self.tell_change(vip, &before),
            situation::News::Verified(vip) => self.tell_verification(vip),
            situation::News::Late(lateness) => self.parts.metrics.late(lateness),
            situation::News::Probed => {
                self.timers.myself = self.timers.myself.or_else(|| now.instant.checked_add(GATHER_PROBES));
            }
            situation::News::Myself => {
                let health = self.assess(false);
                self.become_so(health);
            }
            situation::News::Nothing => {}
        }
    }

    /// That another machine of this name has this node's addresses is said of the node, and not of each address.
    fn overlook_namesake(&self, event: &mut Event) {
        if let Event::Member(member::Event::Vip { state, .. }) = event
            && state.conflict.as_ref().is_some_and(|conflict| self.namesake.macs().contains(&conflict.mac))
        {
            state.conflict = None;
        }
    }

    fn tell_change(&mut self, vip: Vip, before: &VipState) {
        let idle = VipState::default();
        let after = self.situation.vip(vip).map_or(&idle, |held| &held.state);
        let record = self.parts.intake.world().ledger.records().get(&vip);
        let node = &self.parts.node;
        let change = Change { vip, uid: record.map(|record| &record.uid), node, before, after };
        if let Some((_, came)) = change.gained() {
            self.parts.metrics.moved(came);
        }
        for notice in change.tell() {
            self.parts.events.tell(notice);
        }
        self.parts.writer.look_at(Object::Vip(vip));
    }

    fn tell_verification(&mut self, vip: Vip) {
        let Some(verification) = self.situation.verification(vip) else { return };
        self.parts.metrics.verified(verification);
        let Some(record) = self.parts.intake.world().ledger.records().get(&vip) else { return };
        let complained =
            record.conditions.iter().any(|is| is.type_ == condition::CONFLICT && is.status == status(true));
        if !complained
            && let Some(notice) = transitions::wrong_answer(vip, record.uid.clone(), &self.parts.node, verification)
        {
            self.parts.events.tell(notice);
        }
        self.parts.writer.look_at(Object::Vip(vip));
    }

    /// Takes note of how this node is now, and says so if it is otherwise than before.
    pub(super) fn become_so(&mut self, health: Health) {
        if health == self.health {
            return;
        }
        let (before, now) = (&self.health.degraded, &health.degraded);
        if before.as_ref().map(|(reason, _)| reason) != now.as_ref().map(|(reason, _)| reason) {
            let well = || (reason::ALL_WELL, "everything works as it should".to_owned());
            let (warning, (reason, note)) = (now.is_some(), now.clone().unwrap_or_else(well));
            if warning {
                tracing::warn!(reason, "{note}");
            } else {
                tracing::info!("{note}");
            }
            if let Some(record) = self.parts.intake.world().speakers.records().get(&self.parts.node) {
                let about = Subject::Speaker(self.parts.node.clone(), record.uid.clone());
                self.parts.events.tell(Notice { about, warning, reason, note });
            }
        }
        self.health = health;
        self.parts.writer.look_at(Object::Speaker);
    }

    /// Writes what is due, unless the API server is away or has not told yet what there is.
    pub(super) fn write(&mut self) {
        let Self { parts, situation, health, links, namesake, timers, .. } = self;
        let world = parts.intake.world();
        if parts.intake.away_since().is_some() || !world.is_listed() {
            return;
        }
        let node = &parts.node;
        let now = clock();
        let author = Author { node, links, now: timestamp() };
        let facts = Facts { health, port: parts.heartbeat_port, probed: situation.probed() };
        parts.writer.start(|object| match object {
            Object::Vip(vip) => {
                let record = world.ledger.records().get(&vip)?;
                report::vip(vip, record, situation.vip(vip), situation.verification(vip), author)
            }
            Object::Speaker => match (world.speakers.records().get(node), world.nodes.records().get(node)) {
                (Some(record), _) => {
                    if let Some(until) = namesake.pause(now) {
                        timers.myself = Some(timers.myself.map_or(until, |due| due.min(until)));
                        return None;
                    }
                    let report = report::speaker::speaker(record, facts, author)?;
                    namesake.wrote(&record.resource_version);
                    Some(report)
                }
                (None, Some(record)) => Some(Report::CreateSpeaker { node_uid: record.uid.clone() }),
                (None, None) => None,
            },
        });
    }

    /// Tells what keeps this node from announcing anything, once.
    pub(super) fn say_missing(&mut self) {
        let node = &self.parts.node;
        let is_missing = !self.parts.intake.world().nodes.records().contains_key(node);
        if is_missing && !self.missing_said {
            tracing::error!(%node, "there is no Node of this name: correct --node-name (NODE_NAME); nothing is announced");
        }
        self.missing_said = is_missing;
        let is_blind = self.links.is_empty();
        if is_blind && !self.blind_said {
            let wanted = self.parts.interfaces.wanted();
            tracing::error!(
                interfaces = wanted,
                "no Ethernet interface is named by --interfaces: nothing is announced"
            );
        }
        self.blind_said = is_blind;
        self.tell_lacking(if is_missing { vec!["a Node of the name given by --node-name"] } else { Vec::new() });
    }

    /// Tells what this speaker still lacks.
    pub(super) fn tell_lacking(&self, lacking: Lacking) {
        self.parts.lacking.send_if_modified(|current| {
            let modified = *current != lacking;
            *current = lacking;
            modified
        });
    }
}
