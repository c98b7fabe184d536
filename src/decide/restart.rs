use std::collections::VecDeque;
use std::time::Duration;

use super::Moment;
use crate::model::RestartSpec;

/// Failed launches in a row after which a pool counts as degraded even though its window has room.
const FAILED_IN_A_ROW: u32 = 3;

/// When a launch that follows a failure may start (P7).
///
/// Each failure is a debt of one launch, for one window. Paying it is recorded; a window `(t − W, t]` never
/// holds more than `intensity` records. After a *failed launch* there is also a pause that doubles with each
/// further one, and launches go one at a time until one succeeds; so they do while the pool is degraded.
#[derive(Clone, Debug)]
pub(super) struct Restart {
    spec: RestartSpec,
    /// Failures of the last window that no launch has followed yet, the oldest first. Never more than the pool
    /// may hold, since every launch pays one.
    owed: VecDeque<Moment>,
    /// Launches of the last window that paid for one, the oldest first. Never more than `intensity`.
    paid: VecDeque<Moment>,
    failed_in_a_row: u32,
    not_before: Moment,
    /// A launch is wanted that the window has no room for.
    exhausted: bool,
}

/// Why a pool is degraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strain {
    /// A launch is wanted that the restart window has no room for.
    Window,
    /// Launches fail, one after the other.
    Launches,
    /// So many have ended that are not replaced, as the settings want it.
    GivenUp(usize),
}

/// What the restart policy says of one more launch now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Go.
    Now,
    /// Not before this moment.
    At(Moment),
    /// Not while another one is under way.
    AfterProbe,
}

impl Restart {
    pub(super) fn new(spec: RestartSpec) -> Self {
        Self {
            spec,
            owed: VecDeque::new(),
            paid: VecDeque::new(),
            failed_in_a_row: 0,
            not_before: Moment::ZERO,
            exhausted: false,
        }
    }

    pub(super) fn set_spec(&mut self, spec: RestartSpec) {
        self.spec = spec;
    }

    /// A runtime ended by failure.
    pub(super) fn failed(&mut self, now: Moment) {
        self.forget(now);
        self.owed.push_back(now);
    }

    /// A launch failed. `jitter` is from 0 to 1.
    pub(super) fn launch_failed(&mut self, now: Moment, jitter: f64) {
        self.failed(now);
        let pause = backoff(&self.spec, self.failed_in_a_row, jitter);
        self.failed_in_a_row = self.failed_in_a_row.saturating_add(1);
        self.not_before = now.saturating_add(pause);
    }

    /// A launch came to a leasable runtime.
    pub(super) fn succeeded(&mut self) {
        self.failed_in_a_row = 0;
        self.not_before = Moment::ZERO;
        self.exhausted = false;
    }

    /// No launch is wanted, and none is under way: the window holds nothing up.
    pub(super) fn not_needed(&mut self) {
        self.exhausted = false;
    }

    /// Asks for one launch while `under_way` others run; becomes degraded when the window is full.
    pub(super) fn ask(&mut self, now: Moment, under_way: usize) -> Verdict {
        self.forget(now);
        if under_way > 0 && (self.failed_in_a_row > 0 || self.exhausted) {
            return Verdict::AfterProbe;
        }
        if now < self.not_before {
            return Verdict::At(self.not_before);
        }
        let Some(newest) = self.owed.back() else { return Verdict::Now };
        if self.paid.len() < self.spec.intensity as usize {
            return Verdict::Now;
        }
        self.exhausted = true;
        // Room again when the oldest payment leaves the window, or nothing is owed any more.
        let first = self.paid.front().map_or(newest, |oldest| oldest.min(newest));
        Verdict::At(first.saturating_add(self.spec.window))
    }

    /// The launch asked for starts.
    pub(super) fn started(&mut self, now: Moment) {
        if self.owed.pop_front().is_some() {
            self.paid.push_back(now);
        }
    }

    /// What the pool is degraded by, if it is.
    pub(super) fn strain(&self) -> Option<Strain> {
        if self.exhausted {
            Some(Strain::Window)
        } else {
            (self.failed_in_a_row >= FAILED_IN_A_ROW).then_some(Strain::Launches)
        }
    }

    /// What lies a window back counts no more.
    fn forget(&mut self, now: Moment) {
        for moments in [&mut self.owed, &mut self.paid] {
            while moments.front().is_some_and(|at| at.saturating_add(self.spec.window) <= now) {
                moments.pop_front();
            }
        }
    }
}

/// `backoff · 2ⁿ`, at most the cap, of which `jitter` (0 to 1) picks from the upper half.
fn backoff(spec: &RestartSpec, failed_before: u32, jitter: f64) -> Duration {
    let full = spec.backoff.saturating_mul(1 << failed_before.min(30)).min(spec.backoff_cap);
    full / 2 + (full / 2).mul_f64(jitter.clamp(0.0, 1.0))
}
