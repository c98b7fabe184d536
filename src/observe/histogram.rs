use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

/// Buckets; the last is open. Bucket `i` holds what took less than `2^i` microseconds and did not fit before.
const BUCKETS: usize = 32;

/// How long things took, in buckets that double from one microsecond to 35 minutes. Recording is a few atomic
/// additions and never waits.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    total_us: AtomicU64,
}

/// A histogram read at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// How many were recorded.
    pub count: u64,
    /// All of them together, microseconds.
    pub total_us: u64,
    /// How many took less than `2^i` microseconds and at least `2^(i-1)`, for each `i`.
    pub buckets: Vec<u64>,
}

impl Histogram {
    /// Adds one.
    pub fn record(&self, took: Duration) {
        self.record_many(took, 1);
    }

    /// Adds one that stands for `count` like it.
    pub fn record_many(&self, took: Duration, count: u64) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = (u64::BITS - us.leading_zeros()) as usize;
        self.buckets[bucket.min(BUCKETS - 1)].fetch_add(count, Ordering::Relaxed);
        self.total_us.fetch_add(us.saturating_mul(count), Ordering::Relaxed);
    }

    /// What has been recorded so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let buckets: Vec<_> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        Summary { count: buckets.iter().sum(), total_us: self.total_us.load(Ordering::Relaxed), buckets }
    }
}

impl Summary {
    /// The mean; `None` of nothing.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        self.total_us.checked_div(self.count).map(Duration::from_micros)
    }

    /// An upper bound on what the given share of all took, exact to a factor of two; `None` of nothing.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank among counts; a bucket's width is a coarser error"
        )]
        let rank = ((self.count as f64 * share.clamp(0.0, 1.0)).ceil() as u64).max(1);
        let mut seen = 0;
        self.buckets.iter().enumerate().find_map(|(i, count)| {
            seen += count;
            (seen >= rank).then(|| Duration::from_micros(1 << i))
        })
    }
}
