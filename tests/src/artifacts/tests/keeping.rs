//! What the cache keeps, and when.

use std::fs::{self, File};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use anyhow::bail;
use nix::sys::stat::futimens;
use nix::sys::time::{TimeSpec, TimeValLike};

use super::super::cache::{Cache, Fingerprint, Key};
use super::super::progress::Progress;
use super::{Scratch, names};

fn key(text: &str) -> Key {
    let mut fingerprint = Fingerprint::new();
    fingerprint.text(text);
    fingerprint.key()
}

#[test]
fn an_entry_is_made_once_and_found_afterwards() {
    let scratch = Scratch::new();
    let cache = Cache::at(scratch.path("cache")).unwrap();
    let made = cache.entry("thing", &key("a"), Progress::quiet(), |directory| {
        fs::write(directory.join("file"), "content")?;
        Ok(())
    });
    let again = cache.entry("thing", &key("a"), Progress::quiet(), |_| bail!("made a second time"));
    assert_eq!(made.unwrap(), again.unwrap());
}

#[test]
fn what_could_not_be_made_leaves_nothing_and_is_tried_again() {
    let scratch = Scratch::new();
    let cache = Cache::at(scratch.path("cache")).unwrap();
    let failed = cache.entry("thing", &key("a"), Progress::quiet(), |directory| {
        fs::write(directory.join("half"), "content")?;
        bail!("the compiler died")
    });
    assert_eq!(failed.unwrap_err().to_string(), "the compiler died");
    let entry = cache.entry("thing", &key("a"), Progress::quiet(), |_| Ok(())).unwrap();
    assert_eq!(names(&entry), Vec::<String>::new());
    assert_eq!(names(&scratch.path("cache")), [".lock", &entry.file_name().unwrap().to_string_lossy()]);
}

#[test]
fn two_that_want_the_same_thing_make_it_once() {
    let scratch = Scratch::new();
    let cache = Cache::at(scratch.path("cache")).unwrap();
    let made = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let entry = cache.entry("thing", &key("a"), Progress::quiet(), |directory| {
                    made.fetch_add(1, Ordering::Relaxed);
                    fs::write(directory.join("file"), "content")?;
                    Ok(())
                });
                assert_eq!(names(&entry.unwrap()), ["file"]);
            });
        }
    });
    assert_eq!(made.into_inner(), 1);
}

#[test]
fn only_the_entries_used_last_are_kept() {
    let scratch = Scratch::new();
    let cache = Cache::at(scratch.path("cache")).unwrap();
    let make = |thing: &str, text: &str| cache.entry(thing, &key(text), Progress::quiet(), |_| Ok(())).unwrap();
    let other = make("thing-of-another-kind", "other");
    let entries: Vec<_> = ["one", "two", "three"].iter().map(|text| make("thing", text)).collect();
    for (age, entry) in [&other, &entries[0], &entries[1], &entries[2]].into_iter().enumerate() {
        let time = TimeSpec::seconds(1_000_000 + i64::try_from(age).unwrap());
        futimens(File::open(entry).unwrap(), &time, &time).unwrap();
    }
    make("thing", "one"); // used again, so it is not the oldest
    let newest = make("thing", "four");

    assert!(!entries[1].exists(), "the one that was not used for longest is still there");
    for kept in [&other, &entries[0], &entries[2], &newest] {
        assert!(kept.exists(), "{} is gone", kept.display());
    }
}

#[test]
fn a_key_tells_files_flags_and_their_borders_apart() {
    let scratch = Scratch::new();
    let file = scratch.write("file", "ab");
    let of = |texts: &[&str]| {
        let mut fingerprint = Fingerprint::new();
        for text in texts {
            fingerprint.text(text);
        }
        fingerprint.key()
    };
    assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
    let with_file = || {
        let mut fingerprint = Fingerprint::new();
        fingerprint.file(&file).unwrap();
        fingerprint.key()
    };
    let before = with_file();
    scratch.write("file", "ac");
    assert_ne!(before, with_file());
}
