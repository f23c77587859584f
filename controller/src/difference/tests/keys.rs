//! When the Secret with the keys of heartbeats is made, and when it is left alone.

use super::*;
use crate::effects::Seen;
use crate::records::SecretRecord;
use herald_api::keys::HEARTBEAT_SECRET;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

fn record(keys: usize, names_cluster: bool) -> SecretRecord {
    let seen = Seen { uid: Uid::new("u1"), version: "7".to_owned() };
    SecretRecord { seen, keys, names_cluster, complaints: Vec::new() }
}

fn is(record: SecretRecord) -> Report<String, SecretRecord> {
    Report::Is(HEARTBEAT_SECRET.to_owned(), record)
}

/// What is to be done after these reports: whether there is a Secret to add to, whether a key and whether the name of the
/// cluster is needed.
fn called_for(reports: Vec<Report<String, SecretRecord>>) -> Option<(bool, bool, bool)> {
    let cluster = Cluster::new(false);
    let mut process = Process::new(&cluster);
    for report in reports {
        process.state.observe(Observation::Secret(report));
    }
    let made = |lane: Lane| match lane.effects.first() {
        Some(Effect::MakeHeartbeatKey { seen, key, cluster }) => Some((seen.is_some(), *key, *cluster)),
        _ => None,
    };
    process.lanes(&cluster).into_iter().find_map(made)
}

#[test]
fn a_secret_that_was_there_at_the_start_is_known_and_left_alone() {
    assert_eq!(called_for(vec![Report::Listing, is(record(1, true)), Report::Listed]), None);
    assert_eq!(called_for(vec![Report::Listing, is(record(1, true)), Report::Listed, is(record(2, true))]), None);
}

#[test]
fn what_is_made_in_a_moment_is_no_complaint() {
    let data = [("cluster-id", ""), ("tomorrow", "")].map(|(name, value)| (name.to_owned(), ByteString(value.into())));
    let name = Some(HEARTBEAT_SECRET.to_owned());
    let secret =
        Secret { metadata: ObjectMeta { name, ..ObjectMeta::default() }, data: Some(data.into()), ..Secret::default() };
    let read = Cluster::new(false).reader.secret(&secret);
    let Some(Observation::Secret(Report::Is(_, record))) = read else { panic!("{read:?}") };
    assert_eq!((record.keys, record.names_cluster), (0, false));
    assert!(matches!(&record.complaints[..], [one] if one.contains("tomorrow")), "{:?}", record.complaints);
}

#[test]
fn nothing_is_made_before_it_is_known_whether_there_is_a_secret() {
    assert_eq!(called_for(vec![Report::Listing]), None);
    assert_eq!(called_for(vec![Report::Listing, Report::Listed]), Some((false, true, true)));
}

#[test]
fn what_is_lacking_is_added_and_a_deleted_secret_is_made_anew() {
    let known = |record| vec![Report::Listing, is(record), Report::Listed];
    assert_eq!(called_for(known(record(0, true))), Some((true, true, false)));
    assert_eq!(called_for(known(record(0, false))), Some((true, true, true)));
    assert_eq!(called_for(known(record(3, false))), Some((true, false, true)));
    let mut deleted = known(record(1, true));
    deleted.push(Report::Gone(HEARTBEAT_SECRET.to_owned(), None));
    assert_eq!(called_for(deleted), Some((false, true, true)));
}
