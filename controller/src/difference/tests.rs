//! What the order of effects promises, against a cluster in memory: whatever users do, whenever the controller dies,
//! however late its watches are, no address is shown twice or without its record, and in the end nothing is left over.

mod cluster;
mod keys;
mod network;
mod placement;

use super::*;
use crate::effects::Effect;
use crate::records::{Invalid, Observation, PoolRecord, Report};
use crate::state::{Completion, Failure, FailureClass};
use cluster::{Cluster, Steps};
use herald_api::slim::ServiceType;
use herald_core::allocation;
use herald_core::names::ServiceKey;
use proptest::prelude::*;
use std::time::Duration;

/// A controller's process: what it knows, and its clock.
struct Process {
    state: State,
    now: Now,
}

impl Process {
    fn new(cluster: &Cluster) -> Self {
        #[expect(clippy::disallowed_methods, reason = "any moment will do as the origin of a test's time")]
        let now = Now { wall: Timestamp::UNIX_EPOCH, monotonic: Instant::now() };
        let mut process = Self { state: State::default(), now };
        for empty in [
            [Observation::Namespace(Report::Listing), Observation::Namespace(Report::Listed)],
            [Observation::Advertisement(Report::Listing), Observation::Advertisement(Report::Listed)],
        ] {
            for observation in empty {
                process.state.observe(observation);
            }
        }
        process.relist(cluster);
        assert_eq!(process.state.waiting_for(), Vec::<&str>::new());
        process
    }

    fn relist(&mut self, cluster: &Cluster) {
        for observation in cluster.listed() {
            self.state.observe(observation);
        }
    }

    fn lanes(&mut self, cluster: &Cluster) -> Vec<Lane> {
        // Beyond every retry's wait.
        self.now.monotonic += Duration::from_mins(1);
        self.lanes_now(cluster)
    }

    fn lanes_now(&mut self, cluster: &Cluster) -> Vec<Lane> {
        let policy = Policy { finalizer: cluster.reader.finalizer.is_some(), namespace: "herald-system".to_owned() };
        self.state.review_network(self.now.wall);
        let plan = allocation::plan(&self.state.cluster);
        let mut books = std::mem::take(&mut self.state.books);
        let lanes = between(&self.state, &plan, &policy, &mut books, self.now, 16).lanes;
        self.state.books = books;
        lanes
    }

    /// Works until nothing is left to do or the budget of effects is used up, which is where the process dies.
    fn run(&mut self, cluster: &mut Cluster, budget: &mut usize) -> Result<(), TestCaseError> {
        for round in 0..60 {
            if round == 30 {
                // What can't be settled with old knowledge alone waits for the watches.
                self.relist(cluster);
            }
            let lanes = self.lanes(cluster);
            let work = lanes.iter().flat_map(|lane| &lane.effects);
            if work.filter(|effect| !matches!(effect, Effect::PoolStatus { .. })).count() == 0 {
                return Ok(());
            }
            for lane in &lanes {
                self.state.dispatched(lane);
            }
            for lane in lanes {
                let mut steps = Steps::new(&lane);
                let mut outcome = Ok(());
                for effect in &lane.effects {
                    if *budget == 0 {
                        return Ok(());
                    }
                    *budget -= 1;
                    if cluster.apply(effect, &mut steps).is_err() {
                        let class = FailureClass::Conflict;
                        outcome = Err(Failure { effect: effect.kind(), class, message: String::new() });
                    }
                    cluster.check().map_err(|error| TestCaseError::fail(format!("after {effect:?}: {error}")))?;
                    if outcome.is_err() {
                        break;
                    }
                }
                let completion = Completion { lane: lane.key, written: steps.written, outcome };
                self.state.completed(completion, self.now.monotonic);
            }
        }
        Err(TestCaseError::fail(format!("there is always more to do: {:?}", self.lanes(cluster))))
    }
}

