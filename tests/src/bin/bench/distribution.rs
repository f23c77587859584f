//! A set of measured values and what is said of it.

use serde::{Deserialize, Serialize};

/// What can be said of many measurements of one thing, in the unit of the figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Distribution {
    /// How many there are.
    pub(crate) count: usize,
    /// The least.
    pub(crate) min: f64,
    /// Half are no larger.
    pub(crate) median: f64,
    /// 95 of 100 are no larger.
    pub(crate) p95: f64,
    /// 99 of 100 are no larger.
    pub(crate) p99: f64,
    /// The largest.
    pub(crate) max: f64,
}

impl Distribution {
    /// Of one or more values, in any order; by nearest rank, so each figure is a value that was measured.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let rank = |percent: usize| values.get((values.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        Some(Self {
            count: values.len(),
            min: *values.first()?,
            median: rank(50)?,
            p95: rank(95)?,
            p99: rank(99)?,
            max: *values.last()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_is_a_value_that_was_measured() {
        let found = Distribution::of((1..=200).rev().map(f64::from).collect()).unwrap();
        let expected = Distribution { count: 200, min: 1.0, median: 100.0, p95: 190.0, p99: 198.0, max: 200.0 };
        assert_eq!(found, expected);
        assert_eq!(Distribution::of(vec![7.0]).map(|one| one.count), Some(1));
        assert_eq!(Distribution::of(Vec::new()), None);
    }
}
