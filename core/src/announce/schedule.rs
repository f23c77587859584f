//! Which announcement follows which, and when.

use crate::address::Family;
use std::time::{Duration, Instant};

/// The form of an announcement to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Gratuitous request; in IPv6 there is only one form, the unsolicited advertisement.
    Request,
    /// Gratuitous reply: some hosts learn only from replies.
    Reply,
}

/// One announcement to all, this long after the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Time since the first announcement.
    pub after: Duration,
    /// In which form.
    pub form: Form,
}

const fn request(milliseconds: u64) -> Step {
    Step { after: Duration::from_millis(milliseconds), form: Form::Request }
}

/// After the first request: a reply soon, for hosts that want that form. 1.1 and 2.2 s lie behind the lock time of 1 s
/// of old Linux kernels, which ignore what follows too closely; 30 s lies behind the listening phase of spanning tree.
const IPV4: [Step; 8] = [
    Step { after: Duration::from_millis(20), form: Form::Reply },
    request(100),
    request(300),
    request(1_100),
    request(2_200),
    request(5_000),
    request(10_000),
    request(30_000),
];

/// RFC 4861, 7.2.6: at most MAX_NEIGHBOR_ADVERTISEMENT = 3 in all, a second (RetransTimer) apart.
const IPV6: [Step; 2] = [request(1_000), request(2_000)];

/// Between refreshes: a third of the 300 s after which switches commonly forget an address.
pub const REFRESH: Duration = Duration::from_secs(100);

/// The announcements that follow the first one.
pub const fn steps(family: Family) -> &'static [Step] {
    match family {
        Family::V4 => &IPV4,
        Family::V6 => &IPV6,
    }
}

/// The least time between two announcements to all, however late the earlier one was: RFC 4861, 7.2.6 has RetransTimer.
pub const fn least_gap(family: Family) -> Duration {
    match family {
        Family::V4 => Duration::ZERO,
        Family::V6 => Duration::from_secs(1),
    }
}

/// A refresh interval, 100 s +- 10 %, that depends on a number which should differ between nodes, VIPs and rounds.
pub fn refresh_interval(number: u64) -> Duration {
    // 0 to 20 000 ms, evenly enough: the output mix of SplitMix64 spreads neighbouring numbers.
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let jitter = (mixed ^ (mixed >> 31)).checked_rem(20_001).unwrap_or(0);
    REFRESH.saturating_sub(Duration::from_secs(10)).saturating_add(Duration::from_millis(jitter))
}

/// A time after another. One too far away to be expressed is never reached either way.
pub(crate) fn after(time: Instant, span: Duration) -> Instant {
    time.checked_add(span).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refreshes_stay_within_a_tenth_and_differ() {
        let intervals: Vec<_> = (0..1_000).map(refresh_interval).collect();
        assert!(intervals.iter().all(|interval| (90_000..=110_000).contains(&interval.as_millis())));
        let mean = intervals.iter().sum::<Duration>() / 1_000;
        assert!((99..=101).contains(&mean.as_secs()), "{mean:?}");
    }

    #[test]
    fn ipv6_is_announced_three_times_a_second_apart() {
        let times: Vec<_> = steps(Family::V6).iter().map(|step| step.after.as_secs()).collect();
        assert_eq!(times, [1, 2]);
    }
}
