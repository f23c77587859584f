//! Many addresses: what changes costs something, what stays doesn't, and nobody waits for a big piece of work.

use super::super::*;
use super::site::{Site, name};
use crate::liveness::Claim;
use std::net::Ipv4Addr;

/// Addresses of 10.0.0.0/16, which lies on nobody's interface.
fn numbered(number: u32) -> Vip {
    Vip::new(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number))).unwrap()
}

fn subjects(count: u32, nodes: u32) -> BTreeMap<Vip, Arc<crate::ownership::Subject>> {
    let subject = |number: u32| {
        let owner = u8::try_from(number % nodes + 1).unwrap();
        let claim = Some(Claim { epoch: 1, node: name(owner) });
        crate::ownership::Subject { claim, ..super::site::subject(numbered(number)) }
    };
    (1..=count).map(|number| (numbered(number), Arc::new(subject(number)))).collect()
}

/// Three members with many addresses that an advertisement puts on everybody's interface.
fn site(count: u32) -> Site {
    let mut site = Site::new(3, true, &[]);
    site.tell(|outlook| {
        let mut view = View::clone(&outlook.view);
        let interfaces = vec![crate::ownership::InterfacePattern::new("eth0")];
        let all = crate::ownership::Advertisement { interfaces, ..crate::ownership::Advertisement::default() };
        view.advertisements.insert("all".to_owned(), all);
        outlook.view = Arc::new(view);
        outlook.subjects = subjects(count, 3);
    });
    site.pass(6_000);
    site
}

#[test]
fn a_death_touches_the_dead_nodes_addresses_and_no_others() {
    let mut site = site(3_000);
    assert_eq!(site.member(1).held.len(), 1_000);
    site.machines.values_mut().for_each(|machine| machine.events.clear());
    site.power_off(3);
    site.pass(1_500);
    let (one, two) = (site.member(1).held.len(), site.member(2).held.len());
    assert_eq!(one + two, 3_000, "{one} and {two}");
    for number in [1, 2] {
        let told: BTreeSet<Vip> = site.machines[&number]
            .events
            .iter()
            .filter_map(|(_, event)| match event {
                Event::Vip { vip, .. } => Some(*vip),
                _ => None,
            })
            .collect();
        let dead = |vip: &&Vip| site.machines[&number].outlook.subjects[vip].claim.as_ref().unwrap().node == name(3);
        assert!(told.len() > 300 && told.iter().filter(dead).count() == told.len(), "{} of {}", number, told.len());
    }
}

#[test]
fn what_stays_the_same_is_not_looked_at_again() {
    let mut site = site(3_000);
    let now = site.now;
    let mut outlook = site.machines[&1].outlook.clone();
    let subject = crate::ownership::Subject { preferred: Some(name(1)), ..super::site::subject(numbered(1)) };
    outlook.subjects.insert(numbered(1), Arc::new(subject));
    let member = site.member(1);
    member.agenda.clear();
    member.set_outlook(Arc::new(outlook), now);
    assert!(member.agenda.is_empty() && member.dirty.is_empty());
    assert!(member.unsettled.len() < 3, "{} addresses are unsettled", member.unsettled.len());
}

#[test]
fn a_big_change_is_worked_off_in_slices() {
    let mut site = Site::new(1, true, &[]);
    let now = site.now;
    let outlook = Outlook { subjects: subjects(2_000, 1), ..site.machines[&1].outlook.clone() };
    let member = site.member(1);
    member.set_outlook(Arc::new(outlook), now);
    let mut turns = 0;
    while !member.agenda.is_empty() {
        assert_eq!(member.next_deadline(now), Some(now));
        member.handle_timeout(now);
        turns += 1;
    }
    assert!(turns >= 2_000 / SLICE - 1, "{turns} turns");
}
