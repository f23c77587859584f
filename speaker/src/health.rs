//! How this node is: whether it can serve, and what doesn't work as it should, in the words of the conditions `Ready` and
//! `Degraded`.
//!
//! Owns the sentences and which of several comes first. Pure.

use crate::intake::KeyRecord;
use crate::kube_proxy;
use crate::report::speaker::Health;
use crate::situation::Situation;
use herald_api::keys::{HEARTBEAT_SECRET, reason};
use herald_core::link::Links;
use herald_core::names::NodeName;

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
    /// The Secret with the keys; `None`: it is not there.
    pub keys: Option<&'a KeyRecord>,
    /// What the member says.
    pub situation: &'a Situation,
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
            .or_else(|| self.duplicate())
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
        let message = match self.keys {
            None => format!(
                "there is no Secret {HEARTBEAT_SECRET} in --namespace: start the controller, which makes it; until then no \
                 other node hears this one"
            ),
            Some(record) => record.garbled.first()?.to_string(),
        };
        Some((reason::HEARTBEAT_KEY_UNREADABLE, message))
    }

    fn duplicate(&self) -> Option<(&'static str, String)> {
        let name = self.situation.duplicates().next()?;
        let message = if name == self.node {
            format!("another speaker says that it is {name}: give every node its own name (--node-name, NODE_NAME)")
        } else {
            format!("two speakers say that they are {name}: give every node its own name (--node-name, NODE_NAME)")
        };
        Some((reason::DUPLICATE_NAME, message))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::{Event, Task};
    use crate::situation::Moment;
    use herald_api::convert::heartbeat::HeartbeatKeys;
    use herald_core::link::Link;
    use herald_core::member;
    use herald_core::names::IfIndex;
    use jiff::Timestamp;
    use std::collections::BTreeSet;
    use std::time::Instant;

    const LINK: IfIndex = IfIndex(2);

    fn links() -> Links {
        let link = Link {
            index: LINK,
            name: "eth0".into(),
            mac: "52:54:00:00:00:01".parse().unwrap(),
            carrier: true,
            addresses: BTreeSet::new(),
            link_local: None,
            gateways: BTreeSet::new(),
        };
        Links::from([(LINK, link)])
    }

    /// The reasons of `Ready` and `Degraded` after these events.
    fn reasons(change: impl FnOnce(&mut Signs<'_>), events: &[Event]) -> (Option<&'static str>, Option<&'static str>) {
        #[expect(clippy::disallowed_methods, reason = "some instant is needed to count from")]
        let now = Moment { instant: Instant::now(), timestamp: Timestamp::UNIX_EPOCH };
        let (node, links, keys) = ("a".into(), links(), HeartbeatKeys::default());
        let mut situation = Situation::default();
        for event in events {
            situation.note(event.clone(), now);
        }
        let mut signs = Signs {
            node: &node,
            leaving: false,
            stopped: false,
            interfaces: "*",
            links: &links,
            steering: None,
            kube_proxy: kube_proxy::Health::Unknown,
            keys: Some(&keys),
            situation: &situation,
        };
        change(&mut signs);
        let health = signs.health();
        assert_eq!(signs.is_able(), health.unable.is_none() || signs.stopped);
        (health.unable.map(|(reason, _)| reason), health.degraded.map(|(reason, _)| reason))
    }

    #[test]
    fn a_node_whose_kube_proxy_or_kernel_says_no_is_neither_able_nor_well() {
        let unwell = kube_proxy::Health::Unwell(503);
        let said = reasons(|signs| signs.kube_proxy = unwell, &[]);
        assert_eq!(said, (Some("KubeProxyUnhealthy"), Some("KubeProxyUnhealthy")));
        let said = reasons(|signs| signs.steering = Some("no nf_tables"), &[]);
        assert_eq!(said, (Some("SteeringFailed"), Some("SteeringFailed")));
        assert_eq!(reasons(|signs| signs.stopped = true, &[]), (Some("Stopped"), None));
        assert_eq!(reasons(|_| (), &[]), (None, None));
    }

    #[test]
    fn what_the_member_says_degrades_the_node_and_the_worst_comes_first() {
        let of = |event: member::Event| Event::Member(event);
        let late = || of(member::Event::Degraded { link: LINK, degraded: true });
        let refusing = || of(member::Event::Refusing { link: LINK, node: "b".into(), refuses: true });
        let duplicate = || of(member::Event::DuplicateName { node: "a".into() });
        let hindered =
            || Event::Hindered { link: LINK, task: Task::Frames, hindrance: Some("no packet socket".to_owned()) };
        assert_eq!(reasons(|_| (), &[late()]).1, Some("Late"));
        assert_eq!(reasons(|_| (), &[late(), refusing()]).1, Some("HeartbeatsRefused"));
        assert_eq!(reasons(|_| (), &[late(), refusing(), duplicate()]).1, Some("DuplicateName"));
        assert_eq!(reasons(|signs| signs.keys = None, &[late(), duplicate()]).1, Some("HeartbeatKeyUnreadable"));
        assert_eq!(reasons(|signs| signs.keys = None, &[hindered()]).1, Some("PacketSocketFailed"));
    }
}
