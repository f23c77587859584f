//! What is programmed, as `nft` shows it.

use crate::support::namespace::Namespace;
use herald_core::address::Vip;
use herald_core::service::{Protocol, ServicePort};
use herald_core::steering::{Elements, Table};
use herald_speaker::steering::{Steering, SteeringError};
use herald_wire::nft::Family;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;

const ROLE: &str = "HERALD_TEST_WITHOUT_NET_ADMIN";

fn steering(namespace: &Namespace) -> Steering {
    namespace.within(Steering::open).expect("steering in a fresh namespace")
}

/// A table written as `address: protocol/port ...`.
pub(crate) fn table(lines: &[&str]) -> Table {
    let vips = lines.iter().map(|line| {
        let (address, ports) = line.rsplit_once(':').expect("address: ports");
        let ports = ports.split_whitespace().map(|port| {
            let (protocol, port) = port.split_once('/').expect("protocol/port");
            let protocol = match protocol {
                "tcp" => Protocol::Tcp,
                "udp" => Protocol::Udp,
                "sctp" => Protocol::Sctp,
                other => panic!("{other} is no protocol of a Service"),
            };
            ServicePort { protocol, port: port.parse().expect("a port") }
        });
        (Vip::new(address.parse().expect("an address")).expect("a VIP"), ports.collect())
    });
    Table { vips: vips.collect() }
}

fn listing(namespace: &Namespace) -> Vec<Value> {
    let text = namespace.run("nft -j -n -a list ruleset");
    let mut json: Value = serde_json::from_str(&text).expect("nft prints JSON");
    json["nftables"].as_array_mut().map(std::mem::take).expect("a list of objects")
}

/// The elements of table `herald` in both families, by `nft`.
fn elements_shown(namespace: &Namespace) -> Elements {
    let mut shown = Elements::default();
    let address =
        |value: &Value| Vip::new(value.as_str().expect("an address").parse().expect("an address")).expect("a VIP");
    for object in listing(namespace) {
        let set = &object["set"];
        if set["table"] != "herald" {
            continue;
        }
        for element in set["elem"].as_array().into_iter().flatten() {
            match set["name"].as_str() {
                Some("vips") => assert!(shown.vips.insert(address(element)), "{element} twice"),
                Some("ports") => {
                    let [vip, protocol, port] = element["concat"].as_array().expect("a key of three").as_slice() else {
                        panic!("{element}")
                    };
                    let protocol = match protocol.as_u64() {
                        Some(6) => Protocol::Tcp,
                        Some(17) => Protocol::Udp,
                        Some(132) => Protocol::Sctp,
                        _ => panic!("{element}"),
                    };
                    let port = u16::try_from(port.as_u64().expect("a port")).expect("a port");
                    assert!(shown.ports.insert((address(vip), ServicePort { protocol, port })), "{element} twice");
                }
                _ => panic!("{set}"),
            }
        }
    }
    shown
}

/// Handles of all tables, chains, sets and rules: the kernel gives new ones to whatever is made anew.
fn handles(namespace: &Namespace) -> BTreeSet<String> {
    let objects = listing(namespace).into_iter().filter(|object| object["metainfo"].is_null());
    objects
        .flat_map(|object| object.as_object().expect("an object").clone())
        .map(|(kind, object)| format!("{kind} {} {} {}", object["family"], object["table"], object["handle"]))
        .collect()
}

fn vip() -> impl Strategy<Value = Vip> {
    let v4 = any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from(bits)));
    let v6 = any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from(bits)));
    let near = any::<u8>().prop_map(|last| IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
    prop_oneof![v4, v6, near].prop_filter_map("no VIP", |address| Vip::new(address).ok())
}

fn any_table() -> impl Strategy<Value = Table> {
    let protocol = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp), Just(Protocol::Sctp)];
    let port = (protocol, any::<u16>()).prop_map(|(protocol, port)| ServicePort { protocol, port });
    prop::collection::btree_map(vip(), prop::collection::btree_set(port, 0..6), 0..30).prop_map(|vips| Table { vips })
}

