//! Every refusal as a user reads it, in one file: `snapshots/refusals.snap`.

use super::*;

struct Case {
    situation: &'static str,
    cluster: Cluster,
}

/// A cluster whose Service `web` is refused something.
fn case(situation: &'static str, ranges: &[&str], arrange: impl FnOnce(&mut Cluster)) -> Case {
    let mut cluster = Cluster::default();
    if !ranges.is_empty() {
        cluster.pool("lan", ranges);
    }
    cluster.service("web");
    arrange(&mut cluster);
    Case { situation, cluster }
}

fn about_pools() -> Vec<Case> {
    const LAN: &[&str] = &["192.0.2.0/30"];
    vec![
        case("no pool at all", &[], |_| ()),
        case("pools only by request", LAN, |cluster| cluster.pool("lan", LAN).auto_assign = false),
        case("pools for others", LAN, |cluster| {
            cluster.pool("lan", LAN).service_selector = Some(selector("app", "api"));
            cluster.pool("team", &["198.51.100.0/24"]).namespace_selector = Some(selector("team", "red"));
            cluster.pool("dmz", &["203.0.113.0/24"]).namespaces.insert("edge".into());
        }),
        case("many pools for others", &[], |cluster| {
            for number in 1..=9 {
                cluster
                    .pool(&format!("pool-{number}"), &[&format!("192.0.2.{number}")])
                    .namespaces
                    .insert("edge".into());
            }
        }),
        case("a pool that is not there", LAN, |cluster| cluster.change("web").pools = vec!["wan".to_owned()]),
        case("a pool set aside", &[], |cluster| {
            let reason =
                "spec.addresses[0]: 126.0.0.0/7 holds loopback addresses, which no Service can have: leave them out";
            cluster.0.pools_set_aside.insert("wide".into(), reason.to_owned());
        }),
        case("a full pool", LAN, |cluster| {
            for name in ["a", "b", "c", "d"] {
                cluster.service(name);
            }
        }),
        case("a pool whose addresses are all another's", LAN, |cluster| {
            let first = cluster.pool("first", LAN);
            first.priority = 1;
            first.namespaces.insert("edge".into());
        }),
        case("a family no pool has", LAN, |cluster| cluster.change("web").families = vec![Family::V6]),
    ]
}

fn about_addresses() -> Vec<Case> {
    const LAN: &[&str] = &["192.0.2.0/24", "2001:db8::/64"];
    let asks = |cluster: &mut Cluster, address| cluster.change("web").addresses = vec![vip(address)];
    vec![
        case("an address outside every pool", LAN, |cluster| asks(cluster, "203.0.113.7")),
        case("an address, and no pool", &[], |cluster| asks(cluster, "203.0.113.7")),
        case("an address of another pool than the one asked for", LAN, |cluster| {
            cluster.pool("dmz", &["203.0.113.0/24"]);
            asks(cluster, "203.0.113.7");
            cluster.change("web").pools = vec!["lan".to_owned()];
        }),
        case("an address of a pool for others", LAN, |cluster| {
            cluster.pool("lan", LAN).namespaces.insert("edge".into());
            asks(cluster, "192.0.2.7");
        }),
        case("an address in use", LAN, |cluster| {
            cluster.service("api").addresses = vec![vip("192.0.2.7")];
            asks(cluster, "192.0.2.7");
        }),
        case("an address of a Service just deleted", LAN, |cluster| {
            cluster.service("api").addresses = vec![vip("192.0.2.7")];
            cluster.step();
            cluster.delete("api");
            asks(cluster, "192.0.2.7");
        }),
        case("another address than the one it has, in use", LAN, |cluster| {
            cluster.service("api").addresses = vec![vip("192.0.2.7")];
            cluster.step();
            asks(cluster, "192.0.2.7");
        }),
        case("an annotation that is no address", LAN, |cluster| {
            let message = "annotation herald-lb.io/addresses: \"web\" is not an IPv4 or IPv6 address";
            cluster.change("web").invalid = Some(message.to_owned());
        }),
    ]
}

#[test]
fn every_refusal_names_the_object_and_the_field_to_change() {
    let text: Vec<_> = about_pools()
        .into_iter()
        .chain(about_addresses())
        .map(|Case { situation, cluster }| {
            let plan = cluster.plan();
            let refusal = refusal(&plan, "web");
            assert!(!refusal.is_empty(), "{situation}: nothing is refused");
            assert!(refusal.len() < 900, "{situation}: too long for an event: {refusal}");
            let (reason, message) = refusal.split_once(": ").unwrap();
            let has = addresses(&plan, "web").join(", ");
            let has = if has.is_empty() { String::new() } else { format!("\n  (and keeps {has})") };
            format!("{situation}\n  {reason}\n  {message}{has}\n")
        })
        .collect();
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("refusals", text.join("\n"));
    });
}
