//! Members in virtual time.

mod site;

use super::*;
use site::{Site, name, vip};

#[test]
fn an_address_that_nobody_had_is_asked_for_and_then_announced_by_one_node() {
    let mut site = Site::new(3, true, &[vip(100)]);
    site.pass(2_000);
    let holder = site.holder(vip(100));
    let first = site.announcements(vip(100))[0];
    let asked: Vec<_> = site.probes.iter().filter(|(_, _, target)| *target == vip(100).address()).collect();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!(first.1, holder);
    assert_eq!(first.0 - asked[1].0, 50, "the second question got its time");
    let Tenure::Announcing { epoch: 1, came } = site.state(holder, vip(100)).tenure else {
        panic!("{:?}", site.state(holder, vip(100)))
    };
    assert_eq!((came.cause, came.from), (Cause::Allocated, None));
    assert!(site.said.iter().all(|said| said.node == holder));
}

#[test]
fn power_loss_is_followed_by_another_node_within_the_bound() {
    for gateway in [true, false] {
        for count in [3, 5] {
            let mut site = Site::settled(count, gateway, &[vip(100)]);
            let holder = site.holder(vip(100));
            let lost = site.milliseconds();
            site.power_off(holder);
            site.until(2_000, "a takeover", |site| !site.holders(vip(100)).is_empty());
            site.pass(10);
            let (at, by) = site.announcements(vip(100))[0];
            assert!((300..=700).contains(&(at - lost)), "{} ms, gateway {gateway}, {count} nodes", at - lost);
            assert_ne!(by, holder);
            let Tenure::Announcing { epoch: 2, came } = site.state(by, vip(100)).tenure else {
                panic!("{:?}", site.state(by, vip(100)))
            };
            assert_eq!((came.cause, came.from), (Cause::Dead, Some(name(holder))));
            let gap = came.gap.unwrap().as_millis();
            assert!((300..=800).contains(&gap), "{gap}");
        }
    }
}
