use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_utils::atomic::AtomicCell;

use super::clock::millis;
use crate::model::Epoch;

/// How long the current lease of a runtime has been held and may be: one per runtime, written by its lease and
/// read by the supervisor, both only where the pool's settings ask for it. Times are milliseconds
/// since ostler started.
#[derive(Debug, Default)]
pub(crate) struct Tenure {
    /// When the lease is over; [`NEVER`] without a limit or a lease, [`EXPIRED`] once it is.
    until: AtomicU64,
    /// When it began or was last renewed, and whether that has been told of; [`NEVER`] without a lease.
    since: AtomicU64,
    epoch: AtomicU64,
    /// Where it was acquired.
    by: AtomicCell<Option<&'static Location<'static>>>,
}

const NEVER: u64 = 0;
const EXPIRED: u64 = u64::MAX;
/// Beside the time in `since`.
const TOLD: u64 = 1 << 63;

/// What the supervisor learns when it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// The lease is over, since this moment or an earlier one.
    Expired,
    /// It has been held for so long that its holder may have forgotten it.
    Leaked(Duration),
}

impl Tenure {
    /// A lease begins.
    #[cold]
    pub(crate) fn begin(
        &self,
        epoch: Epoch,
        now: u64,
        limit: Option<Duration>,
        by: &'static Location<'static>,
    ) {
        self.epoch.store(epoch.0, Ordering::Relaxed);
        self.by.store(Some(by));
        self.since.store(now.max(1), Ordering::Relaxed);
        self.until.store(until(now, limit), Ordering::Release);
    }

    /// It ends; answers whether it was over already.
    #[cold]
    pub(crate) fn end(&self) -> bool {
        self.since.store(NEVER, Ordering::Relaxed);
        self.until.swap(NEVER, Ordering::AcqRel) == EXPIRED
    }

    /// It goes on from now; answers whether it was not over already.
    pub(crate) fn renew(&self, now: u64, limit: Option<Duration>) -> bool {
        let renewed = self.until.fetch_update(Ordering::AcqRel, Ordering::Acquire, |set| {
            (set != EXPIRED).then(|| until(now, limit))
        });
        if renewed.is_ok() {
            self.since.store(now.max(1), Ordering::Relaxed);
        }
        renewed.is_ok()
    }

    pub(crate) fn is_expired(&self) -> bool {
        self.until.load(Ordering::SeqCst) == EXPIRED
    }

    /// Looks at it. A lease that is over stays so, whatever its holder does at this moment.
    pub(super) fn look(&self, now: u64, leak_after: Option<Duration>) -> Option<Finding> {
        let until = self.until.load(Ordering::Acquire);
        let is_over = until == EXPIRED || (until != NEVER && until <= now);
        if is_over && self.until.compare_exchange(until, EXPIRED, Ordering::SeqCst, Ordering::Relaxed).is_ok()
        {
            return Some(Finding::Expired);
        }
        let since = self.since.load(Ordering::Relaxed);
        let held = Duration::from_millis(now.saturating_sub(since));
        let is_leak = since != NEVER && since & TOLD == 0 && leak_after.is_some_and(|limit| held >= limit);
        let told = || self.since.compare_exchange(since, since | TOLD, Ordering::Relaxed, Ordering::Relaxed);
        (is_leak && told().is_ok()).then_some(Finding::Leaked(held))
    }

    pub(super) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Relaxed))
    }

    /// Where the lease was acquired, for people.
    pub(super) fn acquired_at(&self) -> String {
        self.by.load().map_or_else(String::new, ToString::to_string)
    }
}

/// No lease ends before its time, so the millisecond that is under way does not count.
fn until(now: u64, limit: Option<Duration>) -> u64 {
    let until = |limit| now.saturating_add(millis(limit)).saturating_add(1);
    limit.map_or(NEVER, |limit| until(limit).min(EXPIRED - 1))
}
