//! What is made of silence: gone, starved, dead, or nothing.

use super::*;

fn is_gone(standing: Standing) -> bool {
    matches!(standing, Standing::Gone { .. })
}

fn is_starved(standing: Standing) -> bool {
    matches!(standing, Standing::Starved { .. })
}

fn is_dead(standing: Standing) -> bool {
    matches!(standing, Standing::Dead { confirmed: true, .. })
}

fn running(count: usize) -> Net {
    let mut net = Net::of(count);
    net.pass(ms(1_000));
    net.forget();
    net
}

#[test]
fn a_node_without_power_is_dead_to_all_within_the_bounds_of_the_profile() {
    let mut net = running(3);
    net.power(1, Power::Off);
    let died = net.now;
    net.until("all hold it dead", ms(700), |net| [2, 3].iter().all(|at| is_dead(net.standing(1, *at))));
    let taken = net.now - died;
    assert!(taken >= ms(400) && taken <= ms(650), "{taken:?}");
    assert!(matches!(net.standing(1, 2), Standing::Dead { since, .. } if since <= died && died - since <= ms(111)));
    assert_eq!(net.standing(3, 2), Standing::Alive(ABLE));
}

#[test]
fn a_suspect_is_asked_three_times_by_echo_and_by_unicast_a_third_of_the_confirmation_apart() {
    let mut net = running(3);
    net.power(1, Power::Off);
    net.pass(ms(1_000));
    let peer = peer(1);
    let asked = |inquiry: Inquiry| -> Vec<Instant> {
        net.nodes[&name(2)].log.iter().filter(|(_, e)| *e == Effect::Ask(inquiry)).map(|(at, _)| *at).collect()
    };
    let echoes = asked(Inquiry::Echo { to: peer.address, mac: peer.mac });
    let resolutions = asked(Inquiry::Resolve { target: peer.address, mac: Some(peer.mac), probe: false });
    assert_eq!(echoes, resolutions);
    assert_eq!(echoes.len(), 3, "{echoes:?}");
    assert!(echoes.windows(2).all(|pair| pair[1] - pair[0] == ms(40)));
}

#[test]
fn a_process_that_ends_is_gone_within_300_ms_without_anybody_else_being_asked() {
    let mut net = running(3);
    net.power(1, Power::Stopped);
    let taken = net.until("both hold it gone", ms(300), |net| [2, 3].iter().all(|at| is_gone(net.standing(1, *at))));
    assert!(taken >= ms(150), "{taken:?}");
    let asked = net.nodes[&name(2)].sent().any(|(_, envelope)| matches!(envelope.body, Body::Query(_)));
    assert!(!asked);
    net.pass(ms(5_000));
    assert!(is_gone(net.standing(1, 2)), "and stays so: {:?}", net.standing(1, 2));
}

#[test]
fn a_packet_filter_that_refuses_beats_is_reported_and_nothing_else_happens() {
    let mut net = running(3);
    net.refusing.insert(name(1));
    net.pass(ms(350));
    let told = |net: &Net, refuses| {
        let effect = Effect::Refusing { node: name(1), refuses };
        net.nodes[&name(2)].log.iter().filter(|(_, told)| *told == effect).count()
    };
    assert_eq!(net.standing(1, 2), Standing::Alive(ABLE));
    net.until("it is reported", ms(500), |net| told(net, true) == 1);
    net.pass(ms(5_000));
    assert!(net.node(2).fallen().is_empty(), "{:?}", net.node(2).fallen());
    assert_eq!(told(&net, true), 1, "once");
    net.refusing.clear();
    net.pass(ms(11_000));
    assert_eq!(told(&net, false), 1);
}

#[test]
fn a_speaker_that_stands_still_is_starved_and_not_dead() {
    let mut net = running(3);
    net.power(1, Power::Paused);
    let stopped = net.now;
    net.until("it is starved", ms(700), |net| is_starved(net.standing(1, 2)));
    assert!(matches!(net.standing(1, 2), Standing::Starved { since } if since <= stopped));
    net.pass(ms(60_000));
    let verdicts = net.node(2).fallen().len();
    assert_eq!(verdicts, 1, "{:?}", net.node(2).standings);

    net.resume(1);
    net.until("it stands again", ms(50), |net| [2, 3].iter().all(|at| net.standing(1, *at).takes_part()));
    assert!(net.node(1).fallen().is_empty(), "who stood still accuses nobody: {:?}", net.node(1).fallen());
}

