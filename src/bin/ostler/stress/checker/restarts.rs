use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ostler::{Change, Reason};
use tokio::time::Instant;

/// Counts launches that follow failures (P7), from what a pool tells of itself.
///
/// A failure is owed one launch, for one window; whatever is launched next pays it. Only failures that are such beyond
/// doubt are counted, and the window is shorter by what news may be late: fewer launches are found than there were,
/// never more.
#[derive(Debug)]
pub(in super::super) struct Restarts {
    window: Duration,
    intensity: usize,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    owed: VecDeque<Instant>,
    paid: VecDeque<Instant>,
}

/// A launch that followed a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Paid {
    /// How many there were in the window that ends with it.
    pub(in super::super) within: usize,
    pub(in super::super) too_many: bool,
}

impl Restarts {
    /// News may be so `late`.
    pub(in super::super) fn new(window: Duration, intensity: u32, late: Duration) -> Self {
        let intensity = usize::try_from(intensity).unwrap_or(usize::MAX);
        Self { window: window.saturating_sub(late), intensity, book: Mutex::default() }
    }

    /// The pool says what it did.
    pub(in super::super) fn hear(&self, change: &Change, at: Instant) -> Option<Paid> {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let Book { owed, paid } = &mut *book;
        for moments in [&mut *owed, &mut *paid] {
            while moments.front().is_some_and(|first| at.saturating_duration_since(*first) >= self.window) {
                moments.pop_front();
            }
        }
        match change {
            Change::Retiring { reason: Reason::Exited | Reason::LaunchFailed, .. } => owed.push_back(at),
            Change::Launching { .. } if owed.pop_front().is_some() => {
                paid.push_back(at);
                return Some(Paid { within: paid.len(), too_many: paid.len() > self.intensity });
            }
            // The supervisor has begun anew.
            Change::Recovered { .. } => *book = Book::default(),
            _ => {}
        }
        None
    }

    /// What was heard until now can't be held against what will be.
    pub(in super::super) fn forget(&self) {
        *self.book.lock().unwrap_or_else(PoisonError::into_inner) = Book::default();
    }
}

#[cfg(test)]
mod tests {
    use ostler::RuntimeId;

    use super::*;

    /// `f`ailures and `l`aunches, each so many milliseconds after the one before; how many were too many.
    fn too_many(history: &[(char, u64)]) -> usize {
        let restarts = Restarts::new(Duration::from_millis(1100), 2, Duration::from_millis(100));
        let runtime = RuntimeId(1);
        let mut at = Instant::now();
        let hear = |(kind, after): &(char, u64)| {
            at += Duration::from_millis(*after);
            let change = match kind {
                'f' => Change::Retiring { runtime, reason: Reason::Exited },
                'u' => Change::Retiring { runtime, reason: Reason::UsedUp },
                _ => Change::Launching { runtime },
            };
            restarts.hear(&change, at).is_some_and(|paid| paid.too_many)
        };
        history.iter().map(hear).filter(|too_many| *too_many).count()
    }

    #[test]
    fn more_launches_after_failures_than_a_window_may_hold_are_too_many() {
        let pair = [('f', 100), ('l', 100)];
        assert_eq!(too_many(&[pair, pair].concat()), 0);
        assert_eq!(too_many(&[pair, pair, pair].concat()), 1);
        assert_eq!(too_many(&[pair, pair, [('f', 400), ('l', 400)]].concat()), 0, "in two windows");
    }

    #[test]
    fn launches_that_no_failure_is_owed_are_as_many_as_are_wanted() {
        assert_eq!(too_many(&[('l', 1); 50]), 0);
        assert_eq!(too_many(&[[('u', 1), ('l', 1)]; 50].concat()), 0, "planned");
        let late = [('f', 1), ('f', 1), ('f', 1), ('l', 1000), ('l', 1), ('l', 1)];
        assert_eq!(too_many(&late), 0, "a window after the failure nothing is owed");
    }
}
