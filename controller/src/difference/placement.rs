//! Which nodes addresses should be on: new ones where there are the fewest, others where they are, and now and then one
//! elsewhere for balance.

use super::Comparison;
use crate::effects::{Effect, Lane, LaneKey};
use herald_core::address::Vip;
use herald_core::balance::{self, Balancer};
use herald_core::names::{NodeName, ServiceKey};
use herald_core::ownership;

impl Comparison<'_> {
    pub(super) fn placement(&mut self, balancer: &mut Balancer) {
        for (vip, node) in balancer.follow(self.now.monotonic) {
            self.prefer(vip, node);
        }
        let state = self.state;
        let running = state.view.nodes.iter().filter(|(_, node)| node.speaker && node.bar.is_none() && !node.leaving);
        let running = running.map(|(name, _)| name.clone()).collect();
        let placements = state.vips.iter().map(|(vip, facts)| facts.placement(*vip, self.is_movable(*vip)));
        let choices = |vip| self.choices(vip);
        let found = balancer.rebalance(state.changes, running, &placements, choices, self.now.monotonic);
        if let Some(balance::Move { vip, from, to }) = found {
            tracing::info!(%vip, %from, %to, "moves for balance");
            self.prefer(vip, to);
        }
    }

    fn prefer(&mut self, vip: Vip, node: NodeName) {
        let key = LaneKey::Vip(vip);
        if let (true, Some(seen)) = (self.is_idle(&key), self.seen(vip)) {
            let effects = vec![Effect::PreferNode { vip, node, seen }];
            self.push(Lane { key, service: None, effects, notices: Vec::new() });
        }
    }

    /// Names a node for each address that the lane records.
    pub(super) fn place(&mut self, lane: &mut Lane, service: &ServiceKey) {
        if self.is_local(service) {
            return;
        }
        for effect in &mut lane.effects {
            if let Effect::CreateVip { vip, preferred, .. } = effect {
                let choices = ownership::choices(&self.subject(*vip), &self.state.view);
                *preferred = balance::place(*vip, choices, &self.loads).cloned();
                if let Some(node) = preferred {
                    self.loads.add(node);
                }
            }
        }
    }

    fn is_movable(&self, vip: Vip) -> bool {
        let holder = self.state.cluster.ledger.get(&vip).and_then(|entry| entry.holder.as_ref());
        holder.is_some_and(|holder| !self.is_local(&holder.key))
    }

    /// Which of its nodes have endpoints only speakers know.
    fn is_local(&self, service: &ServiceKey) -> bool {
        self.state.services.get(service).is_some_and(|facts| facts.local)
    }

    fn choices(&self, vip: Vip) -> Vec<&NodeName> {
        ownership::choices(&self.subject(vip), &self.state.view)
    }
}
