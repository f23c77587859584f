//! What the core wants done, done.

use super::{Driver, RETRY};
use crate::member::clocks::now;
use crate::member::sockets::Attempt;
use crate::member::{Event, Task, frames, hindrance, questions};
use herald_core::announce::Frame;
use herald_core::liveness::{Envelope, Inquiry};
use herald_core::mac::MacAddr;
use herald_core::member::{self, Effect};
use herald_core::names::{IfIndex, NodeName};
use std::net::{IpAddr, Ipv6Addr};

impl Driver {
    pub(super) fn carry_out(&mut self) {
        while let Some(effect) = self.core.poll_effect() {
            match effect {
                Effect::Send { link, mac, frame } => self.send(link, mac, &frame),
                Effect::Ask { link, mac, from, inquiry } => self.ask(link, mac, from, &inquiry),
                Effect::Datagram { link, to, address, envelope } => self.send_beat(link, to, address, &envelope),
                Effect::Join { link, group } => self.join(link, group),
                Effect::Leave { link, group } => self.groups.leave(link, group),
                Effect::Report(member::Event::NoLinkLocal { link }) => {
                    let hindrance = hindrance::no_link_local(&self.name(link));
                    self.hinder(link, Task::Advertisements, Some(hindrance));
                }
                Effect::Report(event) => self.outbox.push(Event::Member(event)),
            }
        }
    }

    fn send(&mut self, link: IfIndex, mac: MacAddr, frame: &Frame) {
        let kind = frames::kind(frame);
        match self.sockets.send_frame(link, &frames::encode(frame, mac)) {
            Ok(()) => {
                self.metrics.sent(kind);
                self.core.handle_sent(link, mac, frame, now());
            }
            Err(error) => {
                tracing::debug!(link = link.0, kind, %error, "a frame was not sent");
                self.metrics.unsent(kind);
            }
        }
    }

    fn ask(&mut self, link: IfIndex, mac: MacAddr, from: Option<IpAddr>, inquiry: &Inquiry) {
        let kind = questions::kind(inquiry);
        let Some(frame) = self.questions.encode(inquiry, mac, from) else { return self.metrics.unsent(kind) };
        match self.sockets.send_frame(link, &frame) {
            Ok(()) => self.metrics.sent(kind),
            Err(error) => {
                tracing::debug!(link = link.0, kind, %error, "a question was not sent");
                self.metrics.unsent(kind);
            }
        }
    }

    fn send_beat(&mut self, link: IfIndex, to: NodeName, address: IpAddr, envelope: &Envelope) {
        let Some(datagram) = self.keys.seal(envelope, &to, now()) else { return self.metrics.beats().unsent("no_key") };
        let peer = (link, address);
        if self.peers.get(&peer) != Some(&to) {
            self.peers.insert(peer, to);
        }
        match self.sockets.send_beat(link, &datagram, address) {
            Ok(()) => self.metrics.beats().sent(),
            Err(error) => {
                tracing::debug!(link = link.0, %address, %error, "a heartbeat was not sent");
                self.metrics.beats().unsent("refused_by_kernel");
            }
        }
    }

    fn join(&mut self, link: IfIndex, group: Ipv6Addr) {
        if let Err(error) = self.groups.join(link, group) {
            let hindrance = hindrance::no_group(&self.name(link), group, &error);
            self.hinder(link, Task::Groups, Some(hindrance));
        }
    }

    /// Listens on all interfaces that are there. What doesn't work now may work later.
    pub(super) fn place_sockets(&mut self) {
        self.retry = None;
        for Attempt { link, task, result } in self.sockets.place(&self.links) {
            let hindrance = result.err().map(|error| {
                self.retry = now().checked_add(RETRY);
                hindrance::no_socket(&self.name(link), task, self.port, &error)
            });
            self.hinder(link, task, hindrance);
        }
    }

    /// Tells what hinders a task on an interface, and once when nothing does any more.
    fn hinder(&mut self, link: IfIndex, task: Task, hindrance: Option<String>) {
        if self.hindrances.get(&(link, task)) == hindrance.as_ref() {
            return;
        }
        match &hindrance {
            Some(text) => self.hindrances.insert((link, task), text.clone()),
            None => self.hindrances.remove(&(link, task)),
        };
        self.outbox.push(Event::Hindered { link, task, hindrance });
    }

    fn name(&self, link: IfIndex) -> String {
        self.links.get(&link).map_or_else(|| format!("interface {link}"), |link| link.name.to_string())
    }

    /// Tells of what hinders no more since the interfaces have changed.
    pub(super) fn lift_hindrances(&mut self) {
        let is_lifted = |(link, task): &(IfIndex, Task)| match task {
            _ if !self.links.contains_key(link) => true,
            Task::Groups => !self.groups.is_refused(*link),
            Task::Advertisements => self.links.get(link).is_some_and(|link| link.link_local.is_some()),
            Task::Frames | Task::Beats => false,
        };
        let lifted: Vec<_> = self.hindrances.keys().filter(|key| is_lifted(key)).copied().collect();
        for (link, task) in lifted {
            self.hinder(link, task, None);
        }
    }
}
