//! Which messages count, and what they prove.

use super::*;

/// Two detectors without a network between them: what they say is carried by hand.
struct Pair {
    now: Instant,
    a: Detector,
    b: Detector,
}

fn started(number: usize, life: u64, now: Instant) -> Detector {
    let mut detector = Detector::new(name(number), Life(life), Profile::BALANCED, now);
    detector.set_state(ABLE, now);
    detector.set_peers(&BTreeMap::from([(name(1), peer(1)), (name(2), peer(2))]), now);
    detector
}

/// What a detector has said since it was asked last.
fn said(detector: &mut Detector) -> Vec<Envelope> {
    let effects = std::iter::from_fn(|| detector.poll_effect());
    effects
        .filter_map(|effect| if let Effect::Send { envelope, .. } = effect { Some(envelope) } else { None })
        .collect()
}

fn effects(detector: &mut Detector) -> Vec<Effect> {
    std::iter::from_fn(|| detector.poll_effect()).collect()
}

impl Pair {
    /// Both have greeted each other and believe each other.
    fn acquainted() -> Self {
        let now = epoch();
        let mut pair = Self { now, a: started(1, 10, now), b: started(2, 20, now) };
        for _ in 0..3 {
            pair.exchange();
        }
        assert_eq!(pair.a.standing(&name(2)), Standing::Alive(ABLE));
        assert_eq!(pair.b.standing(&name(1)), Standing::Alive(ABLE));
        pair
    }

    /// Everything said arrives.
    fn exchange(&mut self) {
        for envelope in said(&mut self.a) {
            self.b.handle_envelope(peer(1).address, envelope, self.now, self.now);
        }
        for envelope in said(&mut self.b) {
            self.a.handle_envelope(peer(2).address, envelope, self.now, self.now);
        }
    }

    /// Both beat; what A has said is given back, and has not arrived.
    fn beat(&mut self) -> Vec<Envelope> {
        self.now += ms(111);
        self.a.handle_timeout(self.now);
        self.b.handle_timeout(self.now);
        for envelope in said(&mut self.b) {
            self.a.handle_envelope(peer(2).address, envelope, self.now, self.now);
        }
        said(&mut self.a)
    }

    fn b_hears(&mut self, envelope: &Envelope) -> Option<Body> {
        self.b.handle_envelope(peer(1).address, envelope.clone(), self.now, self.now)
    }
}

#[test]
fn nodes_that_start_together_know_each_other_within_a_few_milliseconds() {
    let mut net = Net::of(5);
    net.pass(ms(2));
    for (at, of) in (1..=5).flat_map(|at| (1..=5).map(move |of| (at, of))).filter(|(at, of)| at != of) {
        assert_eq!(net.standing(of, at), Standing::Alive(ABLE), "node {of} at node {at}");
    }
}

#[test]
fn a_message_counts_once() {
    let mut pair = Pair::acquainted();
    let beat = pair.beat().remove(0);
    let before = *pair.b.counts();
    for _ in 0..3 {
        pair.b_hears(&beat);
    }
    assert_eq!(pair.b.counts().heard, before.heard + 1);
    assert_eq!(pair.b.counts().replayed, before.replayed + 2);
}

#[test]
fn replayed_messages_keep_no_dead_node_alive() {
    let mut net = Net::of(3);
    net.pass(ms(1_000));
    let recorded: Vec<Envelope> =
        net.nodes[&name(1)].sent().filter(|(to, _)| **to == name(2)).map(|(_, envelope)| envelope.clone()).collect();
    net.power(1, Power::Off);
    for envelope in recorded.iter().cycle().take(1_000) {
        net.pass(ms(1));
        let now = net.now;
        net.node(2).hear(peer(1).address, envelope.clone(), now, now);
    }
    assert!(matches!(net.standing(1, 2), Standing::Dead { confirmed: true, .. }), "{:?}", net.standing(1, 2));
}

#[test]
fn what_a_former_life_said_is_not_believed_by_one_who_has_started_since() {
    let mut pair = Pair::acquainted();
    let recorded = pair.beat();
    pair.b = started(2, 21, pair.now);
    said(&mut pair.b);
    for envelope in &recorded {
        assert_eq!(pair.b_hears(envelope), None);
    }
    assert_eq!(pair.b.standing(&name(1)), Standing::Unheard);
    let answers = said(&mut pair.b);
    assert_eq!(answers.len(), 1, "it answers once, and gives what proof needs");
    let last = recorded.last().unwrap();
    assert!(answers[0].echo.is_some_and(|echo| echo.life == last.incarnation.life), "{answers:?}");
}

