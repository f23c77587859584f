//! The guard: the fixed chains of table `herald`, one per family. Owns their rules; what a VIP is and which ports are served
//! stands in two sets.
//!
//! Everything hangs around kube-proxy's verdicts, never before them (its chains: filter at -110, translation at -100, filter
//! at 0). So after -100 only what kube-proxy did not take is still addressed to a VIP:
//!
//! | chain | hook, priority | does |
//! |---|---|---|
//! | `ping`, `ping-local` | nat prerouting and output, -99 | gives echo requests to the node, which answers |
//! | `arriving`, `leaving` | prerouting and output, -90 | sends VIPs' packets through `judge-arriving`, `judge-leaving` |
//! | `judge-*` | | drops ICMP and what connection tracking calls invalid, lets served ports pass to kube-proxy's filters, refuses the rest |
//! | `undelivered` | forward, 10 | drops what nobody took |
//! | `undelivered-local` | output, 10 | the same for what this node sends |
//! | `undelivered-input` | input, 110 | the same behind IPVS, where the VIP is on an interface |
//!
//! - A packet dropped or refused here never reaches neighbour resolution: the node asks for no VIP by ARP or NDP and nothing
//!   loops through a router. An unserved port causes no ICMP redirect either, since refusal precedes routing. For a served
//!   port that kube-proxy does not take (no endpoint, rules not there yet) the kernel may send one before `forward`: it says that
//!   the VIP is on the link, which is so, and a host that reached it on the link ignores it. It could be stopped only by a
//!   rule on raw bytes, which `nft` prints but can't load again.
//! - A local address is the node's own and left alone: a pool that overlaps the nodes' addresses by mistake cuts nobody off from
//!   a node. Where kube-proxy runs in ipvs mode it makes every VIP a local address (on `kube-ipvs0`); there only an address of
//!   the very interface a packet came in by is the node's own.
//! - What connection tracking calls invalid is dropped, not refused: a reset would kill the live connection it belongs to.
//! - ICMP errors about a connection through a VIP are translated with it (at -100) and never get here.
//! - Translation goes to the first address of the interface a ping came in by. An interface without any (a pod's, with some
//!   CNIs) gets no answer; clients on the network come in by interfaces with addresses.

use super::count::Reason;
use herald_wire::nft::{
    BaseChain, Chain, ChainKind, Compare, Counter, Elements, Expression, Family, Field, Header, Hook, Key, Register,
    RejectWith, Rule, Set, Statement, Table, Verdict,
};

/// The table's name in both families.
pub(super) const TABLE: &str = "herald";
/// The set of VIPs.
pub(super) const VIPS: &str = "vips";
/// The set of served ports: address, protocol, port.
pub(super) const PORTS: &str = "ports";
/// The interface on which kube-proxy's ipvs mode puts every VIP.
pub(super) const IPVS_INTERFACE: &str = "kube-ipvs0";
/// By this beginning of its comment a table is known as ours.
pub(super) const OWNER: &str = "herald-speaker";
const COMMENT: &str = "herald-speaker: refuses what no Service serves; changes by hand are undone";

/// Right after kube-proxy's translation at -100.
const AFTER_TRANSLATION: i32 = -99;
/// After all translation, before kube-proxy's filters at 0.
const BEFORE_FILTERS: i32 = -90;
/// After kube-proxy's filters at 0.
const AFTER_FILTERS: i32 = 10;
/// After IPVS in input (98 to 100).
const AFTER_IPVS: i32 = 110;

/// `RTN_LOCAL` of `linux/rtnetlink.h`.
const LOCAL: u32 = 2;
/// `ARPHRD_LOOPBACK` of `linux/if_arp.h`.
const LOOPBACK: u16 = 772;
/// The bit of `ct state invalid`.
const INVALID: u32 = 1;
const TCP: u8 = 6;

/// The guard of one family, without elements.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Guard {
    pub(super) table: Table,
    pub(super) sets: Vec<Set>,
    pub(super) counters: Vec<Counter>,
    pub(super) chains: Vec<Chain>,
    pub(super) rules: Vec<Rule>,
}

