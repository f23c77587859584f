//! Clients that ask over and over, and how long they went without an answer.
//!
//! Two kinds: [`Traffic`] connects with the neighbour table its host has; [`Newcomer`] has never heard of the address and
//! asks the wire who has it. Both measure by the clock of this machine, which captured frames carry too.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, anyhow};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::wire::{Questions, questions};
use crate::lab::room::Room;
use crate::lab::topology::{LAN_CLIENT, LAN_INTERFACE};
use crate::lab::{Frame, Lab, Running};

/// Between two attempts of an observer.
pub const EVERY: Duration = Duration::from_millis(20);

/// A client in a hurry: what has not come by then counts as no answer. Far above what an answer takes on a busy machine, and
/// below the first repetition of a SYN (1 s), so that it shows when answers come again.
const HURRY: Duration = Duration::from_millis(300);

/// How a client calls.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Between the beginnings of two attempts.
    pub every: Duration,
    /// How long one may take.
    pub patience: Duration,
    /// Whether it asks for something over HTTP once it is connected, and waits for the answer.
    pub request: bool,
}

impl Manner {
    /// Connects every 20 ms.
    pub const OBSERVING: Self = Self { every: EVERY, patience: HURRY, request: false };
    /// A thousand requests a second, each on a connection of its own, as patient as a person.
    pub const BUSY: Self =
        Self { every: Duration::from_millis(1), patience: Duration::from_millis(2500), request: true };
}

/// One attempt.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// When it began.
    pub at: SystemTime,
    /// When the answer was there, or why there was none.
    pub answer: Result<SystemTime, String>,
}

/// What a client saw.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Its attempts, in the order in which they began.
    pub attempts: Vec<Attempt>,
}

/// A time without answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The last answer before it.
    pub from: SystemTime,
    /// How long it lasted.
    pub length: Duration,
}

impl Observed {
    /// The longest time between two answers that followed each other, or from the last one to the end.
    ///
    /// # Errors
    /// There was no answer at all.
    pub fn longest_gap(&self) -> Result<Gap> {
        let mut answers: Vec<SystemTime> =
            self.attempts.iter().filter_map(|attempt| attempt.answer.as_ref().ok().copied()).collect();
        answers.sort_unstable();
        let last_attempt = self.attempts.last().map(|attempt| attempt.at);
        answers.extend(last_attempt.filter(|at| answers.last().is_some_and(|last| at > last)));
        let gaps = answers
            .iter()
            .zip(answers.iter().skip(1))
            .filter_map(|(from, until)| Some(Gap { from: *from, length: until.duration_since(*from).ok()? }));
        let gap = gaps.max_by_key(|gap| gap.length);
        gap.with_context(|| match self.attempts.last() {
            Some(attempt) => format!("none of {} attempts was answered: {:?}", self.attempts.len(), attempt.answer),
            None => "nothing was attempted".to_owned(),
        })
    }

    /// The attempts without an answer, counted by reason.
    pub fn failures(&self) -> std::collections::BTreeMap<&str, usize> {
        let mut counted = std::collections::BTreeMap::new();
        for attempt in &self.attempts {
            if let Err(reason) = &attempt.answer {
                *counted.entry(reason.as_str()).or_default() += 1;
            }
        }
        counted
    }

    /// How many attempts that began after a moment were not answered.
    pub fn failed_since(&self, moment: SystemTime) -> usize {
        self.attempts.iter().filter(|attempt| attempt.at > moment && attempt.answer.is_err()).count()
    }

    /// How many attempts were under way at a moment: begun before it, and not ended, or never.
    pub fn under_way(&self, moment: SystemTime) -> usize {
        let under_way = |attempt: &&Attempt| {
            attempt.at <= moment && attempt.answer.as_ref().map_or(true, |answer| *answer > moment)
        };
        self.attempts.iter().filter(under_way).count()
    }

    /// How many answers took at least so long: a SYN that was lost and sent again makes a second.
    pub fn slow(&self, least: Duration) -> usize {
        let slow = self.attempts.iter().filter(|attempt| {
            attempt
                .answer
                .as_ref()
                .is_ok_and(|answer| answer.duration_since(attempt.at).is_ok_and(|took| took >= least))
        });
        slow.count()
    }
}

/// A client that connects over and over, in a thread of its own in its host's network namespace.
#[derive(Debug)]
pub struct Traffic {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Observed>>>,
}

impl Traffic {
    /// Starts it on a host.
    pub fn start(lab: &Lab, host: &str, to: SocketAddr, manner: Manner) -> Result<Self> {
        let room = lab.host(host)?;
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let (stopped, seen) = (Arc::clone(&stop), Arc::clone(&answered));
        let thread = std::thread::Builder::new().name(format!("traffic of {host}"));
        let thread = thread.spawn(move || call_until(&room, to, manner, &stopped, &seen))?;
        Ok(Self { stop, answered, thread: Some(thread) })
    }