impl Process {
    /// Carries out what is to be done at this moment, which must all go well; returns the kinds of effects.
    fn work(&mut self, cluster: &mut Cluster) -> Vec<&'static str> {
        let mut done = Vec::new();
        for lane in self.lanes_now(cluster) {
            self.state.dispatched(&lane);
            let mut steps = Steps::new(&lane);
            for effect in &lane.effects {
                cluster.apply(effect, &mut steps).unwrap();
                done.push(effect.kind().name());
            }
            let completion = Completion { lane: lane.key, written: steps.written, outcome: Ok(()) };
            self.state.completed(completion, self.now.monotonic);
        }
        self.relist(cluster);
        done.retain(|kind| *kind != "pool_status");
        done
    }
}

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Create(usize, bool),
    Delete(usize),
    ClusterIp(usize),
    LoadBalancer(usize),
    Request(usize, u8),
    /// The controller's watches catch up.
    Observe,
    /// The controller works for so many effects and dies after them, if there are so many.
    Work(usize),
    /// The controller works until it finds nothing to do, with what it knows.
    Finish,
    /// A new process starts.
    Restart,
    /// Speakers do their part.
    Speak,
    /// A stranger takes an address, or leaves it.
    Stranger(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let service = 0..4_usize;
    let step = prop_oneof![
        4 => (service.clone(), any::<bool>()).prop_map(|(service, dual)| Step::Create(service, dual)),
        2 => service.clone().prop_map(Step::Delete),
        2 => service.clone().prop_map(Step::ClusterIp),
        1 => service.clone().prop_map(Step::LoadBalancer),
        2 => (service, 1..6_u8).prop_map(|(service, last)| Step::Request(service, last)),
        4 => Just(Step::Observe),
        3 => (0..6_usize).prop_map(Step::Work),
        3 => Just(Step::Finish),
        1 => Just(Step::Restart),
        3 => Just(Step::Speak),
        1 => (1..5_u8).prop_map(Step::Stranger),
    ];
    prop::collection::vec(step, 0..30)
}

fn key(service: usize) -> ServiceKey {
    ServiceKey::new("default", format!("web-{service}"))
}

fn play(mut cluster: Cluster, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut process = Process::new(&cluster);
    for step in steps {
        match step {
            Step::Create(service, dual) => cluster.create(&key(service), dual),
            Step::Delete(service) => cluster.delete(&key(service)),
            Step::ClusterIp(service) => cluster.turn(&key(service), ServiceType::Other),
            Step::LoadBalancer(service) => cluster.turn(&key(service), ServiceType::LoadBalancer),
            Step::Request(service, last) => cluster.request(&key(service), &format!("192.0.2.{last}")),
            Step::Observe => process.relist(&cluster),
            Step::Work(mut budget) => {
                process.run(&mut cluster, &mut budget)?;
                if budget == 0 {
                    process = Process::new(&cluster);
                }
            }
            Step::Finish => process.run(&mut cluster, &mut usize::MAX.clone())?,
            Step::Restart => process = Process::new(&cluster),
            Step::Speak => cluster.speak(),
            Step::Stranger(_) if cluster.nodes.is_empty() => {}
            Step::Stranger(last) => {
                let vip = Vip::new([192, 0, 2, last].into()).unwrap();
                if !cluster.strangers.remove(&vip) {
                    cluster.strangers.insert(vip);
                }
            }
        }
        cluster.check().map_err(TestCaseError::fail)?;
    }
    // An address that turns out to be a stranger's is given back, another is taken, and that may be one as well.
    for _ in 0..6 {
        cluster.speak();
        process.relist(&cluster);
        process.run(&mut cluster, &mut usize::MAX.clone())?;
    }
    cluster.check_settled().map_err(TestCaseError::fail)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_no_address_is_shown_twice_and_none_leaks(steps in steps()) {
        play(Cluster::new(false), steps)?;
    }

    #[test]
    fn the_same_holds_with_a_finalizer(steps in steps()) {
        play(Cluster::new(true), steps)?;
    }

    #[test]
    fn with_speakers_no_stranger_s_address_is_shown_in_the_end(steps in steps()) {
        play(Cluster { nodes: vec!["node-1", "node-2"], ..Cluster::new(false) }, steps)?;
    }
}

#[test]
fn death_after_each_single_effect_of_a_service_s_life_is_healed_by_the_next_process() {
    for finalizer in [false, true] {
        for act in 0..4 {
            for death in 0..12 {
                let (service, other) = (key(0), key(1));
                let mut cluster = Cluster::new(finalizer);
                cluster.create(&service, true);
                cluster.create(&other, false);
                if act > 0 {
                    Process::new(&cluster).run(&mut cluster, &mut usize::MAX.clone()).unwrap();
                }
                match act {
                    1 => cluster.delete(&service),
                    2 => cluster.turn(&service, ServiceType::Other),
                    3 => cluster.request(&service, "192.0.2.4"),
                    _ => {}
                }
                let mut budget = death;
                Process::new(&cluster).run(&mut cluster, &mut budget).unwrap();
                Process::new(&cluster).run(&mut cluster, &mut usize::MAX.clone()).unwrap();
                let settled = cluster.check_settled();
                assert_eq!(settled, Ok(()), "finalizer {finalizer}, act {act}, death after {death} effects");
            }
        }
    }
}

