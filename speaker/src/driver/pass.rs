//! One pass: from what has changed to rules, outlook and reports.

use super::{Driver, FULL_PASS, Timers, clock};
use crate::health::{Keys, Signs};
use crate::intake::{Kind, News};
use crate::picture::Myself;
use crate::probes;
use crate::report::speaker::Health;
use crate::report::writer::Object;
use crate::settings::Settings;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

impl Driver {
    /// Looks at what has changed and does what follows. Returns whether the driver is done.
    pub(super) fn pass(&mut self) -> bool {
        let now = clock();
        let is_full = self.settle_timers(now);
        self.take_news(now);
        if !self.parts.intake.world().is_complete() {
            self.tell_lacking(vec!["a first view of the cluster"]);
            return self.stopping.is_some();
        }
        let mut news = std::mem::take(&mut self.news);
        if is_full {
            news.add(News::all(self.parts.intake.world()));
        }
        let ending = self.stopping.is_some();
        let is_told = self.picture.outlook.me.ending == ending;
        let looks_new = self.look_at_myself(now) || !is_told;
        if looks_new || !news.is_empty() {
            let myself = Myself { node: &self.parts.node, links: &self.links, ending };
            self.picture.follow(self.parts.intake.world(), &news, myself);
        }
        if looks_new || !news.is_empty() || self.parts.guard.next_deadline().is_some_and(|due| due <= now) {
            self.instruct(now);
        }
        self.mark(&news);
        self.write();
        self.parts.guard.tidy(&self.picture.table, now);
        self.parts.state_file.write(self.parts.intake.world(), now);
        self.parts.metrics.situation(&self.situation);
        self.parts.metrics.passed(clock().saturating_duration_since(now), self.picture.table.vips.len());
        self.is_done(now)
    }

    /// Takes in what this node knows of itself, and says whether that is new.
    fn look_at_myself(&mut self, now: Instant) -> bool {
        let links = self.parts.links.borrow_and_update();
        let kube_proxy = *self.parts.kube_proxy.borrow_and_update();
        let is_new = self.links != *links || self.kube_proxy != kube_proxy;
        if is_new {
            self.links.clone_from(&links);
            self.kube_proxy = kube_proxy;
            self.parts.writer.look_at(Object::Speaker);
            for vip in self.situation.vips().keys() {
                self.parts.writer.look_at(Object::Vip(*vip));
            }
        }
        drop(links);
        let has_namesake = self.look_for_namesake(now);
        let has_aged = self.situation.age(&self.links, &self.told.probes, now);
        is_new || has_namesake || has_aged
    }

    /// Takes in what this node's own object shows of another machine, and says whether that is new.
    fn look_for_namesake(&mut self, now: Instant) -> bool {
        let Some(record) = self.parts.intake.world().speakers.records().get(&self.parts.node) else { return false };
        let known = self.namesake.addresses().len();
        let is_there = self.namesake.look(record, &self.links, now);
        if is_there {
            self.situation.note_duplicate(self.parts.node.clone(), now);
        }
        is_there || self.namesake.addresses().len() != known
    }

    /// Forgets the timers that are due, and does what they were for. Returns whether everything is to be looked at.
    fn settle_timers(&mut self, now: Instant) -> bool {
        let is_due = |timer: &mut Option<Instant>| timer.take_if(|due| *due <= now).is_some();
        let Timers { retry, recall, full, myself } = &mut self.timers;
        let (retries, recalls, speaks) = (is_due(retry), is_due(recall), is_due(myself));
        let is_full = full.is_none_or(|due| due <= now);
        if is_full {
            *full = now.checked_add(FULL_PASS);
        }
        if retries {
            self.parts.writer.retry();
        }
        if speaks {
            self.parts.writer.look_at(Object::Speaker);
        }
        if recalls {
            self.recall();
        }
        is_full
    }

    /// Goes on with the view of an earlier life if the API server has not told enough.
    fn recall(&mut self) {
        if self.parts.intake.world().is_complete() {
            return;
        }
        match self.parts.state_file.read() {
            Ok(Some(memory)) => {
                tracing::warn!(
                    "the API server has not answered: going on with the view of the cluster in --state-file"
                );
                self.parts.intake.remember(memory);
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(
                    error = crate::intake::chain(&error),
                    "there is no earlier view of the cluster to go on with"
                );
            }
        }
    }

    fn take_news(&mut self, now: Instant) {
        let news = self.parts.intake.take_news();
        let away = self.parts.intake.away_since();
        let age = away.map_or(Duration::ZERO, |since| now.saturating_duration_since(since.into_std()));
        self.parts.metrics.stale(age);
        if news.is_empty() {
            return;
        }
        let world = self.parts.intake.world();
        self.parts.settings.follow(world, now);
        // Who only restates what the file said has nothing to write into it.
        if world.is_listed() {
            self.parts.state_file.outdate();
        }
        self.news.add(news);
    }

    /// Puts rules into the kernel and tells the member how things are.
    fn instruct(&mut self, now: Instant) {
        // What the kernel can't guard must not draw traffic here; what it guards already goes on.
        let prepared = self.parts.guard.prepare(&self.picture.table, now);
        let health = self.assess(false);
        let (world, guard) = (self.parts.intake.world(), &self.parts.guard);
        let outlook = &mut self.picture.outlook;
        outlook.unprepared = match prepared {
            Ok(()) => BTreeSet::new(),
            Err(_) => outlook.subjects.keys().copied().filter(|vip| !guard.has(*vip)).collect(),
        };
        outlook.probes = probes::wanted(world, &self.situation, &outlook.view, &self.parts.node);
        outlook.namesakes.clone_from(self.namesake.addresses());
        outlook.me.able = health.unable.is_none();
        if *self.told != *outlook {
            self.told = Arc::new(outlook.clone());
            self.parts.member.outlook().send_replace(self.told.clone());
        }
        self.become_so(health);
    }

    /// How this node is.
    pub(super) fn assess(&self, stopped: bool) -> Health {
        let world = self.parts.intake.world();
        let signs = Signs {
            node: &self.parts.node,
            leaving: self.picture.outlook.me.leaving,
            stopped,
            interfaces: &self.parts.interfaces.wanted(),
            links: &self.links,
            steering: self.parts.guard.failure(),
            kube_proxy: self.kube_proxy,
            namespace: &self.parts.namespace,
            keys: self.keys(),
            view: &self.picture.outlook.view,
            situation: &self.situation,
        };
        let garbled = Settings::secret(world).map_or(0, |record| record.garbled.len());
        self.parts.metrics.health(signs.is_able(), garbled);
        signs.health()
    }

    fn keys(&self) -> Keys<'_> {
        let world = self.parts.intake.world();
        match (Settings::secret(world), self.parts.intake.refusal(Kind::Secret)) {
            (Some(record), _) => Keys::There(record),
            (None, Some(why)) => Keys::Refused(why),
            (None, None) if world.keys.is_listed() => Keys::Missing,
            (None, None) => Keys::Unknown,
        }
    }

    /// Has everything looked at that may be worth a report.
    fn mark(&mut self, news: &News) {
        let world = self.parts.intake.world();
        for vip in &news.vips {
            if world.ledger.records().contains_key(vip) {
                self.parts.writer.look_at(Object::Vip(*vip));
            } else {
                self.parts.writer.forget(Object::Vip(*vip));
            }
        }
        if news.nodes || news.standing {
            self.parts.writer.look_at(Object::Speaker);
        }
        self.say_missing();
    }
}