#[test]
fn a_starved_node_whose_power_then_fails_is_dead_within_two_seconds() {
    let mut net = running(3);
    net.power(1, Power::Paused);
    net.pass(ms(10_000));
    net.power(1, Power::Off);
    net.until("it is dead", ms(2_000), |net| is_dead(net.standing(1, 2)));
}

#[test]
fn a_node_whose_process_had_ended_and_whose_power_then_fails_is_dead_within_two_seconds() {
    let mut net = running(3);
    net.power(1, Power::Stopped);
    net.pass(ms(10_000));
    net.power(1, Power::Off);
    net.until("it is dead", ms(2_000), |net| is_dead(net.standing(1, 2)));
    net.power(1, Power::Stopped);
    net.until("its kernel is back", ms(500), |net| is_gone(net.standing(1, 2)));
}

#[test]
fn a_cut_between_two_nodes_that_others_bridge_condemns_nobody() {
    let mut net = running(3);
    net.cut_between(&[1], &[2]);
    net.pass(ms(30_000));
    assert!(net.node(1).fallen().is_empty(), "{:?}", net.node(1).fallen());
    assert!(net.node(2).fallen().is_empty(), "{:?}", net.node(2).fallen());
    assert!(net.node(1).detector.counts().acquitted > 10);
}

#[test]
fn a_filter_that_swallows_beats_one_way_condemns_nobody() {
    let mut net = running(3);
    net.filtered.insert((name(1), name(2)));
    net.pass(ms(30_000));
    for number in 1..=3 {
        assert!(net.node(number).fallen().is_empty(), "node {number}: {:?}", net.node(number).fallen());
    }
}

#[test]
fn with_two_nodes_the_gateways_answer_bears_the_death_out() {
    let mut net = Net::of(2).with_gateway();
    net.pass(ms(1_000));
    net.power(1, Power::Off);
    net.until("it is dead", ms(650), |net| is_dead(net.standing(1, 2)));
}

#[test]
fn with_two_nodes_and_no_gateway_nobody_bears_the_death_out() {
    let mut net = running(2);
    net.power(1, Power::Off);
    net.until("it is dead", ms(650), |net| matches!(net.standing(1, 2), Standing::Dead { confirmed: false, .. }));
    assert_eq!(net.node(2).detector.counts().unconfirmed, 1);
}

#[test]
fn a_gateway_that_is_silent_bears_nothing_out() {
    let mut net = Net::of(2).with_gateway();
    net.pass(ms(1_000));
    net.power(1, Power::Off);
    net.gateway = false;
    net.until("it is dead", ms(650), |net| matches!(net.standing(1, 2), Standing::Dead { confirmed: false, .. }));
}

#[test]
fn several_deaths_at_once_are_all_seen() {
    let mut net = running(7);
    for number in 1..=4 {
        net.power(number, Power::Off);
    }
    let all_seen = |net: &Net| (5..=7).all(|at| (1..=4).all(|of| is_dead(net.standing(of, at))));
    net.until("all four are dead to all", ms(800), all_seen);
}

#[test]
fn all_others_dying_at_once_is_seen_without_a_second_observer() {
    let mut net = Net::of(3).with_gateway();
    net.pass(ms(1_000));
    net.power(1, Power::Off);
    net.power(2, Power::Off);
    net.until("both are dead", ms(900), |net| [1, 2].iter().all(|of| is_dead(net.standing(*of, 3))));
}

#[test]
fn who_was_cut_off_refutes_its_death_within_300_ms_of_the_heal() {
    let mut net = running(4);
    net.cut_between(&[1], &[2, 3, 4]);
    net.pass(ms(10_000));
    assert!((2..=4).all(|at| is_dead(net.standing(1, at))));
    assert!((2..=4).all(|of| matches!(net.standing(of, 1), Standing::Dead { confirmed: false, .. })));
    net.cut.clear();
    let healed =
        |net: &Net| (1..=4).all(|a| (1..=4).all(|b| a == b || matches!(net.standing(a, b), Standing::Alive(_))));
    net.until("all are alive to all", ms(300), healed);
    assert!(net.node(1).detector.counts().refuted > 0);
    net.pass(ms(5_000));
    assert!(healed(&net));
}

