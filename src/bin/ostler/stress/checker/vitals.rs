use std::collections::VecDeque;
use std::fs;
use std::time::Duration;

use serde::Serialize;

/// After this the process has seen all there is to see, and should grow no more.
const WARM: Duration = Duration::from_mins(1);
/// Runs shorter than this say nothing about growth.
const LONG: Duration = Duration::from_mins(2);
/// Of how long the figures at either end are taken.
const SPAN: Duration = Duration::from_secs(15);
/// Growth that is too much.
const RATIO: f64 = 1.1;
/// Descriptors, or threads, that come and go with runtimes and clients.
const SLACK: u64 = 16;

/// What this process needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(in super::super) struct Vitals {
    pub(in super::super) rss_kib: u64,
    pub(in super::super) descriptors: u64,
    pub(in super::super) threads: u64,
}

impl Vitals {
    /// Now.
    pub(in super::super) fn read() -> Option<Self> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let field = |name: &str| -> Option<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_ascii_whitespace().next()?.parse().ok()
        };
        Some(Self {
            rss_kib: field("VmRSS:")?,
            threads: field("Threads:")?,
            descriptors: fs::read_dir("/proc/self/fd").ok()?.count() as u64,
        })
    }
}

/// Whether they grow.
#[derive(Debug, Default)]
pub(in super::super) struct Growth {
    early: Vec<Vitals>,
    late: VecDeque<(Duration, Vitals)>,
}

/// What they were after a minute and in the end.
#[derive(Clone, Copy, Debug, Serialize)]
pub(in super::super) struct Grown {
    pub(in super::super) early: Vitals,
    pub(in super::super) late: Vitals,
    /// Of resident memory.
    pub(in super::super) ratio: f64,
    pub(in super::super) too_much: bool,
}

impl Growth {
    /// Takes a sample, `at` on the run's clock.
    pub(in super::super) fn add(&mut self, at: Duration, vitals: Vitals) {
        if at >= WARM && at < WARM + SPAN {
            self.early.push(vitals);
        }
        self.late.push_back((at, vitals));
        while self.late.front().is_some_and(|(first, _)| at.saturating_sub(*first) > SPAN) {
            self.late.pop_front();
        }
    }

    /// Nothing when the run was too short to tell.
    pub(in super::super) fn result(&self) -> Option<Grown> {
        let (end, _) = self.late.back()?;
        if *end < LONG || self.early.is_empty() {
            return None;
        }
        let late: Vec<_> = self.late.iter().map(|(_, vitals)| *vitals).collect();
        let (early, late) = (typical(&self.early), typical(&late));
        // Both are far below what a float can hold.
        #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
        let ratio = late.rss_kib as f64 / early.rss_kib.max(1) as f64;
        let more = |late: u64, early: u64| late > early + early / 10 + SLACK;
        let too_much =
            ratio > RATIO || more(late.descriptors, early.descriptors) || more(late.threads, early.threads);
        Some(Grown { early, late, ratio, too_much })
    }
}

/// The median of memory, the most of what comes and goes.
fn typical(samples: &[Vitals]) -> Vitals {
    let mut rss: Vec<_> = samples.iter().map(|sample| sample.rss_kib).collect();
    rss.sort_unstable();
    let most = |part: fn(&Vitals) -> u64| samples.iter().map(part).max().unwrap_or(0);
    Vitals {
        rss_kib: rss.get(rss.len() / 2).copied().unwrap_or(0),
        descriptors: most(|sample| sample.descriptors),
        threads: most(|sample| sample.threads),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn growth(seconds: u64, sample: impl Fn(u64) -> Vitals) -> Growth {
        let mut growth = Growth::default();
        (0..seconds).for_each(|second| growth.add(Duration::from_secs(second), sample(second)));
        growth
    }

    fn rss(rss_kib: u64) -> Vitals {
        Vitals { rss_kib, descriptors: 50, threads: 10 }
    }

    #[test]
    fn what_stays_has_not_grown() {
        let grown = growth(300, |second| rss(if second < 60 { second } else { 10_000 })).result().unwrap();
        assert!(!grown.too_much && (grown.ratio - 1.0).abs() < 0.01, "{grown:?}");
    }

    #[test]
    fn what_leaks_has() {
        assert!(growth(300, |second| rss(10_000 + second * 10)).result().unwrap().too_much);
        let leak = growth(300, |second| Vitals { descriptors: 50 + second, ..rss(10_000) });
        assert!(leak.result().unwrap().too_much);
    }

    #[test]
    fn a_short_run_tells_nothing() {
        assert!(growth(119, rss).result().is_none());
    }

    #[test]
    fn this_process_has_vitals() {
        let vitals = Vitals::read().unwrap();
        assert!(vitals.rss_kib > 0 && vitals.descriptors > 0 && vitals.threads > 0, "{vitals:?}");
    }
}