#[test]
fn late_words_of_a_life_that_is_over_are_dropped() {
    let mut pair = Pair::acquainted();
    let late = pair.beat();
    pair.now += ms(300);
    pair.a = started(1, 11, pair.now);
    for _ in 0..3 {
        pair.exchange();
    }
    let before = pair.b.counts().superseded;
    for envelope in &late {
        assert_eq!(pair.b_hears(envelope), None);
    }
    assert_eq!(pair.b.counts().superseded, before + 1);
    assert_eq!(pair.b.counts().duplicates, 0);
    assert!(pair.b.standing(&name(1)).takes_part());
}

#[test]
fn a_process_that_starts_anew_is_believed_within_two_beats() {
    let mut net = Net::of(3);
    net.pass(ms(1_000));
    net.start(1);
    let taken = net.until("it is met", ms(400), |net| {
        net.nodes[&name(2)].detector.records[&name(1)].incarnation().life == Life(1_002)
    });
    assert!(taken <= ms(330), "{taken:?}");
    assert!(net.node(2).log.iter().any(|(_, effect)| *effect == Effect::Met(name(1))));
    net.pass(ms(3_000));
    assert!(net.node(2).fallen().is_empty(), "{:?}", net.node(2).fallen());
    let duplicates = net.nodes.values().map(|node| node.detector.counts().duplicates).sum::<u64>();
    assert_eq!(duplicates, 0);
}

#[test]
fn of_two_processes_under_one_name_the_first_counts_and_both_are_reported() {
    let mut pair = Pair::acquainted();
    let mut second = started(1, 11, pair.now);
    let mut reported = 0;
    for _ in 0..20 {
        for envelope in pair.beat() {
            pair.b_hears(&envelope);
        }
        second.handle_timeout(pair.now);
        for envelope in said(&mut second) {
            pair.b_hears(&envelope);
        }
        for effect in effects(&mut pair.b) {
            match effect {
                Effect::DuplicateName(node) => reported += usize::from(node == name(1)),
                Effect::Send { envelope, .. } => {
                    pair.a.handle_envelope(peer(2).address, envelope.clone(), pair.now, pair.now);
                    second.handle_envelope(peer(2).address, envelope, pair.now, pair.now);
                }
                _ => {}
            }
        }
        assert_eq!(pair.b.records[&name(1)].incarnation().life, Life(10), "the first one counts");
    }
    assert!(reported > 0 && pair.b.counts().duplicates > 0);
}

#[test]
fn who_hears_its_own_name_reports_it_and_believes_nothing() {
    let mut pair = Pair::acquainted();
    let mut impostor = pair.beat().remove(0);
    impostor.from = name(2);
    impostor.body = Body::Digests(vec![1]);
    assert_eq!(pair.b_hears(&impostor), None);
    assert!(effects(&mut pair.b).contains(&Effect::DuplicateName(name(2))));
    assert_eq!(pair.b.counts().impostors, 1);
}

#[test]
fn a_node_that_doesnt_share_the_segment_is_not_heard() {
    let mut pair = Pair::acquainted();
    let mut envelope = pair.beat().remove(0);
    envelope.from = name(9);
    assert_eq!(pair.b_hears(&envelope), None);
    assert_eq!(pair.b.counts().strangers, 1);
}

#[test]
fn what_is_for_others_comes_through_once() {
    let mut pair = Pair::acquainted();
    let body = Body::Digests(vec![1, 2, 3]);
    pair.a.send(&name(2), body.clone(), pair.now);
    let envelope = said(&mut pair.a).remove(0);
    assert_eq!(pair.b_hears(&envelope), Some(body));
    assert_eq!(pair.b_hears(&envelope), None, "a replay");
}

