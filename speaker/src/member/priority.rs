//! The priority of the member's thread.
#![expect(unsafe_code, reason = "calls of the C library and the kernel that Rust's libraries don't wrap")]

use std::io;
use std::mem::{size_of, zeroed};

/// The least of the real-time priorities: before all ordinary work, behind whatever else is real-time. On a node whose
/// processors are all busy the answering thread would else wait tens of milliseconds for its turn (measured, four busy loops
/// for each processor: 99 % within 0.1 ms against 20 ms). It needs little time itself.
const PRIORITY: libc::c_int = 1;

/// Where real-time scheduling is not to be had, the best of the ordinary.
const NICENESS: i32 = -20;

/// With the shortest turn the kernel gives, in nanoseconds: who wants short turns gets them sooner (since Linux 6.12; earlier
/// ones don't look at it). 99 % within 0.4 ms, with niceness alone 3 ms.
const TURN: u64 = 100_000;

/// Lets the calling thread run before ordinary ones, as far as that is allowed. Needs the capability SYS_NICE; real-time
/// scheduling also needs a control group that has a share of it, which containers often lack.
pub(super) fn raise() {
    match real_time() {
        Ok(()) => tracing::debug!("the member's thread runs with real-time priority"),
        Err(refused) => match favoured() {
            Ok(()) => tracing::info!(
                error = %refused,
                "no real-time priority (its control group has no share of it, or the capability SYS_NICE is missing): the \
                 member's thread has the best ordinary one"
            ),
            Err(error) => tracing::warn!(
                %error,
                "the member's thread has no better priority than others: answers and heartbeats may come late on a busy \
                 node; grant the capability SYS_NICE"
            ),
        },
    }
}

fn real_time() -> io::Result<()> {
    // SAFETY: all-zero is a valid sched_param.
    let mut parameters: libc::sched_param = unsafe { zeroed() };
    parameters.sched_priority = PRIORITY;
    // SAFETY: the parameters are live during the call; 0 means the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_RR, &raw const parameters) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn favoured() -> io::Result<()> {
    // SAFETY: all-zero is a valid sched_attr: ordinary scheduling.
    let mut attributes: libc::sched_attr = unsafe { zeroed() };
    attributes.size = u32::try_from(size_of::<libc::sched_attr>()).unwrap_or_default();
    attributes.sched_nice = NICENESS;
    attributes.sched_runtime = TURN;
    // SAFETY: the attributes are live during the call and have the size they say; 0 means the calling thread.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a thread that ends with the test.
    #[test]
    fn a_thread_without_real_time_priority_gets_the_best_ordinary_one() {
        let scheduling = std::thread::spawn(|| {
            favoured().expect("a better niceness needs CAP_SYS_NICE");
            // SAFETY: 0 means the calling process' thread of that number, and nothing is touched.
            (unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }, unsafe { libc::sched_getscheduler(0) })
        });
        assert_eq!(scheduling.join().unwrap(), (NICENESS, libc::SCHED_OTHER));
    }
}
