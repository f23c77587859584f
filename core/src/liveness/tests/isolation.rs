//! Whether a node notices that it is itself the one who is late, or cut off.

use super::*;

fn witness(net: &Net, number: usize) -> Witness {
    net.nodes[&name(number)].detector.witness(net.now)
}

#[test]
fn an_observer_that_stood_still_accuses_nobody() {
    for pause in [220, 500, 1_000, 5_000, 60_000] {
        let mut net = Net::of(4).with_gateway();
        net.pass(ms(1_000));
        net.power(1, Power::Paused);
        net.pass(ms(pause));
        net.resume(1);
        net.pass(ms(10_000));
        assert!(net.node(1).fallen().is_empty(), "stood still for {pause} ms: {:?}", net.node(1).fallen());
        assert_eq!(net.node(1).detector.counts().late, 1);
    }
}

#[test]
fn who_was_late_says_so_judges_nobody_for_a_second_and_then_sees_again() {
    let mut net = Net::of(3);
    net.pass(ms(1_000));
    net.power(1, Power::Paused);
    net.pass(ms(300));
    net.power(2, Power::Off);
    net.resume(1);
    let woke = net.now;
    assert!(net.node(1).detector.is_degraded(woke));
    assert!(
        net.nodes[&name(1)]
            .log
            .iter()
            .any(|(_, effect)| matches!(effect, Effect::Woke { lateness } if *lateness >= ms(180)))
    );
    net.pass(ms(999));
    let asked = net.nodes[&name(1)].log.iter().any(|(at, effect)| *at >= woke && matches!(effect, Effect::Ask(_)));
    assert!(!asked, "it asks nobody's kernel on its own behalf");
    assert!(net.node(1).detector.is_degraded(woke + ms(999)));
    let degraded = |net: &Net| net.nodes[&name(1)].log.iter().filter(|(_, e)| *e == Effect::Degraded(false)).count();
    assert_eq!(degraded(&net), 0);
    net.until("it sees the death", ms(700), |net| net.standing(2, 1).fallen_since().is_some());
    assert_eq!(degraded(&net), 1);
    let shown = net.nodes[&name(1)].sent().filter(|(_, said)| said.state.degraded).count();
    assert!(shown > 5, "{shown} messages said so");
}

#[test]
fn who_is_late_has_no_vote() {
    let mut net = Net::of(3);
    net.pass(ms(1_000));
    net.power(1, Power::Paused);
    net.pass(ms(350));
    net.resume(1);
    net.pass(ms(50));
    net.power(2, Power::Off);
    net.until("its death is unconfirmed", ms(700), |net| {
        matches!(net.standing(2, 3), Standing::Dead { confirmed: false, .. })
    });
}

#[test]
fn who_is_cut_off_falls_silent_before_others_can_act() {
    let mut net = Net::of(3).with_gateway();
    net.pass(ms(3_000));
    assert_eq!(witness(&net, 1), Witness { majority: true, gateway: Gateway::Answers, passive: false });
    net.forget();
    net.cut_between(&[1], &[2, 3]);
    net.reaches_gateway.remove(&name(1));
    let start = net.now;
    net.until("it is passive", ms(360), |net| net.nodes[&name(1)].detector.is_passive(net.now));
    let told = net.nodes[&name(1)].log.iter().rev().find(|(_, effect)| *effect == Effect::Witness).unwrap().0;
    assert!(net.now - told <= ms(1), "it says so at once");
    net.until("others hold it dead", ms(700), |net| net.standing(1, 2).fallen_since().is_some());
    assert!(net.now - told >= ms(60), "others act {:?} later", net.now - told);
    assert!(told - start >= ms(235), "not before 3.5 beats after the last one");
    net.pass(ms(60_000));
    assert!(net.nodes[&name(1)].detector.is_passive(net.now), "{:?}", witness(&net, 1));

    net.cut.clear();
    net.reaches_gateway.insert(name(1));
    net.until("it is back", ms(300), |net| !net.nodes[&name(1)].detector.is_passive(net.now));
}

#[test]
fn when_all_are_silent_the_gateway_is_asked_three_times_within_a_beat() {
    let mut net = Net::of(3).with_gateway();
    net.pass(ms(3_000));
    net.forget();
    net.cut_between(&[1], &[2, 3]);
    net.pass(ms(340));
    let asked: Vec<Instant> = net.nodes[&name(1)]
        .log
        .iter()
        .filter(|(_, effect)| matches!(effect, Effect::Ask(Inquiry::Resolve { target: GATEWAY, .. })))
        .map(|(at, _)| *at)
        .collect();
    let burst = asked.windows(3).any(|three| three[2] - three[0] <= ms(100));
    assert!(burst, "{asked:?}");
    assert!(!net.nodes[&name(1)].detector.is_passive(net.now), "it answers");
}

