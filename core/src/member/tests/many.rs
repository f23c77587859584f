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

/// When one node that has just started asks for many addresses, in milliseconds, until it has them all.
fn asked_for(count: u32, pacing: announce::Pacing) -> Vec<u64> {
    let mut site = Site::new(1, true, &[]);
    site.kill(1);
    site.announce.pacing = pacing;
    site.start(1);
    site.tell(|outlook| {
        let mut view = View::clone(&outlook.view);
        let interfaces = vec![crate::ownership::InterfacePattern::new("eth0")];
        let all = crate::ownership::Advertisement { interfaces, ..crate::ownership::Advertisement::default() };
        view.advertisements.insert("all".to_owned(), all);
        outlook.view = Arc::new(view);
        let subject = |number| (numbered(number), Arc::new(super::site::subject(numbered(number))));
        outlook.subjects = (1..=count).map(subject).collect();
    });
    site.until(60_000, "every address has been claimed", |site| {
        site.machines[&1].member.as_ref().unwrap().held.len() == count as usize
    });
    assert_eq!(site.probes.len(), 2 * count as usize, "two questions for each address");
    site.probes.iter().map(|(at, ..)| *at).collect()
}

fn most_within(times: &[u64], milliseconds: u64) -> usize {
    let within = |from: &u64| times.iter().filter(|at| (*from..*from + milliseconds).contains(at)).count();
    times.iter().map(within).max().unwrap()
}

#[test]
fn many_addresses_are_asked_for_no_faster_than_they_are_announced() {
    let times = asked_for(500, announce::Pacing::Default);
    assert!(most_within(&times, 10) <= 100, "a burst of 50 and 5 in a millisecond");
    assert!(times[999] - times[0] < 400, "{} ms", times[999] - times[0]);
}

#[test]
fn where_few_frames_are_allowed_questions_before_announcements_count_too() {
    let times = asked_for(20, announce::Pacing::Compat);
    assert!(most_within(&times, 1_000) <= 10, "{times:?}");
}
