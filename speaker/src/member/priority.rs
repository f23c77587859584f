//! The priority of the member's thread.
#![expect(unsafe_code, reason = "a call of the C library that Rust's libraries don't wrap")]

use std::io;
use std::mem::zeroed;

/// The least of the real-time priorities: before all ordinary work, behind whatever else is real-time. On a node whose
/// processors are all busy the answering thread would else wait tens of milliseconds for its turn, also with the best
/// niceness (measured: 99 % within 27 to 51 ms against 0.5 ms). It needs little time itself.
const PRIORITY: libc::c_int = 1;

/// Lets the calling thread run before ordinary ones. Needs the capability SYS_NICE, and a control group that allows real-time
/// scheduling; without them things stay as they are.
pub(super) fn raise() -> io::Result<()> {
    // SAFETY: all-zero is a valid sched_param.
    let mut parameters: libc::sched_param = unsafe { zeroed() };
    parameters.sched_priority = PRIORITY;
    // SAFETY: the parameters are live during the call; 0 means the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_RR, &raw const parameters) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
