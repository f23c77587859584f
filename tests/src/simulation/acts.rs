//! What each trouble does when it begins and when it ends.

use std::time::Duration;

use super::addresses::vip;
use super::node::Input;
use super::schedule::Trouble;
use super::switch::Port;
use super::world::{Event, World};

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

impl World<'_> {
    pub(super) fn begin(&mut self, act: usize) {
        let trouble = self.schedule.acts[act].trouble;
        self.trace.line(self.now, || format!("*** {trouble}"));
        match trouble {
            Trouble::Power(node) => {
                self.nodes[node].powered = false;
                self.nodes[node].process = None;
            }
            Trouble::Kill(node) => self.nodes[node].process = None,
            Trouble::Termination(node) => {
                self.nodes[node].restarts = false;
                self.ask_to_end(node);
            }
            Trouble::Pin(number, node) => {
                self.management.pin(vip(number), node);
                self.spread();
            }
            Trouble::Deletion(number) => {
                self.management.delete(vip(number));
                self.clients.forget(vip(number));
                self.spread();
            }
            _ => self.set(trouble, true),
        }
    }

    pub(super) fn end(&mut self, act: usize) {
        let trouble = self.schedule.acts[act].trouble;
        self.trace.line(self.now, || format!("*** over: {trouble}"));
        match trouble {
            Trouble::Power(node) => {
                self.nodes[node].powered = true;
                self.nodes[node].lose_memory();
                let after = self.chance.between(ms(300), ms(1000));
                self.plan(after, Event::Start(node));
            }
            Trouble::Kill(node) => self.plan(Duration::ZERO, Event::Start(node)),
            Trouble::Termination(node) => {
                self.nodes[node].restarts = true;
                self.plan(ms(200), Event::Start(node));
            }
            Trouble::Pin(..) => {}
            Trouble::Deletion(number) => {
                self.management.create(vip(number));
                self.spread();
            }
            _ => self.set(trouble, false),
        }
    }

    /// Troubles that are a state of the cluster.
    fn set(&mut self, trouble: Trouble, begins: bool) {
        match trouble {
            Trouble::Cable(node) => self.set_carrier(node, !begins),
            Trouble::Isolation(node) => {
                self.switch.set_mute(Port(node), begins);
                self.switch.set_deaf(Port(node), begins);
            }
            Trouble::Mute(node) => self.switch.set_mute(Port(node), begins),
            Trouble::Deaf(node) => self.switch.set_deaf(Port(node), begins),
            Trouble::OneWay(from, to) => self.switch.set_one_way(Port(from), Port(to), begins),
            Trouble::Partition(side) => self.switch.set_partition(if begins { side } else { 0 }),
            Trouble::Loss(percent) => self.switch.loss = if begins { percent } else { 0 },
            Trouble::Delay(most) => self.switch.delay = if begins { ms(most) } else { Duration::ZERO },
            Trouble::Duplication(percent) => self.switch.duplication = if begins { percent } else { 0 },
            Trouble::Stop(node) => {
                if let Some(process) = &mut self.nodes[node].process {
                    process.stopped = begins;
                }
                self.go_on(node);
                // What it could not write meanwhile.
                self.plan(ms(20), Event::Write(node));
            }
            Trouble::Starvation(node) => {
                if let Some(process) = &mut self.nodes[node].process {
                    process.starving = begins;
                }
                self.go_on(node);
            }
            Trouble::ApiDown => {
                self.management.set_down(begins);
                self.catch_up();
            }
            Trouble::ApiCut(node) => {
                self.management.set_cut(node, begins);
                self.catch_up();
            }
            Trouble::Stranger(number) => self.clients.set_stranger(vip(number), begins),
            Trouble::Drain(node) => {
                self.management.edit_node(node, |object| object.leaving = begins);
                self.spread();
            }
            Trouble::Unwell(node) => {
                self.nodes[node].well = !begins;
                self.nodes[node].reconsider();
                self.go_on(node);
            }
            Trouble::GatewayDown => self.clients.gateway = self.schedule.gateway && !begins,
            Trouble::Power(_)
            | Trouble::Kill(_)
            | Trouble::Termination(_)
            | Trouble::Pin(..)
            | Trouble::Deletion(_) => {}
        }
    }

    fn set_carrier(&mut self, node: usize, carrier: bool) {
        self.nodes[node].carrier = carrier;
        let links = self.nodes[node].links();
        self.nodes[node].queue(Input::Links(links));
        self.go_on(node);
        self.plan(ms(20), Event::Write(node));
    }

    /// Whoever can reach the API server again reads what is new, and writes what it could not.
    fn catch_up(&mut self) {
        self.spread();
        for node in 0..self.nodes.len() {
            let after = self.chance.between(ms(5), ms(100));
            self.plan(after, Event::Write(node));
        }
    }
}
