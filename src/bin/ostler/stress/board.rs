use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::checker::{Violations, Vitals};
use super::faults::Fault;
use super::latency::Latencies;
use super::tally::Tally;

/// Samples that are kept. With more, every second one goes and they are taken half as often.
const SAMPLES: usize = 600;
/// Faults that are marked in plots.
const MARKS: usize = 4000;

/// What a run shows of itself while it goes on, to whoever looks from another thread.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) tally: Tally,
    pub(super) violations: Violations,
    pub(super) latencies: Latencies,
    line: Mutex<Timeline>,
    phase: Mutex<&'static str>,
    stop: AtomicBool,
}

/// How it stood at moments of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Timeline {
    pub(super) samples: Vec<Sample>,
    pub(super) faults: Vec<Mark>,
    /// Every how many of those that come one is kept.
    #[serde(skip)]
    each: usize,
    #[serde(skip)]
    came: usize,
}

/// One moment.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Sample {
    pub(super) at_s: f64,
    /// Runtimes of all pools, by state.
    pub(super) states: BTreeMap<&'static str, usize>,
    pub(super) ready: usize,
    pub(super) leased: usize,
    pub(super) waiters: usize,
    pub(super) degraded: bool,
    /// Since the run began.
    pub(super) leases: u64,
    pub(super) acquire_p50_ms: f64,
    pub(super) acquire_p99_ms: f64,
    pub(super) vitals: Vitals,
}

/// A fault that was done.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Mark {
    pub(super) at_s: f64,
    pub(super) fault: Fault,
}

impl Board {
    pub(super) fn new() -> Self {
        Self {
            tally: Tally::default(),
            violations: Violations::default(),
            latencies: Latencies::new(),
            line: Mutex::new(Timeline { each: 1, ..Timeline::default() }),
            phase: Mutex::new("starting"),
            stop: AtomicBool::new(false),
        }
    }

    pub(super) fn sample(&self, sample: Sample) {
        let mut line = self.line();
        line.came += 1;
        if line.came.is_multiple_of(line.each) {
            line.samples.push(sample);
        }
        if line.samples.len() > SAMPLES {
            let mut even = false;
            line.samples.retain(|_| {
                even = !even;
                even
            });
            line.each *= 2;
        }
    }

    pub(super) fn mark(&self, at: Duration, fault: Fault) {
        let mut line = self.line();
        if line.faults.len() < MARKS {
            line.faults.push(Mark { at_s: at.as_secs_f64(), fault });
        }
    }

    pub(super) fn timeline(&self) -> Timeline {
        self.line().clone()
    }

    pub(super) fn last(&self) -> Option<Sample> {
        self.line().samples.last().cloned()
    }

    pub(super) fn enter(&self, phase: &'static str) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    pub(super) fn phase(&self) -> &'static str {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No more work is to be begun.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn line(&self) -> MutexGuard<'_, Timeline> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_keeps_few_samples_evenly() {
        let board = Board::new();
        for second in 0..10_000_u32 {
            board.sample(Sample { at_s: f64::from(second), ..Sample::default() });
        }
        let samples = board.timeline().samples;
        assert!((SAMPLES / 2..=SAMPLES).contains(&samples.len()), "{}", samples.len());
        let gaps: Vec<_> = samples.windows(2).map(|pair| pair[1].at_s - pair[0].at_s).collect();
        let longest = gaps.iter().copied().fold(0.0, f64::max);
        assert!(longest <= 33.0, "{longest}");
        assert!(samples[samples.len() - 1].at_s > 9900.0);
    }
}