    /// Whether it has had an answer yet.
    pub fn is_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// Ends it, once its last attempt has ended, and tells what it saw.
    pub async fn stop(mut self) -> Result<Observed> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("it has been stopped before")?;
        tokio::task::spawn_blocking(move || thread.join()).await?.map_err(|_| anyhow!("an observer has panicked"))?
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn call_until(room: &Room, to: SocketAddr, manner: Manner, stop: &AtomicBool, seen: &AtomicBool) -> Result<Observed> {
    room.within(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut attempts = JoinSet::new();
            let mut observed = Observed::default();
            let mut ticks = interval(manner.every);
            // After a stall it goes on evenly: a burst would measure the burst.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while !stop.load(Ordering::Relaxed) {
                ticks.tick().await;
                attempts.spawn(attempt(to, manner));
                while let Some(ended) = attempts.try_join_next() {
                    let ended: Attempt = ended?;
                    seen.fetch_or(ended.answer.is_ok(), Ordering::Relaxed);
                    observed.attempts.push(ended);
                }
            }
            while let Some(ended) = attempts.join_next().await {
                observed.attempts.push(ended?);
            }
            observed.attempts.sort_by_key(|attempt| attempt.at);
            Ok(observed)
        })
    })?
}

async fn attempt(to: SocketAddr, manner: Manner) -> Attempt {
    let at = now();
    let answer = match timeout(manner.patience, call(to, manner.request)).await {
        Ok(Ok(())) => Ok(now()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_elapsed) => Err(format!("nothing within {} ms", manner.patience.as_millis())),
    };
    Attempt { at, answer }
}

async fn call(to: SocketAddr, request: bool) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(to).await?;
    if request {
        stream.write_all(b"GET /hostname HTTP/1.0\r\n\r\n").await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        if !answer.starts_with(b"HTTP/1.0 200") {
            return Err(std::io::Error::other("an incomplete answer"));
        }
    }
    // Reset at once: thousands of ports that wait for the end of connections would run out.
    stream.set_zero_linger()?;
    Ok(())
}

/// A host of the LAN that has never heard of an address and asks for it every 20 ms: by ARP, or by neighbour solicitation.
/// Its Ethernet and IP addresses are its own, so that no kernel's neighbour table learns from the answers.
#[derive(Debug)]
pub struct Newcomer {
    address: IpAddr,
    since: SystemTime,
    asking: Running,
}

/// The program that asks, in Python.
const ASKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/scenario/wire/newcomer.py");

impl Newcomer {
    /// Starts it beside `lan-client`, on the same port of the switch.
    pub fn start(lab: &Lab, address: IpAddr) -> Result<Self> {
        let (to, pause) = (address.to_string(), EVERY.as_secs_f64().to_string());
        let asking = lab.start(LAN_CLIENT, &["/usr/bin/python3", ASKS, LAN_INTERFACE, &to, &pause])?;
        Ok(Self { address, since: now(), asking })
    }

    /// When it began.
    pub fn since(&self) -> SystemTime {
        self.since
    }

    /// What it has seen so far, by the frames of the switch.
    pub fn seen(&self, frames: &[Frame]) -> Observed {
        let Questions(attempts) = questions(frames, self.address, self.since, HURRY);
        Observed { attempts }
    }

    /// Ends it. What it saw is in the frames.
    pub async fn stop(self) -> Result<()> {
        self.asking.stop().await.map(drop)
    }
}

#[expect(clippy::disallowed_methods, reason = "frames carry the time of this clock")]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds)
    }

    fn observed(attempts: &[(u64, Option<u64>)]) -> Observed {
        let attempts = attempts.iter().map(|(began, ended)| Attempt {
            at: at(*began),
            answer: ended.map(at).ok_or_else(|| "nothing".to_owned()),
        });
        Observed { attempts: attempts.collect() }
    }

    #[test]
    fn a_gap_lies_between_two_answers_or_between_the_last_one_and_the_end() {
        let seen = observed(&[(0, Some(1)), (20, None), (40, None), (60, Some(62)), (80, Some(81))]);
        assert_eq!(seen.longest_gap().unwrap(), Gap { from: at(1), length: Duration::from_millis(61) });
        let seen = observed(&[(0, Some(1)), (20, Some(21)), (40, None), (500, None)]);
        assert_eq!(seen.longest_gap().unwrap(), Gap { from: at(21), length: Duration::from_millis(479) });
        assert_eq!(seen.failures(), [("nothing", 2)].into());
        assert!(observed(&[(0, None)]).longest_gap().is_err());
    }

    #[test]
    fn what_failed_after_a_moment_and_what_was_under_way_then_is_counted() {
        let seen = observed(&[(0, Some(1)), (20, None), (40, Some(60)), (60, None)]);
        assert_eq!((seen.failed_since(at(20)), seen.failed_since(at(19))), (1, 2));
        assert_eq!((seen.under_way(at(10)), seen.under_way(at(50))), (0, 2));
    }

    #[test]
    fn an_answer_that_took_a_repeated_syn_is_slow() {
        assert_eq!(observed(&[(0, Some(3)), (20, Some(1025))]).slow(Duration::from_millis(900)), 1);
    }

    #[tokio::test]
    async fn a_client_counts_what_is_answered_and_what_is_refused() {
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = server.local_addr().unwrap();
        assert!(attempt(to, Manner::OBSERVING).await.answer.is_ok());
        drop(server);
        assert!(attempt(to, Manner::OBSERVING).await.answer.is_err());
    }
}