#[test]
fn a_pool_that_cannot_be_read_is_not_called_gone_and_its_addresses_stay() {
    let mut cluster = Cluster::new(false);
    cluster.create(&key(0), true);
    let mut process = Process::new(&cluster);
    process.run(&mut cluster, &mut usize::MAX.clone()).unwrap();
    let invalid = Invalid { reason: "InvalidSpec", message: "the object can't be read".to_owned() };
    let unreadable = PoolRecord { pool: Err(invalid), ..cluster.pool_record() };
    process.state.observe(Observation::Pool(Report::Is("lan".into(), unreadable)));
    let effects: Vec<_> = process.lanes(&cluster).into_iter().flat_map(|lane| lane.effects).collect();
    assert!(matches!(effects.as_slice(), [Effect::PoolStatus { .. }]), "only the pool says so: {effects:?}");
    process.state.observe(Observation::Pool(Report::Gone("lan".into(), None)));
    let lanes = process.lanes(&cluster);
    let said = lanes.iter().flat_map(|lane| &lane.effects).map(|effect| match effect {
        Effect::VipStatus { condition, .. } => condition.reason.as_str(),
        other => panic!("{other:?}"),
    });
    assert_eq!(said.collect::<Vec<_>>(), ["PoolGone", "PoolGone"]);
}

/// Lets the first write of the first lane be refused; says whether that is news.
fn refuse(process: &mut Process, cluster: &Cluster, class: FailureClass) -> bool {
    let lane = process.lanes(cluster).remove(0);
    let effect = lane.effects[0].kind();
    assert!(effect.precedes_publication(), "{lane:?}");
    process.state.dispatched(&lane);
    let failure = Failure { effect, class, message: "policy \"no-lan\" denies it".to_owned() };
    let news = process.state.refuses(&lane.key, &failure).is_some();
    let completion = Completion { lane: lane.key, written: Vec::new(), outcome: Err(failure) };
    process.state.completed(completion, process.now.monotonic);
    news
}

#[test]
fn a_refused_record_is_told_in_the_service_s_condition_and_tried_again_until_it_is_taken() {
    for (finalizer, class) in [(false, FailureClass::Invalid), (true, FailureClass::Forbidden)] {
        let mut cluster = Cluster::new(finalizer);
        cluster.create(&key(0), false);
        let mut process = Process::new(&cluster);
        assert!(refuse(&mut process, &cluster, class), "the first refusal is news");
        let told = process.lanes(&cluster).remove(0);
        process.state.dispatched(&told);
        let mut steps = Steps::new(&told);
        let [Effect::PublishStatus(publication)] = told.effects.as_slice() else { panic!("{told:?}") };
        let said = &publication.conditions[0];
        assert_eq!((said.reason.as_str(), publication.addresses.len(), told.notices.len()), ("WriteRefused", 0, 1));
        assert!(said.message.contains("policy \"no-lan\" denies it"), "{}", said.message);
        cluster.apply(&told.effects[0], &mut steps).unwrap();
        let completion = Completion { lane: told.key, written: steps.written, outcome: Ok(()) };
        process.state.completed(completion, process.now.monotonic);
        assert!(!refuse(&mut process, &cluster, class), "the same refusal again is no news");
        process.run(&mut cluster, &mut usize::MAX.clone()).unwrap();
        assert_eq!(cluster.check_settled(), Ok(()));
        let allocated = &cluster.services[&key(0)].status.conditions;
        assert_eq!(allocated.iter().find(|is| is.type_.ends_with("Allocated")).unwrap().status, "True");
        let uid = Uid::new(cluster.services[&key(0)].metadata.uid.as_deref().unwrap());
        assert_eq!(process.state.refused(&uid), None);
    }
}

#[test]
fn a_service_deleted_while_its_status_is_being_written_stays_deleted() {
    let mut cluster = Cluster::new(false);
    cluster.create(&key(0), true);
    let mut process = Process::new(&cluster);
    let lane = process.lanes(&cluster).remove(0);
    process.state.dispatched(&lane);
    let mut steps = Steps::new(&lane);
    for effect in &lane.effects {
        cluster.apply(effect, &mut steps).unwrap();
    }
    // The watch is faster than the answer to the write.
    cluster.delete(&key(0));
    process.state.observe(Observation::Service(Report::Gone(key(0), None)));
    let completion = Completion { lane: lane.key, written: steps.written, outcome: Ok(()) };
    process.state.completed(completion, process.now.monotonic);
    process.run(&mut cluster, &mut usize::MAX.clone()).unwrap();
    assert_eq!(cluster.check_settled(), Ok(()));
}
