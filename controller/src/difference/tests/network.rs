//! What becomes of addresses that somebody else may have.

use super::*;
use crate::announced::ASKING;
use crate::records::Finding;
use herald_api::keys::{condition, reason};

fn vip(last: u8) -> Vip {
    Vip::new([192, 0, 2, last].into()).unwrap()
}

fn with_a_speaker() -> Cluster {
    Cluster { nodes: vec!["node-1"], ..Cluster::new(false) }
}

fn found(answer: Option<&str>) -> Finding {
    Finding { at: Timestamp::UNIX_EPOCH, answer: answer.map(|mac| mac.parse().unwrap()) }
}

fn shows(cluster: &Cluster) -> Vec<String> {
    let status = &cluster.services[&key(0)].status;
    status.load_balancer.ingress.iter().filter_map(|entry| entry.ip.clone()).collect()
}

fn says(cluster: &Cluster) -> Option<String> {
    let conditions = &cluster.services[&key(0)].status.conditions;
    let said = conditions.iter().find(|said| said.type_ == condition::SERVICE_ANNOUNCED)?;
    Some(format!("{} {}", said.status, said.reason))
}

fn started(cluster: &mut Cluster) -> Process {
    let mut process = Process::new(cluster);
    cluster.create(&key(0), false);
    process.relist(cluster);
    process
}

#[test]
fn an_address_that_was_found_silent_shows_with_its_record() {
    let mut cluster = with_a_speaker();
    cluster.findings.insert(vip(2), found(None));
    let mut process = started(&mut cluster);
    assert_eq!(process.work(&mut cluster), ["create_vip", "publish_status"]);
    assert_eq!(shows(&cluster), ["192.0.2.2"]);
    cluster.speak();
    process.relist(&cluster);
    assert_eq!(process.work(&mut cluster), ["publish_status"]);
    assert_eq!(says(&cluster).as_deref(), Some("True Announced"));
}

#[test]
fn another_address_shows_with_one_write_once_it_is_announced() {
    let mut cluster = with_a_speaker();
    let mut process = started(&mut cluster);
    assert_eq!(process.work(&mut cluster), ["create_vip"]);
    assert_eq!(process.work(&mut cluster), Vec::<&str>::new());
    cluster.speak();
    process.relist(&cluster);
    assert_eq!(process.work(&mut cluster), ["publish_status"]);
    assert_eq!((shows(&cluster), says(&cluster).as_deref()), (vec!["192.0.2.1".to_owned()], Some("True Announced")));
}

#[test]
fn that_it_takes_long_is_said_without_an_event_and_the_address_doesn_t_show() {
    let mut cluster = with_a_speaker();
    let mut process = started(&mut cluster);
    process.work(&mut cluster);
    process.now.monotonic += ASKING;
    let notices: Vec<_> = process.lanes_now(&cluster).into_iter().flat_map(|lane| lane.notices).collect();
    assert!(notices.iter().all(|notice| notice.reason != reason::PROBING), "{notices:?}");
    assert_eq!(process.work(&mut cluster), ["publish_status"]);
    assert_eq!((shows(&cluster).len(), says(&cluster).as_deref()), (0, Some("False Probing")));
    assert_eq!(process.work(&mut cluster), Vec::<&str>::new());
}

#[test]
fn a_stranger_s_address_is_given_back_before_it_was_shown_and_another_one_is_taken() {
    let mut cluster = with_a_speaker();
    cluster.strangers.insert(vip(1));
    let mut process = started(&mut cluster);
    assert_eq!(process.work(&mut cluster), ["create_vip"]);
    cluster.speak();
    process.relist(&cluster);
    assert_eq!(process.work(&mut cluster), ["create_vip"]);
    cluster.speak();
    process.relist(&cluster);
    assert_eq!(process.work(&mut cluster), ["publish_status", "confirm_release", "delete_vip"]);
    assert_eq!((shows(&cluster), says(&cluster).as_deref()), (vec!["192.0.2.2".to_owned()], Some("True Announced")));
}

