use super::*;
use crate::intake::{Change, News, NodeRecord, Reading, Seen, VipRecord};
use herald_api::convert::heartbeat::{HeartbeatKeys, KEY_LENGTH, Key};
use herald_core::address::Vip;
use herald_core::names::ServiceKey;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

/// A directory that is gone after the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("herald-state-file-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("speaker.json")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[expect(clippy::disallowed_methods, reason = "a file is written in real time")]
fn clock() -> Instant {
    Instant::now()
}

fn file(directory: &Directory) -> StateFile {
    StateFile::new(Some(directory.file()), "node-1".into())
}

fn listed<K, V>(key: impl Into<K>, record: V) -> [Seen<K, V>; 3] {
    [Seen::ListBegins, Seen::Listed(key.into(), Reading::Record(record)), Seen::ListEnds]
}

fn vip() -> Vip {
    Vip::new("2001:db8::10".parse().unwrap()).unwrap()
}

fn world() -> World {
    let mut world = World::default();
    let mut news = News::default();
    let holder = ServiceKey::new("default", "web");
    let record = VipRecord { holder: Some(holder), preferred: Some("node-2".into()), ..VipRecord::unused() };
    let made = "2026-11-21T12:00:00Z".parse().unwrap();
    let keys = HeartbeatKeys {
        keys: BTreeMap::from([(made, Key::new([7; KEY_LENGTH]))]),
        cluster_id: Some("u1".to_owned()),
        garbled: Vec::new(),
    };
    let node = NodeRecord { uid: "n".into(), labels: BTreeMap::new(), bar: None, draining: false, cordoned: true };
    for seen in listed(vip(), record) {
        world.apply(Change::Ledger(seen), &mut news);
    }
    for seen in listed("node-1", node) {
        world.apply(Change::Node(seen), &mut news);
    }
    for seen in listed("herald-heartbeat-key", keys) {
        world.apply(Change::Keys(seen), &mut news);
    }
    for seen in [Seen::ListBegins, Seen::ListEnds] {
        world.apply(Change::Speaker(seen), &mut news);
    }
    for seen in [Seen::ListBegins, Seen::ListEnds] {
        world.apply(Change::Pool(seen), &mut news);
    }
    for seen in [Seen::ListBegins, Seen::ListEnds] {
        world.apply(Change::Advertisement(seen), &mut news);
    }
    for seen in [Seen::ListBegins, Seen::ListEnds] {
        world.apply(Change::Service(seen), &mut news);
    }
    for seen in [Seen::ListBegins, Seen::ListEnds] {
        world.apply(Change::EndpointSlice(seen), &mut news);
    }
    world
}

#[tokio::test]
async fn what_was_known_is_known_again_in_another_life() {
    let directory = Directory::new("again");
    let known = world();
    assert!(file(&directory).read().unwrap().is_none(), "there is no file yet");
    let mut writer = file(&directory);
    writer.outdate();
    writer.write(&known, clock());
    assert!(!writer.written(clock).await);
    assert_eq!(fs::metadata(directory.file()).unwrap().permissions().mode() & 0o777, 0o600, "it holds keys");

    let memory = file(&directory).read().unwrap().expect("it was written");
    let mut remembered = World::default();
    let mut news = News::default();
    remembered.remember(memory, &mut news);
    assert!(remembered.is_complete() && !remembered.is_listed());
    assert_eq!(remembered.ledger.records(), known.ledger.records());
    assert_eq!(remembered.nodes.records(), known.nodes.records());
    assert_eq!(remembered.keys.records(), known.keys.records());
    assert!(news.vips.contains(&vip()) && news.nodes && news.settings);
    assert_eq!(remembered.vips_of(&ServiceKey::new("default", "web")).collect::<Vec<_>>(), [vip()]);
}

#[tokio::test]
async fn it_is_written_on_change_only_and_at_most_once_a_second() {
    let directory = Directory::new("pace");
    let (mut writer, world, now) = (file(&directory), world(), clock());
    assert_eq!(writer.next_deadline(now), None, "nothing changed");
    writer.outdate();
    assert_eq!(writer.next_deadline(now), Some(now), "the first change is written at once");
    writer.write(&world, now);
    writer.outdate();
    assert_eq!(writer.next_deadline(now), None, "one is being written");
    assert!(!writer.written(|| now + Duration::from_millis(20)).await);
    let next = writer.next_deadline(now).expect("it changed meanwhile");
    assert!(next >= now + PAUSE, "{:?}", next - now);
    writer.write(&world, now + Duration::from_millis(500));
    assert!(writer.writing.is_none(), "too early");
    writer.write(&world, next);
    assert!(writer.writing.is_some());
    assert!(!writer.written(|| next + Duration::from_secs(1)).await);
    writer.outdate();
    assert_eq!(writer.next_deadline(next), Some(next + Duration::from_secs(21)), "a slow disk is left alone longer");
}

#[tokio::test]
async fn a_view_that_is_not_complete_replaces_none() {
    let directory = Directory::new("partial");
    let mut writer = file(&directory);
    writer.outdate();
    writer.write(&World::default(), clock());
    assert!(writer.writing.is_none());
}

#[tokio::test]
async fn a_useless_file_is_said_to_be_and_does_no_harm() {
    let directory = Directory::new("useless");
    fs::create_dir_all(&directory.0).unwrap();
    for text in ["", "{", "{\"form\":1}", "[]"] {
        fs::write(directory.file(), text).unwrap();
        let error = file(&directory).read().err().expect(text);
        assert!(error.to_string().contains("delete it"), "{text:?}: {error}");
    }
    let mut writer = file(&directory);
    writer.outdate();
    writer.write(&world(), clock());
    assert!(!writer.written(clock).await, "it is written over");
    let other = StateFile::new(Some(directory.file()), "node-2".into());
    let error = other.read().err().expect("another node's");
    assert!(error.to_string().contains("was written on node node-1"), "{error}");
    let later = fs::read_to_string(directory.file()).unwrap().replacen("\"form\":1", "\"form\":2", 1);
    fs::write(directory.file(), later).unwrap();
    assert!(matches!(file(&directory).read(), Err(StateFileError::Form { .. })));
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_tried_again() {
    let directory = Directory::new("refused");
    fs::write(&directory.0, "a file where the directory should be").unwrap();
    let mut writer = file(&directory);
    writer.outdate();
    writer.write(&world(), clock());
    assert!(writer.written(clock).await);
    assert!(writer.next_deadline(clock()).is_some());
    fs::remove_file(&directory.0).unwrap();
    let later = clock() + Duration::from_mins(1);
    writer.write(&world(), later);
    assert!(!writer.written(|| later).await);
}
