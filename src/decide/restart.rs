use std::collections::VecDeque;
use std::time::Duration;

use super::Moment;
use crate::model::RestartSpec;

/// Failed launches in a row after which a pool counts as degraded even though its window has room.
const FAILED_IN_A_ROW: u32 = 3;

/// When a launch that follows a failure may start (P7).
///
/// Each failure is a debt of one launch. Paying it is recorded; a window `(t − W, t]` never holds more than
/// `intensity` records. After a *failed launch* there is also a pause that doubles with each further one.
/// While degraded, launches go one at a time.
#[derive(Clone, Debug)]
pub(super) struct Restart {
    spec: RestartSpec,
    owed: u32,
    last_failure: Moment,
    paid: VecDeque<Moment>,
    failed_in_a_row: u32,
    not_before: Moment,
    degraded: bool,
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
            owed: 0,
            last_failure: Moment::ZERO,
            paid: VecDeque::new(),
            failed_in_a_row: 0,
            not_before: Moment::ZERO,
            degraded: false,
        }
    }

    pub(super) fn set_spec(&mut self, spec: RestartSpec) {
        self.spec = spec;
    }

    /// A runtime ended by failure after it had been leasable.
    pub(super) fn failed(&mut self, now: Moment) {
        self.forget(now);
        self.owed = self.owed.saturating_add(1);
        self.last_failure = now;
    }

    /// A launch failed. `jitter` is from 0 to 1.
    pub(super) fn launch_failed(&mut self, now: Moment, jitter: f64) {
        self.failed(now);
        let pause = backoff(&self.spec, self.failed_in_a_row, jitter);
        self.failed_in_a_row = self.failed_in_a_row.saturating_add(1);
        self.not_before = now + pause;
        if self.failed_in_a_row >= FAILED_IN_A_ROW {
            self.degraded = true;
        }
    }

    /// A launch came to a leasable runtime.
    pub(super) fn succeeded(&mut self) {
        self.failed_in_a_row = 0;
        self.not_before = Moment::ZERO;
        self.degraded = false;
    }

    /// Asks for one launch while `under_way` others run; becomes degraded when the window is full.
    pub(super) fn ask(&mut self, now: Moment, under_way: usize) -> Verdict {
        if self.degraded && under_way > 0 {
            return Verdict::AfterProbe;
        }
        if now < self.not_before {
            return Verdict::At(self.not_before);
        }
        self.forget(now);
        if self.owed == 0 {
            return Verdict::Now;
        }
        match self.paid.front() {
            Some(oldest) if self.paid.len() >= self.spec.intensity as usize => {
                self.degraded = true;
                Verdict::At(*oldest + self.spec.window)
            }
            _ => Verdict::Now,
        }
    }

    /// The launch asked for starts.
    pub(super) fn started(&mut self, now: Moment) {
        if self.owed > 0 {
            self.owed -= 1;
            self.paid.push_back(now);
        }
    }

    /// What lies more than a window back counts no more; neither does a debt nobody needed to pay.
    fn forget(&mut self, now: Moment) {
        if self.last_failure + self.spec.window <= now {
            self.owed = 0;
        }
        while self.paid.front().is_some_and(|at| *at + self.spec.window <= now) {
            self.paid.pop_front();
        }
    }

    pub(super) fn is_degraded(&self) -> bool {
        self.degraded
    }
}

/// `backoff · 2ⁿ`, at most the cap, of which `jitter` (0 to 1) picks from the upper half.
fn backoff(spec: &RestartSpec, failed_before: u32, jitter: f64) -> Duration {
    let full = spec.backoff.saturating_mul(1_u32.checked_shl(failed_before.min(30)).unwrap_or(u32::MAX));
    let full = full.min(spec.backoff_cap);
    full / 2 + (full / 2).mul_f64(jitter.clamp(0.0, 1.0))
}