#[test]
fn of_messages_that_overtake_each_other_the_later_one_says_how_the_sender_is() {
    let mut pair = Pair::acquainted();
    let early = pair.beat().remove(0);
    let leaving = State { leaving: true, ..ABLE };
    pair.a.set_state(leaving, pair.now);
    pair.a.set_digest(7);
    let late = said(&mut pair.a).remove(0);
    pair.b_hears(&late);
    pair.b_hears(&early);
    assert_eq!(pair.b.standing(&name(1)), Standing::Alive(leaving));
    pair.a.send(&name(2), Body::Beat, pair.now);
    let last = said(&mut pair.a).remove(0);
    pair.b_hears(&last);
    assert_eq!(pair.b.digest(&name(1)), Some(7));
}

#[test]
fn what_all_shall_know_arrives_although_two_of_three_messages_are_lost() {
    let mut net = Net::of(20);
    net.pass(ms(1_000));
    net.forget();
    let (now, body) = (net.now, Body::Mismatch(Vec::new()));
    net.node(1).detector.tell_all(body.clone(), now);
    net.flush();
    net.parcels.clear();
    net.pass(ms(60));
    net.parcels.clear();
    net.pass(ms(200));
    for number in 2..=20 {
        let bodies = &net.nodes[&name(number)].bodies;
        assert!(bodies.contains(&(name(1), body.clone())), "node {number} has heard {bodies:?}");
    }
    let times = net.nodes[&name(1)].sent().filter(|(to, said)| **to == name(2) && said.body == body).count();
    assert_eq!(times, 3);
}

#[test]
fn a_change_of_state_is_told_to_all_and_not_only_to_neighbours() {
    let mut net = Net::of(30);
    net.pass(ms(1_000));
    let (now, leaving) = (net.now, State { leaving: true, ..ABLE });
    net.node(1).detector.set_state(leaving, now);
    net.flush();
    net.parcels.clear(); // the first of three
    net.until("all know", ms(150), |net| (2..=30).all(|at| net.standing(1, at) == Standing::Alive(leaving)));
}

#[test]
fn while_profiles_differ_the_slower_bounds_hold() {
    let mut net = Net::of(3);
    net.pass(ms(1_000));
    let now = net.now;
    net.node(1).detector.set_profile(Profile::VIRTUAL, now);
    net.flush();
    net.pass(ms(20_000));
    for number in 1..=3 {
        assert!(net.node(number).standings.iter().all(|(_, _, standing)| standing.takes_part()));
        assert_eq!(net.node(number).detector.counts().suspected, 0, "at node {number}");
    }
    net.forget();
    net.pass(ms(5_000));
    let beats = net.nodes[&name(1)].sent().count();
    assert!((18..=24).contains(&beats), "{beats} in 5 s to two peers");
    net.power(1, Power::Off);
    net.pass(ms(3_400));
    assert_eq!(net.standing(1, 2), Standing::Alive(ABLE));
    net.until("it is dead", ms(1_700), |net| net.standing(1, 2).fallen_since().is_some());
}

#[test]
fn a_faster_profile_takes_effect_without_a_false_suspicion() {
    let mut net = Net::of(3);
    for number in 1..=3 {
        net.node(number).detector.set_profile(Profile::VIRTUAL, epoch());
    }
    net.flush();
    net.pass(ms(10_000));
    for number in 1..=3 {
        let now = net.now;
        net.node(number).detector.set_profile(Profile::FAST, now);
        net.flush();
        net.pass(ms(700));
    }
    net.pass(ms(5_000));
    assert!(net.nodes.values().all(|node| node.detector.counts().suspected == 0));
    net.power(1, Power::Off);
    let taken = net.until("it is dead", ms(400), |net| net.standing(1, 2).fallen_since().is_some());
    assert!(taken >= ms(200), "{taken:?}");
}

#[test]
fn an_address_that_has_changed_is_learned_from_who_proves_to_live_there() {
    let mut pair = Pair::acquainted();
    let elsewhere: IpAddr = "10.0.9.9".parse().unwrap();
    pair.now += ms(500);
    pair.a = started(1, 11, pair.now);
    for _ in 0..3 {
        for envelope in said(&mut pair.a) {
            pair.b.handle_envelope(elsewhere, envelope, pair.now, pair.now);
        }
        for effect in effects(&mut pair.b) {
            if let Effect::Send { envelope, .. } = effect {
                pair.a.handle_envelope(peer(2).address, envelope, pair.now, pair.now);
            }
        }
    }
    pair.b.send(&name(1), Body::Beat, pair.now);
    assert!(matches!(pair.b.poll_effect(), Some(Effect::Send { address, .. }) if address == elsewhere));
}
