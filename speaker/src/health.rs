//! How this node is: whether it can serve, and what doesn't work as it should, in the words of the conditions `Ready` and
//! `Degraded`.
//!
//! Owns the sentences and which of several comes first. Pure.

use crate::intake::KeyRecord;
use crate::kube_proxy;
use crate::report::speaker::Health;
use crate::situation::Situation;
use herald_api::keys::{HEARTBEAT_SECRET, reason};
use herald_core::link::{Link, Links};
use herald_core::names::NodeName;
use herald_core::ownership::{Segment, View};

/// What is known of the node and its speaker.
#[derive(Clone, Copy, Debug)]
pub struct Signs<'a> {
    /// This node.
    pub node: &'a NodeName,
    /// Whether it gives its addresses away.
    pub leaving: bool,
    /// Whether its speaker has ended its work.
    pub stopped: bool,
    /// `--interfaces` as text.
    pub interfaces: &'a str,
    /// The interfaces that are there.
    pub links: &'a Links,
    /// Why the kernel refuses our rules, if it does.
    pub steering: Option<&'a str>,
    /// What kube-proxy says.
    pub kube_proxy: kube_proxy::Health,
    /// The namespace that the Secret with the keys belongs into.
    pub namespace: &'a str,
    /// That Secret.
    pub keys: Keys<'a>,
    /// The other nodes.
    pub view: &'a View,
    /// What the member says.
    pub situation: &'a Situation,
}

/// The Secret with the keys of heartbeats.
#[derive(Clone, Copy, Debug)]
pub enum Keys<'a> {
    /// The API server has not said whether it is there.
    Unknown,
    /// The API server refuses to say, for this reason.
    Refused(&'a str),
    /// It is not there.
    Missing,
    /// It holds this.
    There(&'a KeyRecord),
}

impl Signs<'_> {
    /// Whether the node can serve: addresses announced here lead somewhere.
    pub const fn is_able(&self) -> bool {
        self.steering.is_none() && !matches!(self.kube_proxy, kube_proxy::Health::Unwell(_))
    }

    /// All of it.
    pub fn health(&self) -> Health {
        Health { draining: self.leaving || self.stopped, unable: self.unable(), degraded: self.degraded() }
    }

    fn unable(&self) -> Option<(&'static str, String)> {
        if self.stopped {
            return Some((reason::STOPPED, "the speaker was stopped and announces nothing".to_owned()));
        }
        self.no_steering().or_else(|| self.no_kube_proxy())
    }

    fn degraded(&self) -> Option<(&'static str, String)> {
        self.no_interface()
            .or_else(|| self.no_steering())
            .or_else(|| self.no_kube_proxy())
            .or_else(|| self.situation.hindrance(self.links).map(|why| (reason::PACKET_SOCKET_FAILED, why.to_owned())))
            .or_else(|| self.no_key())
            .or_else(|| self.duplicate_name())
            .or_else(|| self.duplicate_mac())
            .or_else(|| self.refused())
            .or_else(|| self.isolated())
            .or_else(|| self.late())
    }

    fn no_interface(&self) -> Option<(&'static str, String)> {
        let wanted = self.interfaces;
        self.links.is_empty().then(|| {
            let fix = "correct the flag";
            (
                reason::NO_INTERFACE,
                format!("none of this node's Ethernet interfaces is named by --interfaces={wanted}: {fix}"),
            )
        })
    }

    fn no_steering(&self) -> Option<(&'static str, String)> {
        self.steering.map(|why| (reason::STEERING_FAILED, why.to_owned()))
    }

    fn no_kube_proxy(&self) -> Option<(&'static str, String)> {
        let kube_proxy::Health::Unwell(status) = self.kube_proxy else { return None };
        let message = format!(
            "kube-proxy on this node says that it is not well (HTTP {status} from --kube-proxy-health), so this node takes \
             no addresses: see the log of kube-proxy"
        );
        Some((reason::KUBE_PROXY_UNHEALTHY, message))
    }

    fn no_key(&self) -> Option<(&'static str, String)> {
        let namespace = self.namespace;
        let message = match self.keys {
            Keys::Unknown => return None,
            Keys::Refused(why) => why.to_owned(),
            Keys::Missing => format!(
                "there is no Secret {HEARTBEAT_SECRET} in namespace {namespace} (--namespace): start the controller there, \
                 which makes it; speakers that have no key don't hear each other"
            ),
            Keys::There(record) => record.garbled.first()?.to_string(),
        };
        Some((reason::HEARTBEAT_KEY_UNREADABLE, message))
    }

    fn duplicate_name(&self) -> Option<(&'static str, String)> {
        let name = self.situation.duplicates().next()?;
        let message = if name == self.node {
            format!("another speaker says that it is {name}: give every node its own name (--node-name, NODE_NAME)")
        } else {
            format!("two speakers say that they are {name}: give every node its own name (--node-name, NODE_NAME)")
        };
        Some((reason::DUPLICATE_NAME, message))
    }

    /// On one network, two interfaces with one MAC address take each other's frames. Networks that have nothing to do with
    /// each other may use one twice.
    fn duplicate_mac(&self) -> Option<(&'static str, String)> {
        let others = self.view.nodes.iter().filter(|(name, node)| *name != self.node && node.speaker);
        let theirs = others.flat_map(|(name, node)| node.segments.iter().map(move |segment| (name, segment)));
        let (link, name, segment) = theirs.into_iter().find_map(|(name, segment)| {
            let twin = self.links.values().find(|link| segment.mac == Some(link.mac) && is_near(link, segment))?;
            Some((twin, name, segment))
        })?;
        let message = format!(
            "{} of this node and {} of {name} have the same MAC address {}: give one of them another, for neither gets all \
             its frames",
            link.name, segment.interface, link.mac
        );
        Some((reason::DUPLICATE_MAC, message))
    }

    fn refused(&self) -> Option<(&'static str, String)> {
        let (link, peer) = self.situation.refusing().first()?;
        let interface = self.links.get(link).map_or("an interface", |link| link.name.as_str());
        let message = format!(
            "{peer} refuses heartbeats on {interface} although its speaker runs: let --heartbeat-port (UDP) through its \
             packet filter"
        );
        Some((reason::HEARTBEATS_REFUSED, message))
    }

    fn isolated(&self) -> Option<(&'static str, String)> {
        let link = self.situation.cut_off().next()?;
        let interface = self.links.get(&link).map_or("an interface", |link| link.name.as_str());
        let message = format!(
            "on {interface} neither most other speakers nor the gateway are heard, so nothing is announced there: check its \
             cable and switch port, and that UDP --heartbeat-port gets through"
        );
        Some((reason::ISOLATED, message))
    }

    fn late(&self) -> Option<(&'static str, String)> {
        self.situation.is_late().then(|| {
            let message = "the speaker gets too little of the processor to judge other nodes in time: raise its CPU request, \
                           take its CPU limit away, and grant it SYS_NICE";
            (reason::LATE, message.to_owned())
        })
    }
}

/// Whether both are on one network, as far as their subnets tell.
fn is_near(link: &Link, segment: &Segment) -> bool {
    segment.subnets.iter().any(|subnet| link.addresses.iter().any(|address| address.trunc() == *subnet))
}

#[cfg(test)]
mod tests;