#[test]
fn two_halves_that_were_parted_come_together_again() {
    let mut net = running(6);
    net.cut_between(&[1, 2, 3], &[4, 5, 6]);
    net.pass(ms(5_000));
    assert!(is_dead(net.standing(1, 4)) && is_dead(net.standing(6, 2)));
    net.cut.clear();
    let healed =
        |net: &Net| (1..=6).all(|a| (1..=6).all(|b| a == b || matches!(net.standing(a, b), Standing::Alive(_))));
    net.until("all are alive to all", ms(300), healed);
}

#[test]
fn a_death_that_others_report_is_believed_only_without_better_knowledge() {
    let mut net = running(3);
    let now = net.now;
    let incarnation = Incarnation { life: Life(1_001), refutation: 0 };
    let obituary = Obituary { node: name(1), incarnation };
    net.node(2).detector.tell_all(Body::Dead(vec![obituary]), now);
    net.flush();
    net.pass(ms(1_000));
    assert!(net.node(3).fallen().is_empty(), "it hears node 1 itself: {:?}", net.node(3).fallen());
    assert_eq!(net.node(1).detector.counts().refuted, 1, "and the accused refutes it once");
}

#[test]
fn a_new_process_of_a_dead_node_lives() {
    let mut net = running(3);
    net.power(1, Power::Off);
    net.pass(ms(5_000));
    net.start(1);
    net.until("it lives", ms(50), |net| [2, 3].iter().all(|at| net.standing(1, *at).takes_part()));
    net.pass(ms(5_000));
    assert!([2, 3].iter().all(|at| net.standing(1, *at) == Standing::Alive(ABLE)));
}

#[test]
fn who_starts_anew_is_told_who_is_dead_and_who_is_gone() {
    let mut net = running(4);
    net.power(1, Power::Off);
    net.power(2, Power::Stopped);
    net.pass(ms(2_000));
    net.power(3, Power::Stopped);
    net.pass(ms(1_000));
    net.start(3);
    net.until("it knows", ms(50), |net| is_dead(net.standing(1, 3)) && is_gone(net.standing(2, 3)));
    assert!(net.node(4).log.iter().any(|(_, effect)| *effect == Effect::Met(name(3))));
}

#[test]
fn a_peer_that_was_never_heard_and_whose_kernel_answers_may_run() {
    let mut net = Net::dark(3);
    net.filtered.extend([(name(1), name(2)), (name(1), name(3))]);
    (1..=3).for_each(|number| net.start(number));
    net.pass(ms(20_000));
    assert_eq!(net.standing(1, 2), Standing::Unheard);
    assert!(net.node(2).standings.iter().all(|(_, node, _)| *node != name(1)), "{:?}", net.node(2).standings);
}

#[test]
fn a_peer_that_was_never_heard_is_gone_when_its_kernel_refuses_and_dead_when_it_is_silent() {
    let mut net = Net::dark(4);
    net.power(1, Power::Stopped);
    net.start(3);
    net.start(4);
    net.until("both are found out", ms(900), |net| {
        [3, 4].iter().all(|at| is_gone(net.standing(1, *at)) && is_dead(net.standing(2, *at)))
    });
    net.start(1);
    net.start(2);
    net.until("both live", ms(50), |net| [1, 2].iter().all(|of| net.standing(*of, 3).takes_part()));
}

#[test]
fn who_says_that_it_has_left_is_not_waited_for() {
    let mut net = running(3);
    let now = net.now;
    net.node(1).detector.set_state(State { leaving: true, left: true, ..ABLE }, now);
    net.flush();
    net.until("both know", ms(10), |net| [2, 3].iter().all(|at| net.standing(1, *at) == Standing::Left));
    net.power(1, Power::Stopped);
    net.pass(ms(5_000));
    assert!([2, 3].iter().all(|at| net.standing(1, *at) == Standing::Left));
    net.start(1);
    net.until("a new process is there", ms(50), |net| net.standing(1, 2) == Standing::Alive(ABLE));
}

#[test]
fn no_more_than_one_in_a_hundred_lost_never_condemns_anybody_in_an_hour() {
    let mut net = running(3);
    net.loss = 10;
    net.pass(Duration::from_hours(1));
    for number in 1..=3 {
        assert!(net.node(number).fallen().is_empty(), "node {number}: {:?}", net.node(number).fallen());
    }
    assert!(net.node(1).detector.counts().heard > 60_000);
}

