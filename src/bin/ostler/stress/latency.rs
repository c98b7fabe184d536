use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Longest that is told apart; what takes longer counts as this.
const LONGEST: Duration = Duration::from_hours(1);
/// Digits that count.
const DIGITS: u8 = 3;

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timed {
    /// From the moment a lease was wanted to having it, or to having no time left for it.
    Acquire,
    /// Commands, from call to result.
    Exec,
    /// File operations.
    File,
    /// From a runtime's being killed to the pool's word that it has ended.
    Notice,
}

impl Timed {
    pub(super) const ALL: [Self; 4] = [Self::Acquire, Self::Exec, Self::File, Self::Notice];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Acquire => "acquire",
            Self::Exec => "exec",
            Self::File => "file",
            Self::Notice => "notice",
        }
    }
}

/// How long things took, to three digits.
#[derive(Debug)]
pub(super) struct Latencies(Mutex<[Histogram<u64>; 4]>, Mutex<Histogram<u64>>);

impl Latencies {
    pub(super) fn new() -> Self {
        let empty = || {
            let longest = u64::try_from(LONGEST.as_nanos()).unwrap_or(u64::MAX);
            // Refused only for bounds and digits that are out of range, and these are not.
            let mut histogram = Histogram::new_with_bounds(1, longest, DIGITS)
                .unwrap_or_else(|_| Histogram::new(DIGITS).expect("digits"));
            // Writes all of it, which otherwise would become resident bit by bit and look like a leak.
            histogram.reset();
            histogram
        };
        Self(Mutex::new([empty(), empty(), empty(), empty()]), Mutex::new(empty()))
    }

    pub(super) fn record(&self, timed: Timed, took: Duration) {
        self.record_all(timed, took, 1);
    }

    /// So many that took the same.
    pub(super) fn record_all(&self, timed: Timed, took: Duration, count: u64) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.all()[timed as usize].saturating_record_n(ns, count);
        if timed == Timed::Acquire {
            self.recent().saturating_record_n(ns, count);
        }
    }

    /// Median, and what one in a hundred acquires took longer than, since this was last asked.
    pub(super) fn take_recent(&self) -> [f64; 2] {
        let mut recent = self.recent();
        let quantiles = [0.5, 0.99].map(|quantile| ms(recent.value_at_quantile(quantile)));
        recent.reset();
        quantiles
    }

    pub(super) fn quantiles(&self, timed: Timed) -> Quantiles {
        Quantiles::of(&self.all()[timed as usize])
    }

    /// Share of acquires by how long they took at most, in milliseconds, for a plot.
    pub(super) fn curve(&self, timed: Timed) -> Vec<(f64, f64)> {
        let all = self.all();
        let histogram = &all[timed as usize];
        histogram.iter_quantiles(2).map(|step| (step.percentile(), ms(step.value_iterated_to()))).collect()
    }

    pub(super) fn add(&self, other: &Self) {
        let other = other.all();
        for (mine, theirs) in self.all().iter_mut().zip(other.iter()) {
            // The bounds are the same, so that everything fits.
            let _ = mine.add(theirs);
        }
    }

    fn all(&self) -> MutexGuard<'_, [Histogram<u64>; 4]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recent(&self) -> MutexGuard<'_, Histogram<u64>> {
        self.1.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A distribution in a few figures, milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Quantiles {
    pub(super) count: u64,
    pub(super) mean_ms: f64,
    pub(super) p50_ms: f64,
    pub(super) p90_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) p999_ms: f64,
    pub(super) max_ms: f64,
}

impl Quantiles {
    fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| ms(histogram.value_at_quantile(quantile));
        Self {
            count: histogram.len(),
            mean_ms: histogram.mean() / 1e6,
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: ms(histogram.max()),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_comes_out() {
        let latencies = Latencies::new();
        (1..=1000).for_each(|ms| latencies.record(Timed::Acquire, Duration::from_millis(ms)));
        latencies.record(Timed::Exec, Duration::from_hours(5));
        let quantiles = latencies.quantiles(Timed::Acquire);
        assert_eq!(quantiles.count, 1000);
        assert!((quantiles.p99_ms - 990.0).abs() < 2.0, "{quantiles:?}");
        assert_eq!(latencies.quantiles(Timed::Exec).count, 1, "too long is not lost");
        let [median, _] = latencies.take_recent();
        assert!((median - 500.0).abs() < 2.0, "{median}");
        assert!(latencies.take_recent()[0] < 0.001, "taken once");
    }
}