impl Guard {
    /// `ipvs`: kube-proxy has put the VIPs on an interface.
    pub(super) fn of(family: Family, ipvs: bool) -> Self {
        let set = |name: &str, fields: &[Field]| {
            let (table, name) = (TABLE.to_owned(), name.to_owned());
            Set { family, table, name, key: Key::of(fields), flags: 0 }
        };
        let counter = |reason: Reason| {
            let (table, name) = (TABLE.to_owned(), reason.as_str().to_owned());
            Counter { family, table, name, packets: 0, bytes: 0 }
        };
        let address = Packet::of(family).address;
        let (chains, rules) = chains(family, ipvs);
        Self {
            table: Table { family, name: TABLE.to_owned(), comment: COMMENT.to_owned() },
            sets: vec![set(VIPS, &[address]), set(PORTS, &[address, Field::Protocol, Field::Port])],
            counters: Reason::ALL.map(counter).to_vec(),
            chains,
            rules,
        }
    }

    /// What makes it, in an order the kernel accepts.
    pub(super) fn statements(self) -> impl Iterator<Item = Statement> {
        std::iter::once(Statement::AddTable(self.table))
            .chain(self.sets.into_iter().map(Statement::AddSet))
            .chain(self.counters.into_iter().map(Statement::AddCounter))
            .chain(self.chains.into_iter().map(Statement::AddChain))
            .chain(self.rules.into_iter().map(Statement::AddRule))
    }

    /// How many chains, sets and counters the table holds.
    pub(super) fn holds(&self) -> usize {
        self.sets.len() + self.counters.len() + self.chains.len()
    }
}

/// A set's keys as elements to add or delete.
pub(super) fn elements(family: Family, set: &str, keys: Vec<Vec<u8>>) -> Elements {
    Elements { family, table: TABLE.to_owned(), set: set.to_owned(), keys }
}

fn chains(family: Family, ipvs: bool) -> (Vec<Chain>, Vec<Rule>) {
    use ChainKind::{Filter, Nat};
    let packet = Packet::of(family);
    let base = |kind, hook, priority| Some(BaseChain { kind, hook, priority, drops: false });
    let arriving =
        [vec![own("arrived from this node, judged when it left", &from_loopback())], packet.judge(ipvs)].concat();
    let input =
        [vec![own("judged when it left", &from_loopback())], vec![packet.undelivered_unless_own(ipvs)]].concat();
    let definitions = [
        ("judge-arriving", None, arriving),
        ("judge-leaving", None, packet.judge(false)),
        ("ping", base(Nat, Hook::Prerouting, AFTER_TRANSLATION), vec![packet.ping()]),
        ("ping-local", base(Nat, Hook::Output, AFTER_TRANSLATION), vec![packet.ping()]),
        ("arriving", base(Filter, Hook::Prerouting, BEFORE_FILTERS), vec![packet.jump("judge-arriving")]),
        ("leaving", base(Filter, Hook::Output, BEFORE_FILTERS), vec![packet.jump("judge-leaving")]),
        ("undelivered", base(Filter, Hook::Forward, AFTER_FILTERS), vec![packet.undelivered()]),
        ("undelivered-local", base(Filter, Hook::Output, AFTER_FILTERS), vec![packet.undelivered_unless_own(false)]),
        ("undelivered-input", base(Filter, Hook::Input, AFTER_IPVS), input),
    ];
    let mut chains = Vec::new();
    let mut rules = Vec::new();
    for (name, base, steps) in definitions {
        chains.push(Chain { family, table: TABLE.to_owned(), name: name.to_owned(), base });
        rules.extend(steps.into_iter().map(|Step { comment, expressions }| Rule {
            family,
            table: TABLE.to_owned(),
            chain: name.to_owned(),
            expressions,
            comment: comment.to_owned(),
        }));
    }
    (chains, rules)
}

/// A rule before it has a chain.
#[derive(Clone)]
struct Step {
    comment: &'static str,
    expressions: Vec<Expression>,
}

fn step(comment: &'static str, expressions: &[&[Expression]]) -> Step {
    Step { comment, expressions: expressions.concat() }
}

fn own(comment: &'static str, condition: &[Expression]) -> Step {
    step(comment, &[condition, &[Expression::Verdict(Verdict::Accept)]])
}

fn compare(how: Compare, value: &[u8]) -> Expression {
    Expression::Compare { register: Register::FIRST, how, value: value.to_vec() }
}

fn from_loopback() -> Vec<Expression> {
    vec![Expression::IncomingInterfaceType(Register::FIRST), compare(Compare::Equal, &LOOPBACK.to_ne_bytes())]
}