#[test]
fn one_in_ten_lost_suspects_and_acquits() {
    let mut net = running(3);
    net.loss = 100;
    net.pass(Duration::from_mins(10));
    for number in 1..=3 {
        let dead: Vec<_> = net.node(number).standings.iter().filter(|(_, _, standing)| is_dead(*standing)).collect();
        assert!(dead.is_empty(), "node {number}: {dead:?}");
    }
}

#[test]
fn a_speaker_stopped_for_up_to_two_seconds_is_never_gone_or_dead() {
    for pause in [200, 400, 500, 700, 1_000, 2_000] {
        let mut net = running(3);
        net.power(1, Power::Paused);
        net.pass(ms(pause));
        net.resume(1);
        net.pass(ms(5_000));
        for number in 1..=3 {
            let wrong: Vec<_> =
                net.node(number).fallen().into_iter().filter(|(_, _, standing)| !is_starved(*standing)).collect();
            assert!(wrong.is_empty(), "stopped for {pause} ms, node {number}: {wrong:?}");
        }
        assert_eq!(net.standing(1, 2), Standing::Alive(ABLE), "stopped for {pause} ms");
        let told = net.nodes.values().flat_map(Node::sent).any(|(_, said)| matches!(said.body, Body::Starved(_)));
        assert!(!told, "stopped for {pause} ms");
    }
}

mod beyond_the_ring {
    use super::*;

    #[test]
    fn a_death_is_known_to_all_of_thirty_nodes_at_once() {
        let mut net = running(30);
        net.power(1, Power::Off);
        net.until("all hold it dead", ms(650), |net| (2..=30).all(|at| is_dead(net.standing(1, at))));
    }

    #[test]
    fn a_process_that_ended_is_known_to_all() {
        let mut net = running(30);
        net.power(1, Power::Stopped);
        net.until("all hold it gone", ms(300), |net| (2..=30).all(|at| is_gone(net.standing(1, at))));
        net.start(1);
        net.until("all know that it lives", ms(50), |net| (2..=30).all(|at| net.standing(1, at).takes_part()));
    }

    #[test]
    fn starvation_is_told_to_all_after_three_seconds_and_ends_with_a_refutation() {
        let mut net = running(30);
        net.power(1, Power::Paused);
        let stopped = net.now;
        net.pass(ms(2_800));
        let knows = |net: &Net| (2..=30).filter(|at| is_starved(net.standing(1, *at))).count();
        assert_eq!(knows(&net), 8, "its neighbours");
        net.until("all know", ms(300), |net| knows(net) == 29);
        let since: Vec<_> = (2..=30).filter_map(|at| net.standing(1, at).fallen_since()).collect();
        assert!(since.iter().all(|since| stopped + DELAY - *since <= ms(120)), "{since:?} {stopped:?}");
        net.resume(1);
        net.until("all know that it lives", ms(50), |net| (2..=30).all(|at| net.standing(1, at).takes_part()));
    }

    #[test]
    fn after_the_neighbours_of_a_node_died_others_watch_it() {
        let mut net = running(30);
        let neighbours: Vec<usize> =
            (2..=30).filter(|number| net.nodes[&name(1)].detector.records[&name(*number)].on_ring.is_some()).collect();
        assert_eq!(neighbours.len(), 8);
        for number in &neighbours {
            net.power(*number, Power::Off);
        }
        net.pass(ms(2_000));
        net.power(1, Power::Off);
        let others: Vec<usize> = (2..=30).filter(|number| !neighbours.contains(number)).collect();
        net.until("all hold it dead", ms(700), |net| others.iter().all(|at| is_dead(net.standing(1, *at))));
    }

    #[test]
    fn a_neighbour_that_dies_at_the_same_moment_doesnt_hide_a_death() {
        for second in 2..=12 {
            let mut net = running(12);
            net.power(1, Power::Off);
            net.power(second, Power::Off);
            let others: Vec<usize> = (2..=12).filter(|number| *number != second).collect();
            let seen =
                |net: &Net| others.iter().all(|at| is_dead(net.standing(1, *at)) && is_dead(net.standing(second, *at)));
            net.until("both are dead to all", ms(800), seen);
        }
    }
}