#[test]
fn the_kernel_takes_every_table_and_nft_shows_exactly_it() {
    let namespace = Namespace::new("node");
    let steering = std::cell::RefCell::new(steering(&namespace));
    let mut runner = TestRunner::new(Config { cases: 40, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&(any_table(), any_table()), |(first, second)| {
        let mut steering = steering.borrow_mut();
        steering.reconcile(&first).expect("the kernel takes the table");
        prop_assert_eq!(elements_shown(&namespace), Elements::from(&first));
        steering.insert(&second).expect("the kernel takes more");
        let mut both = Elements::from(&first);
        both.insert(Elements::from(&second));
        prop_assert_eq!(elements_shown(&namespace), both);
        steering.reconcile(&second).expect("the kernel takes less");
        prop_assert_eq!(elements_shown(&namespace), Elements::from(&second));
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn ten_thousand_vips_go_in_and_out_as_one_change() {
    let namespace = Namespace::new("node");
    let port = |port| ServicePort { protocol: Protocol::Tcp, port };
    let address = |number: u128| IpAddr::V6(Ipv6Addr::from(0x2001_0db8_u128 << 96 | number));
    let vips = (0..10_000).map(|number| (Vip::new(address(number)).unwrap(), BTreeSet::from([port(80), port(443)])));
    let many = Table { vips: vips.collect() };
    let mut steering = steering(&namespace);
    steering.insert(&many).expect("ten thousand VIPs");
    assert_eq!(elements_shown(&namespace), Elements::from(&many));
    let mut again = namespace.within(Steering::open).expect("a second speaker reads them back");
    again.reconcile(&Table::default()).expect("none at all");
    assert_eq!(elements_shown(&namespace), Elements::default());
}

#[test]
fn chains_hang_around_kube_proxys_and_nowhere_else() {
    let namespace = Namespace::new("node");
    let _steering = steering(&namespace);
    let shown: BTreeSet<_> = listing(&namespace)
        .into_iter()
        .map(|object| object["chain"].clone())
        .filter(|chain| !chain["hook"].is_null())
        .map(|chain| {
            let text = |key: &str| chain[key].as_str().unwrap_or_default().to_owned();
            assert_eq!(chain["policy"], "accept", "{chain}");
            (text("family"), text("hook"), chain["prio"].as_i64().unwrap(), text("type"))
        })
        .collect();
    let expected = [
        ("prerouting", -99, "nat"),
        ("prerouting", -90, "filter"),
        ("output", -99, "nat"),
        ("output", -90, "filter"),
        ("output", 10, "filter"),
        ("forward", 10, "filter"),
        ("input", 110, "filter"),
    ];
    let expected = ["ip", "ip6"].iter().flat_map(|family| {
        expected.map(|(hook, priority, kind)| ((*family).to_owned(), hook.to_owned(), priority, kind.to_owned()))
    });
    assert_eq!(shown, expected.collect());
}

#[test]
fn what_nft_makes_of_its_own_listing_is_taken_for_the_guard() {
    let namespace = Namespace::new("node");
    let expected = table(&["192.0.2.10: tcp/80 udp/53", "2001:db8::10: sctp/3868"]);
    steering(&namespace).insert(&expected).unwrap();
    let saved = std::env::temp_dir().join(format!("herald-listing-{}.nft", std::process::id()));
    std::fs::write(&saved, namespace.run("nft list ruleset")).unwrap();
    namespace.run("nft flush ruleset");
    let loaded = namespace.attempt(&format!("nft -f {}", saved.display()));
    std::fs::remove_file(&saved).unwrap();
    loaded.expect("nft loads what it printed");
    let before = handles(&namespace);
    let mut again = steering(&namespace);
    again.reconcile(&expected).unwrap();
    assert_eq!(handles(&namespace), before, "nothing was made anew");
}

#[test]
fn a_restarted_speaker_finds_everything_and_changes_nothing() {
    let namespace = Namespace::new("node");
    let given = table(&["192.0.2.10: tcp/80", "2001:db8::10: tcp/80", "192.0.2.11:"]);
    steering(&namespace).insert(&given).unwrap();
    let before = handles(&namespace);
    let mut again = steering(&namespace);
    assert_eq!(handles(&namespace), before, "opening changed something");
    again.insert(&given).unwrap();
    again.reconcile(&given).unwrap();
    assert_eq!(handles(&namespace), before, "programming the same changed something");
    assert_eq!(elements_shown(&namespace), Elements::from(&given));
}

#[test]
fn damage_is_repaired_and_the_elements_stay() {
    let given = table(&["192.0.2.10: tcp/80", "2001:db8::10: tcp/80 udp/80"]);
    for damage in [
        "flush chain ip herald undelivered",
        "add rule ip herald judge-arriving drop",
        "insert rule ip6 herald arriving accept",
        "add chain ip6 herald more",
        "add set ip herald more { type ipv4_addr; }",
        "add element ip herald vips { 127.0.0.1 }",
        "add element ip6 herald ports { 2001:db8::1 . icmp . 7 }",
        "add table ip6 herald { flags dormant; }",
        "chain ip herald arriving { policy drop; }",
    ] {
        let namespace = Namespace::new("node");
        let mut first = steering(&namespace);
        first.insert(&given).unwrap();
        // Each table by itself: made anew, one is listed after the other.
        let list = || ["ip", "ip6"].map(|family| namespace.run(&format!("nft -s list table {family} herald")));
        let whole = list();
        let output = namespace.within(|| Command::new("nft").arg(damage).output()).unwrap();
        assert!(output.status.success(), "{damage}: {}", String::from_utf8_lossy(&output.stderr));
        assert_ne!(list(), whole, "{damage} damages");
        let _second = steering(&namespace);
        assert_eq!(list(), whole, "{damage}");
    }
}

#[test]
fn a_flushed_kernel_is_filled_again() {
    let namespace = Namespace::new("node");
    let given = table(&["192.0.2.10: tcp/80", "2001:db8::10: tcp/80"]);
    let mut steering = steering(&namespace);
    steering.insert(&given).unwrap();
    namespace.run("nft flush ruleset");
    steering.reconcile(&given).expect("reconciling a flushed kernel");
    assert_eq!(elements_shown(&namespace), Elements::from(&given));
    namespace.run("nft flush ruleset");
    let more = table(&["192.0.2.10: tcp/80", "2001:db8::10: tcp/80", "192.0.2.20: udp/53"]);
    steering.insert(&more).expect("inserting into a flushed kernel");
    assert_eq!(elements_shown(&namespace), Elements::from(&more));
}

#[test]
fn other_tables_are_never_touched() {
    let namespace = Namespace::new("node");
    namespace.run("nft add table ip herald-not");
    namespace.run("nft add chain ip herald-not pass");
    namespace.run("nft add rule ip herald-not pass counter");
    namespace.run("nft add table inet herald");
    let others = namespace.run("nft -a list ruleset");
    let mut steering = steering(&namespace);
    steering.insert(&table(&["192.0.2.10: tcp/80"])).unwrap();
    steering.reconcile(&Table::default()).unwrap();
    drop(steering);
    assert_eq!(namespace.within(Steering::remove).unwrap(), Family::ALL, "both were there");
    assert_eq!(namespace.run("nft -a list ruleset"), others, "removal leaves others' tables and nothing of ours");
    assert_eq!(namespace.within(Steering::remove).unwrap(), [], "there is nothing left to remove");
}

#[test]
fn a_stranger_with_our_name_is_left_alone_and_named() {
    let namespace = Namespace::new("node");
    namespace.run("nft add table ip6 herald");
    namespace.run("nft add set ip6 herald vips { type ipv6_addr; }");
    let before = namespace.run("nft -a list ruleset");
    for outcome in [namespace.within(Steering::open).map(drop), namespace.within(Steering::remove).map(drop)] {
        let error = outcome.expect_err("a foreign table");
        assert!(matches!(error, SteeringError::ForeignTable { family: Family::Ip6, .. }), "{error:?}");
        assert_eq!(
            error.to_string(),
            "table ip6 herald exists and is not Herald's: rename it or delete it (nft delete table ip6 herald)"
        );
        assert_eq!(namespace.run("nft -a list ruleset"), before);
    }
}

/// Runs itself again in a process without the capability; the environment tells which of the two it is.
#[test]
fn without_the_capability_the_error_names_it() {
    if std::env::var_os(ROLE).is_some() {
        let error = Steering::open().map(drop).expect_err("no capability");
        assert!(matches!(error, SteeringError::MissingCapability), "{error:?}");
        assert!(error.to_string().contains("NET_ADMIN"), "{error}");
        assert!(matches!(Steering::remove(), Err(SteeringError::MissingCapability)));
        println!("the capability is missed");
        return;
    }
    let namespace = Namespace::new("node");
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-net_admin", "--"]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", "table::without_the_capability_the_error_names_it", "--nocapture"]).env(ROLE, "1");
    let output = namespace.within(|| command.output()).expect("setpriv is not there: apt-get install util-linux");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("the capability is missed"), "{said}");
}

#[test]
fn counters_start_at_nothing() {
    let namespace = Namespace::new("node");
    let counts = steering(&namespace).counts().unwrap();
    let sums: BTreeMap<_, _> =
        counts.iter().map(|((family, reason), count)| ((family, reason.as_str()), count)).collect();
    assert_eq!(sums.len(), 10, "five reasons in two families: {sums:?}");
    assert!(sums.values().all(|count| count.packets == 0 && count.bytes == 0), "{sums:?}");
}