fn destination_type(of_incoming_interface: bool, how: Compare) -> Vec<Expression> {
    let load = Expression::DestinationType { of_incoming_interface, register: Register::FIRST };
    vec![load, compare(how, &LOCAL.to_ne_bytes())]
}

fn protocol(number: u8) -> Vec<Expression> {
    vec![Expression::TransportProtocol(Register::FIRST), compare(Compare::Equal, &[number])]
}

fn count(reason: Reason) -> Expression {
    Expression::Count(reason.as_str().to_owned())
}

fn drop_as(reason: Reason) -> Vec<Expression> {
    vec![count(reason), Expression::Verdict(Verdict::Drop)]
}

/// What differs between the families.
struct Packet {
    address: Field,
    /// Offset and length of the destination in the network header, in bytes.
    destination: (u32, u32),
    icmp: u8,
    echo_request: u8,
    port_unreachable: u8,
}

impl Packet {
    const fn of(family: Family) -> Self {
        match family {
            Family::Ip => Self {
                address: Field::Ipv4Address,
                destination: (16, 4),
                icmp: 1,
                echo_request: 8,
                port_unreachable: 3,
            },
            Family::Ip6 => Self {
                address: Field::Ipv6Address,
                destination: (24, 16),
                icmp: 58,
                echo_request: 128,
                port_unreachable: 4,
            },
        }
    }

    fn load_destination(&self) -> Expression {
        let (offset, length) = self.destination;
        Expression::Payload { header: Header::Network, offset, length, register: Register::FIRST }
    }

    fn to_vip(&self) -> Vec<Expression> {
        vec![self.load_destination(), Expression::Lookup { set: VIPS.to_owned(), register: Register::FIRST }]
    }

    fn to_served_port(&self) -> Vec<Expression> {
        let (_, address) = self.destination;
        let port = Register::at(address + 4);
        vec![
            self.load_destination(),
            Expression::TransportProtocol(Register::at(address)),
            // The destination port of TCP, UDP and SCTP alike; another protocol is in no key.
            Expression::Payload { header: Header::Transport, offset: 2, length: 2, register: port },
            Expression::Lookup { set: PORTS.to_owned(), register: Register::FIRST },
        ]
    }

    fn ping(&self) -> Step {
        let kind = Expression::Payload { header: Header::Transport, offset: 0, length: 1, register: Register::FIRST };
        let echo = [kind, compare(Compare::Equal, &[self.echo_request])];
        let answer = [count(Reason::Ping), Expression::Redirect];
        step("the node answers", &[&self.to_vip(), &protocol(self.icmp), &echo, &answer])
    }

    fn jump(&self, chain: &str) -> Step {
        step("addressed to a VIP", &[&self.to_vip(), &[Expression::Verdict(Verdict::Jump(chain.to_owned()))]])
    }

    fn judge(&self, of_incoming_interface: bool) -> Vec<Step> {
        let register = Register::FIRST;
        let mask = Expression::Mask { register, mask: INVALID.to_ne_bytes().to_vec() };
        let invalid = [Expression::ConntrackState(register), mask, compare(Compare::Unequal, &[0; 4])];
        let reset = [count(Reason::Refused), Expression::Reject(RejectWith::TcpReset)];
        let unreachable = [count(Reason::Refused), Expression::Reject(RejectWith::Unreachable(self.port_unreachable))];
        vec![
            own("an address of this node", &destination_type(of_incoming_interface, Compare::Equal)),
            step("of no connection", &[&protocol(self.icmp), &drop_as(Reason::Icmp)]),
            step("a reset could kill a live connection", &[&invalid, &drop_as(Reason::Invalid)]),
            step("served", &[&self.to_served_port(), &[Expression::Verdict(Verdict::Accept)]]),
            step("not served", &[&protocol(TCP), &reset]),
            step("not served", &[&unreachable]),
        ]
    }

    fn undelivered(&self) -> Step {
        step("nobody took it", &[&self.to_vip(), &drop_as(Reason::Undelivered)])
    }

    fn undelivered_unless_own(&self, of_incoming_interface: bool) -> Step {
        let foreign = destination_type(of_incoming_interface, Compare::Unequal);
        step("nobody took it", &[&self.to_vip(), &foreign, &drop_as(Reason::Undelivered)])
    }
}
