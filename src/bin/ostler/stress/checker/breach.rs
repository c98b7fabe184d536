use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

/// Violations told in words; the rest is only counted.
const TOLD: usize = 100;

/// A promise that can be seen to be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum Breach {
    /// More runtimes than there may be.
    Exceeded,
    /// A slot that cannot be leased though nothing is wrong any more.
    Lost,
    /// Two leases on one runtime, or one with the number of an earlier one.
    Doubled,
    /// Served after somebody who came later.
    Overtaken,
    /// An acquire, operation or shutdown that outlasted its time.
    Late,
    /// Not what the operation comes to.
    Wrong,
    /// More launches after failures than a window may hold.
    Rushed,
    /// A lease lost to what was done to others.
    Disturbed,
    /// A runtime that was killed, and nobody noticed in time.
    Unnoticed,
    /// A leased runtime that was taken away as planned.
    Evicted,
    /// Something of another lease was found in a runtime.
    Residue,
    /// Still there though it was ended.
    Survived,
    /// Left behind when all was over.
    Leaked,
    /// Memory, descriptors or threads of this process that grew with time.
    Grown,
}

impl Breach {
    pub(in super::super) const ALL: [Self; 14] = [
        Self::Exceeded,
        Self::Lost,
        Self::Doubled,
        Self::Overtaken,
        Self::Late,
        Self::Wrong,
        Self::Rushed,
        Self::Disturbed,
        Self::Unnoticed,
        Self::Evicted,
        Self::Residue,
        Self::Survived,
        Self::Leaked,
        Self::Grown,
    ];

    pub(in super::super) const fn name(self) -> &'static str {
        match self {
            Self::Exceeded => "exceeded",
            Self::Lost => "lost",
            Self::Doubled => "doubled",
            Self::Overtaken => "overtaken",
            Self::Late => "late",
            Self::Wrong => "wrong",
            Self::Rushed => "rushed",
            Self::Disturbed => "disturbed",
            Self::Unnoticed => "unnoticed",
            Self::Evicted => "evicted",
            Self::Residue => "residue",
            Self::Survived => "survived",
            Self::Leaked => "leaked",
            Self::Grown => "grown",
        }
    }
}

/// One breach.
#[derive(Clone, Debug, Serialize)]
pub(in super::super) struct Violation {
    pub(in super::super) breach: Breach,
    /// On the run's clock.
    pub(in super::super) at_s: f64,
    pub(in super::super) what: String,
}

/// All there were.
#[derive(Debug, Default)]
pub(in super::super) struct Violations {
    counts: [AtomicU64; Breach::ALL.len()],
    told: Mutex<Vec<Violation>>,
}

impl Violations {
    pub(in super::super) fn add(&self, breach: Breach, at: Duration, what: String) {
        self.counts[breach as usize].fetch_add(1, Ordering::Relaxed);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < TOLD {
            told.push(Violation { breach, at_s: at.as_secs_f64(), what });
        }
    }

    pub(in super::super) fn count(&self, breach: Breach) -> u64 {
        self.counts[breach as usize].load(Ordering::Relaxed)
    }

    pub(in super::super) fn total(&self) -> u64 {
        Breach::ALL.into_iter().map(|breach| self.count(breach)).sum()
    }

    pub(in super::super) fn told(&self) -> Vec<Violation> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
