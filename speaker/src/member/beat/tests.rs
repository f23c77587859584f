//! Two sockets on a cable between two namespaces.

use super::*;
use crate::member::support::eventually;
use crate::member::support::lan::{Host, Lan};
use herald_core::mac::MacAddr;
use herald_core::names::IfIndex;
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::time::Duration;
use tokio::runtime::Runtime;

const PORT: u16 = 7948;
const SOON: Duration = Duration::from_secs(5);

fn link(host: &Host) -> Link {
    Link {
        index: IfIndex(host.index),
        name: "eth0".into(),
        mac: MacAddr::ZERO,
        carrier: true,
        addresses: BTreeSet::new(),
        link_local: None,
        gateways: BTreeSet::new(),
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A socket in a host's namespace.
fn open(runtime: &Runtime, host: &Host, family: Family) -> BeatSocket {
    host.namespace.within(|| {
        let _guard = runtime.enter();
        BeatSocket::open(&link(host), family, PORT).expect("a heartbeat socket")
    })
}

fn hear(runtime: &Runtime, socket: &mut BeatSocket, batch: &mut Batch) -> Vec<IpAddr> {
    let mut refusals = Vec::new();
    let read = poll_fn(|context| socket.poll_receive(context, batch, &mut refusals));
    let read = runtime.block_on(async { tokio::time::timeout(SOON, read).await });
    read.expect("something to read in time");
    refusals
}

fn families() -> [(Family, &'static str, &'static str); 2] {
    [(Family::V4, "192.0.2.1", "192.0.2.2"), (Family::V6, "2001:db8::1", "2001:db8::2")]
}

fn hosts() -> (Lan, Host, Host) {
    let lan = Lan::new();
    let one = lan.attach("one", &["192.0.2.1/24", "2001:db8::1/64"]);
    let two = lan.attach("two", &["192.0.2.2/24", "2001:db8::2/64"]);
    (lan, one, two)
}

#[test]
fn a_datagram_arrives_with_its_sender_and_its_time() {
    let (_lan, one, two) = hosts();
    for (family, here, there) in families() {
        let runtime = runtime();
        let (from, mut to) = (open(&runtime, &one, family), open(&runtime, &two, family));
        let before = now();
        from.send(b"beat", there.parse().unwrap()).expect("a datagram sent");
        let mut batch = Batch::new();
        assert!(hear(&runtime, &mut to, &mut batch).is_empty());
        let arrivals: Vec<_> = batch.arrivals().map(|arrival| (arrival.bytes, arrival.source)).collect();
        assert_eq!(arrivals, [(&b"beat"[..], Some(here.parse().unwrap()))], "{family:?}");
        let received = batch.arrivals().next().map(|arrival| arrival.received).unwrap();
        assert!(before <= received + Duration::from_millis(1) && received <= now(), "the time of arrival");
    }
}

#[test]
fn a_refusal_names_the_peer_and_keeps_no_other_datagram_back() {
    let (lan, one, _two) = hosts();
    let three = lan.attach("three", &["192.0.2.3/24", "2001:db8::3/64"]);
    for ((family, _, there), other) in families().into_iter().zip(["192.0.2.3", "2001:db8::3"]) {
        let runtime = runtime();
        let mut from = open(&runtime, &one, family);
        let mut third = open(&runtime, &three, family);
        let there: IpAddr = there.parse().unwrap();
        let mut batch = Batch::new();
        from.send(b"beat", there).expect("a datagram sent to a kernel that refuses it");
        let began = now();
        assert_eq!(hear(&runtime, &mut from, &mut batch), [there], "{family:?}");
        println!("{family:?}: refused after {:?}", now() - began);
        assert!(batch.is_empty());
        // The refusal is there, unread, when the next datagram is sent.
        from.send(b"again", there).expect("another datagram");
        eventually("the refusal in the queue", SOON, || {
            from.send(b"beat", other.parse().unwrap()).map_err(|error| error.to_string())?;
            let mut refusals = Vec::new();
            from.receive_now(&mut Batch::new(), &mut refusals);
            if refusals == [there] { Ok(()) } else { Err(format!("{refusals:?}")) }
        });
        hear(&runtime, &mut third, &mut batch);
        assert!(batch.arrivals().all(|arrival| arrival.bytes == b"beat"));
    }
}

#[test]
fn what_has_waited_is_there_without_the_event_loop_and_as_old_as_its_wait() {
    const WAIT: Duration = Duration::from_millis(100);
    let (_lan, one, two) = hosts();
    let runtime = runtime();
    let (from, mut to) = (open(&runtime, &one, Family::V4), open(&runtime, &two, Family::V4));
    from.send(b"beat", "192.0.2.2".parse().unwrap()).expect("a datagram sent");
    eventually("the datagram in the kernel", SOON, || {
        to.descriptor.get_ref().peek(&mut [MaybeUninit::uninit()]).map_err(|error| error.to_string())
    });
    let there = now();
    eventually("some time to pass", SOON, || if now() > there + WAIT { Ok(()) } else { Err("not yet".to_owned()) });
    let mut batch = Batch::new();
    assert!(!to.receive_now(&mut batch, &mut Vec::new()), "there was only one");
    let received = batch.arrivals().next().map(|arrival| arrival.received).expect("the datagram");
    assert!(received < there + WAIT / 2, "received {:?} after it was there", received - there);
}