#[test]
fn while_all_is_well_the_gateway_is_asked_once_a_second() {
    let mut net = Net::of(3).with_gateway();
    net.pass(ms(3_000));
    net.forget();
    net.pass(ms(10_000));
    let to = Effect::Ask(Inquiry::Resolve { target: GATEWAY, mac: Some(GATEWAY_MAC), probe: false });
    let asked = net.nodes[&name(1)].log.iter().filter(|(_, effect)| *effect == to).count();
    assert!((9..=11).contains(&asked), "{asked}");
}

#[test]
fn a_gateway_that_never_answered_says_nothing() {
    let mut net = Net::of(3).with_gateway();
    net.gateway = false;
    net.pass(ms(10_000));
    assert_eq!(witness(&net, 1).gateway, Gateway::Unknown);
    net.cut_between(&[1], &[2, 3]);
    net.pass(ms(10_000));
    assert_eq!(witness(&net, 1), Witness { majority: false, gateway: Gateway::Unknown, passive: false });
}

#[test]
fn a_gateway_that_changes_its_ethernet_address_is_found_again() {
    let mut net = Net::of(2).with_gateway();
    net.pass(ms(1_000));
    let now = net.now;
    net.node(1).detector.handle_answer(GATEWAY, MacAddr([2, 9, 9, 9, 9, 9]), now, now);
    net.pass(ms(6_000));
    assert_eq!(witness(&net, 1).gateway, Gateway::Answers);
}

#[test]
fn the_side_with_more_nodes_has_the_majority_until_the_others_are_dead() {
    let mut net = Net::of(5);
    net.pass(ms(1_000));
    net.cut_between(&[1, 2], &[3, 4, 5]);
    net.pass(ms(405));
    assert!(!witness(&net, 1).majority && !witness(&net, 2).majority);
    assert!([3, 4, 5].iter().all(|number| witness(&net, *number).majority));
    net.pass(ms(5_000));
    assert!((1..=5).all(|number| witness(&net, number).majority), "each side bears the death of the other out");
}

#[test]
fn of_two_nodes_the_one_left_alone_has_no_majority_unless_the_other_is_known_to_have_fallen() {
    let mut net = Net::of(2);
    net.pass(ms(1_000));
    assert!(witness(&net, 1).majority);
    net.power(2, Power::Off);
    net.pass(ms(10_000));
    assert!(!witness(&net, 1).majority, "it may be this one that is cut off");
    net.power(2, Power::Stopped);
    net.pass(ms(2_000));
    assert!(witness(&net, 1).majority, "its kernel refuses: the link is well");
}

#[test]
fn a_starved_peer_doesnt_count_against_the_majority() {
    let mut net = Net::of(2).with_gateway();
    net.pass(ms(1_000));
    net.power(2, Power::Paused);
    net.pass(ms(1_000));
    assert_eq!(witness(&net, 1), Witness { majority: true, gateway: Gateway::Answers, passive: false });
    net.gateway = false;
    net.pass(ms(10_000));
    assert_eq!(witness(&net, 1), Witness { majority: true, gateway: Gateway::Silent, passive: false });
}

#[test]
fn without_carrier_nobody_is_judged_and_with_it_judgement_begins_anew() {
    let mut net = Net::of(3).with_gateway();
    net.pass(ms(1_000));
    net.forget();
    net.cut_between(&[1], &[2, 3]);
    net.reaches_gateway.remove(&name(1));
    let now = net.now;
    net.node(1).detector.set_carrier(false, now);
    net.flush();
    assert_eq!(witness(&net, 1), Witness { majority: false, gateway: Gateway::Silent, passive: true });
    net.pass(ms(10_000));
    assert!(net.node(1).fallen().is_empty(), "{:?}", net.node(1).fallen());

    net.cut.clear();
    net.reaches_gateway.insert(name(1));
    let now = net.now;
    net.node(1).detector.set_carrier(true, now);
    net.flush();
    net.pass(ms(2_000));
    assert!(net.node(1).fallen().is_empty(), "{:?}", net.node(1).fallen());
    assert!([2, 3].iter().all(|at| net.standing(1, *at) == Standing::Alive(ABLE)));
}

#[test]
fn a_node_alone_in_its_cluster_is_never_passive() {
    let mut net = Net::of(1).with_gateway();
    net.pass(ms(2_000));
    net.gateway = false;
    net.pass(ms(10_000));
    assert_eq!(witness(&net, 1), Witness { majority: true, gateway: Gateway::Silent, passive: false });
}
