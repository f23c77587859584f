//! Members in virtual time: what they do about an address when a node dies, hangs, leaves or comes back.

mod conflicts;
mod losses;
mod many;
mod moves;
mod site;

use super::*;
use site::{Site, name, vip};

const VIP: u8 = 100;

#[test]
fn an_address_that_nobody_had_is_asked_for_and_then_announced_by_one_node() {
    let mut site = Site::new(3, true, &[vip(VIP)]);
    site.pass(2_000);
    let holder = site.holder(vip(VIP));
    let first = site.announcements(vip(VIP))[0];
    let asked: Vec<_> = site.probes.iter().filter(|(_, _, target)| *target == vip(VIP).address()).collect();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!(first.1, holder);
    assert_eq!(first.0 - asked[1].0, 50, "the second question got its time");
    let Tenure::Announcing { epoch: 1, came } = site.state(holder, vip(VIP)).tenure else {
        panic!("{:?}", site.state(holder, vip(VIP)))
    };
    assert_eq!((came.cause, came.from), (Cause::Allocated, None));
    assert!(site.said.iter().all(|said| said.node == holder));
}

#[test]
fn a_node_alone_waits_for_nobody_and_asks_the_wire_all_the_same() {
    let mut site = Site::new(1, true, &[vip(VIP)]);
    let announced = site.until(500, "an announcement", |site| !site.announcements(vip(VIP)).is_empty());
    assert!((100..=110).contains(&announced), "{announced} ms");
}

#[test]
fn many_addresses_find_nodes_everywhere_and_each_has_one() {
    let vips: Vec<Vip> = (100..200).map(vip).collect();
    let site = Site::settled(3, true, &vips);
    let mut counts = BTreeMap::new();
    for vip in vips {
        *counts.entry(site.holder(vip)).or_insert(0) += 1;
    }
    assert!(counts.values().all(|count| *count > 15), "{counts:?}");
}

#[test]
fn an_address_goes_where_it_is_wished_and_stays_when_the_wish_is_old() {
    let mut site = Site::new(3, true, &[]);
    site.tell(|outlook| {
        let subject = crate::ownership::Subject { preferred: Some(name(2)), ..site::subject(vip(VIP)) };
        outlook.subjects.insert(vip(VIP), Arc::new(subject));
    });
    site.pass(2_000);
    assert_eq!(site.holder(vip(VIP)), 2);
    site.power_off(2);
    site.pass(2_000);
    let second = site.holder(vip(VIP));
    assert_ne!(second, 2);
    site.power_on(2);
    site.pass(10_000);
    assert_eq!(site.holder(vip(VIP)), second, "nothing moves back");
}

#[test]
fn an_address_that_ends_falls_silent_at_once_and_says_so() {
    let mut site = Site::settled(3, true, &[vip(VIP)]);
    let holder = site.holder(vip(VIP));
    site.tell(|outlook| outlook.subjects.clear());
    assert_eq!(site.holders(vip(VIP)), Vec::<u8>::new());
    assert_eq!(site.state(holder, vip(VIP)), VipState::default());
    site.said.clear();
    site.pass(5_000);
    assert_eq!(site.said, []);
}

#[test]
fn nothing_is_announced_before_its_rules_are_in_the_kernel() {
    let mut site = Site::new(3, true, &[]);
    site.tell(|outlook| {
        outlook.subjects.insert(vip(VIP), Arc::new(site::subject(vip(VIP))));
        outlook.unprepared.insert(vip(VIP));
    });
    site.pass(3_000);
    assert_eq!(site.said, []);
    site.tell(|outlook| outlook.unprepared.clear());
    site.pass(500);
    site.holder(vip(VIP));
}

#[test]
fn one_node_says_why_nobody_can_have_an_address() {
    let mut site = Site::settled(3, true, &[vip(VIP)]);
    for number in 1..=3 {
        site.tell_node(number, |node| node.bar = Some(crate::ownership::Bar::Label));
    }
    site.pass(5_000);
    assert_eq!(site.holders(vip(VIP)), Vec::<u8>::new());
    let says = |number| matches!(site.state(number, vip(VIP)).tenure, Tenure::Unowned(_));
    assert_eq!((1..=3).filter(|number| says(*number)).count(), 1);
}

#[test]
fn a_speaker_started_again_goes_on_where_it_was_with_the_epoch_it_had() {
    let mut site = Site::settled(1, true, &[vip(VIP)]);
    site.tell_vip(vip(VIP), |subject| subject.claim = Some(crate::liveness::Claim { epoch: 7, node: name(1) }));
    site.kill(1);
    site.said.clear();
    site.start(1);
    site.pass(1_000);
    let Tenure::Announcing { epoch, came } = site.state(1, vip(VIP)).tenure else { panic!("silent") };
    assert_eq!((epoch, came.cause), (7, Cause::Resumed));
}

#[test]
fn all_speakers_started_together_go_on_where_they_were() {
    let vips: Vec<Vip> = (100..130).map(vip).collect();
    let mut site = Site::settled(3, true, &vips);
    let before: Vec<u8> = vips.iter().map(|vip| site.holder(*vip)).collect();
    for (vip, holder) in vips.iter().zip(&before) {
        site.tell_vip(*vip, |subject| {
            subject.claim = Some(crate::liveness::Claim { epoch: 1, node: name(*holder) });
        });
    }
    (1..=3).for_each(|number| site.power_off(number));
    site.pass(10_000);
    site.said.clear();
    (1..=3).for_each(|number| site.power_on(number));
    site.pass(3_000);
    for (vip, holder) in vips.iter().zip(before) {
        assert_eq!(site.holder(*vip), holder);
        assert!(site.announcements(*vip).iter().all(|(_, node)| *node == holder), "{vip} was announced by others too");
    }
}
