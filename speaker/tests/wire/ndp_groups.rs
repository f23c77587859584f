//! Solicited-node groups: items 30 and 31.

use crate::site::{Speaker, VIP6, answers, question};
use crate::support::eventually;
use crate::support::lan::{Host, Lan};
use crate::support::station::Station;
use serde_json::Value;
use std::time::Duration;

const GROUP: &str = "ff02::1:ff00:100";
/// Shares its last three bytes, and so the group, with the first VIP.
const NAMESAKE: &str = "2001:db8:1::100";
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether a frame is a report of membership in the group.
fn reports_membership(frame: &Value) -> bool {
    let records = frame["mld"].as_array();
    records.is_some_and(|records| records.iter().any(|record| record[1] == GROUP && record[0] == 4))
}

fn is_member(host: &Host) -> Result<(), String> {
    let groups = host.namespace.run("ip -6 maddr show dev eth0");
    if groups.contains(GROUP) { Ok(()) } else { Err(groups) }
}

#[test]
fn item_30_candidates_report_their_membership_before_any_failover() {
    let lan = Lan::new();
    let node = lan.attach("node", &[]);
    let client = lan.attach("client", &[]);
    let station = Station::listen(&client.namespace, "eth0");
    let speaker = Speaker::start(&node.namespace);
    speaker.publish(&[], &[VIP6]);
    let report = station.expect("an MLDv2 report of a candidate", reports_membership);
    assert_eq!(report["src"], node.mac);
    lan.plug("node", false);
    eventually("the node to lose its carrier", PATIENCE, || {
        let shown = node.namespace.run("ip link show dev eth0");
        if shown.contains("NO-CARRIER") { Ok(()) } else { Err(shown) }
    });
    lan.plug("node", true);
    station.expect("another report after the link came back", reports_membership);
}

#[test]
fn item_30_on_a_snooping_switch_the_first_question_after_a_failover_is_answered() {
    let lan = Lan::new();
    lan.switch.run("ip link set dev br0 type bridge mcast_snooping 1 mcast_querier 1");
    let nodes = ["node-1", "node-2"].map(|name| lan.attach(name, &[]));
    let client = lan.attach("client", &["2001:db8::50/64"]);
    let speakers = nodes.each_ref().map(|node| Speaker::start(&node.namespace));
    speakers[0].own(&nodes[0], &[VIP6]);
    speakers[1].publish(&[], &[VIP6]);
    eventually("the switch to know both ports as members", PATIENCE, || {
        let shown = lan.switch.run("bridge mdb show dev br0");
        let knows =
            |port: &str| shown.lines().any(|line| line.contains(GROUP) && line.contains(&format!("port {port} ")));
        if knows("node-1") && knows("node-2") { Ok(()) } else { Err(shown) }
    });
    lan.plug("node-1", false);
    speakers[1].own(&nodes[1], &[VIP6]);
    let mut station = Station::listen(&client.namespace, "eth0");
    station.send(&question(&client.mac, VIP6));
    let answer = station.expect("an answer to the first question", |frame| answers(frame, VIP6));
    assert_eq!(answer["src"], nodes[1].mac);
}

#[test]
fn item_31_a_shared_group_is_left_with_its_last_vip() {
    let lan = Lan::new();
    let node = lan.attach("node", &[]);
    let client = lan.attach("client", &["2001:db8::50/64"]);
    let speaker = Speaker::start(&node.namespace);
    speaker.own(&node, &[VIP6, NAMESAKE]);
    eventually("the group to be joined", PATIENCE, || is_member(&node));
    let mut station = Station::listen(&client.namespace, "eth0");
    speaker.publish(&[NAMESAKE], &[NAMESAKE]);
    speaker.expect_withdrawn(VIP6);
    station.send(&question(&client.mac, NAMESAKE));
    station.expect("an answer for the one that stays", |frame| answers(frame, NAMESAKE));
    is_member(&node).expect("membership for the one that stays");
    speaker.publish(&[], &[]);
    eventually("the group to be left", PATIENCE, || match is_member(&node) {
        Ok(()) => Err("still a member".to_owned()),
        Err(_) => Ok(()),
    });
}