#[test]
fn an_address_that_was_asked_for_by_name_stays_but_doesn_t_show_while_a_stranger_has_it() {
    let mut cluster = with_a_speaker();
    cluster.findings.insert(vip(3), found(Some("52:54:00:00:00:09")));
    let mut process = started(&mut cluster);
    cluster.request(&key(0), "192.0.2.3");
    process.relist(&cluster);
    assert_eq!(process.work(&mut cluster), ["create_vip", "publish_status"]);
    assert_eq!((shows(&cluster).len(), says(&cluster).as_deref()), (0, Some("False AddressConflict")));
    cluster.findings.clear();
    cluster.speak();
    process.relist(&cluster);
    assert_eq!(process.work(&mut cluster), ["publish_status"]);
    assert_eq!((shows(&cluster), says(&cluster).as_deref()), (vec!["192.0.2.3".to_owned()], Some("True Announced")));
}

#[test]
fn a_shown_address_is_taken_out_while_a_stranger_has_it_and_never_replaced() {
    let mut cluster = with_a_speaker();
    let mut process = started(&mut cluster);
    process.work(&mut cluster);
    cluster.speak();
    process.relist(&cluster);
    process.work(&mut cluster);
    cluster.strangers.insert(vip(1));
    cluster.speak();
    process.relist(&cluster);
    let told: Vec<_> = process.lanes_now(&cluster).into_iter().flat_map(|lane| lane.notices).collect();
    assert!(told.iter().any(|notice| notice.warning && notice.reason == reason::ADDRESS_CONFLICT), "{told:?}");
    assert_eq!(process.work(&mut cluster), ["publish_status"]);
    assert_eq!((shows(&cluster).len(), says(&cluster).as_deref()), (0, Some("False AddressConflict")));
    assert_eq!(process.work(&mut cluster), Vec::<&str>::new());
    assert!(cluster.vips.contains_key(&vip(1)), "it stays the Service's");
    cluster.strangers.clear();
    cluster.speak();
    process.relist(&cluster);
    process.work(&mut cluster);
    assert_eq!((shows(&cluster), says(&cluster).as_deref()), (vec!["192.0.2.1".to_owned()], Some("True Announced")));
}

#[test]
fn a_service_keeps_the_address_that_it_shows_until_the_one_it_asks_for_is_known_to_be_free() {
    let mut cluster = with_a_speaker();
    let mut process = started(&mut cluster);
    process.work(&mut cluster);
    cluster.speak();
    process.relist(&cluster);
    process.work(&mut cluster);
    cluster.request(&key(0), "192.0.2.4");
    process.relist(&cluster);
    assert_eq!(process.work(&mut cluster), ["create_vip"]);
    assert_eq!(shows(&cluster), ["192.0.2.1"]);
    cluster.strangers.insert(vip(4));
    cluster.speak();
    process.relist(&cluster);
    assert_eq!(process.work(&mut cluster), ["publish_status"]);
    assert_eq!(
        (shows(&cluster), says(&cluster).as_deref()),
        (vec!["192.0.2.1".to_owned()], Some("False AddressConflict"))
    );
    cluster.strangers.clear();
    cluster.speak();
    process.relist(&cluster);
    assert_eq!(process.work(&mut cluster), ["publish_status", "confirm_release", "delete_vip"]);
    assert_eq!(shows(&cluster), ["192.0.2.4"]);
}

#[test]
fn a_pool_that_is_not_asked_about_waits_for_nothing() {
    let mut cluster = with_a_speaker();
    cluster.pool.probed = false;
    let mut process = started(&mut cluster);
    assert_eq!(process.work(&mut cluster), ["create_vip", "publish_status"]);
    assert_eq!(shows(&cluster), ["192.0.2.1"]);
}

#[test]
fn two_strangers_are_not_tried_in_turn_for_ever() {
    let mut cluster = with_a_speaker();
    cluster.strangers.extend([vip(1), vip(2)]);
    let mut process = started(&mut cluster);
    for _ in 0..6 {
        process.work(&mut cluster);
        cluster.speak();
        process.relist(&cluster);
    }
    assert_eq!(shows(&cluster), ["192.0.2.3"]);
}
