use std::collections::VecDeque;

use tokio::time::Instant;

/// Grants that are remembered. A waiter overtaken by an older one than these is not noticed.
const REMEMBERED: usize = 2048;

/// Who was served when, to see whether anybody was overtaken.
///
/// A waiter A was certainly overtaken by B when B began after A was in the queue, and had its runtime before the
/// one that A was given came free. Everything else can be explained by a waker that was slow.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// In the order in which they were entered, which is nearly that of `granted`.
    grants: VecDeque<Grant>,
}

#[derive(Clone, Copy, Debug)]
struct Grant {
    began: u64,
    granted: u64,
    at: Instant,
}

/// A waiter that was overtaken, unless something happened to a runtime meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Overtaking {
    /// When the waiter was in the queue.
    pub(in super::super) queued: u64,
    /// When whoever overtook it began.
    pub(in super::super) began: u64,
    /// When that one had its runtime.
    pub(in super::super) granted: u64,
    pub(in super::super) at: Instant,
    /// When the waiter's own was still somebody else's.
    pub(in super::super) busy: u64,
}

impl Order {
    /// Notes a grant of somebody who never waited for certain.
    pub(super) fn note(&mut self, began: u64, granted: u64, at: Instant) {
        if self.grants.len() == REMEMBERED {
            self.grants.pop_front();
        }
        self.grants.push_back(Grant { began, granted, at });
    }

    /// Judges one who was in the queue from `queued`, and was given a runtime that was another's at `busy`.
    pub(super) fn judge(&self, queued: u64, busy: u64) -> Option<Overtaking> {
        let unfair = |grant: &&Grant| grant.began > queued && grant.granted < busy;
        // What was entered long before the waiter came was granted before it, too.
        let recent = self.grants.iter().rev().take_while(|grant| grant.granted > queued);
        let Grant { began, granted, at } = *recent.filter(unfair).last()?;
        Some(Overtaking { queued, began, granted, at, busy })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Grants as (began, granted), a waiter as (queued, busy).
    fn judge(grants: &[(u64, u64)], (queued, busy): (u64, u64)) -> bool {
        let mut order = Order::default();
        for (began, granted) in grants {
            order.note(*began, *granted, Instant::now());
        }
        order.judge(queued, busy).is_some()
    }

    #[test]
    fn one_who_came_later_and_was_served_while_the_other_waited_has_overtaken() {
        assert!(judge(&[(11, 12)], (10, 13)));
        assert!(judge(&[(1, 2), (11, 12), (30, 31)], (10, 29)));
    }

    #[test]
    fn one_who_came_earlier_has_not() {
        assert!(!judge(&[(9, 12)], (10, 13)));
    }

    #[test]
    fn one_who_was_seen_after_the_waiters_runtime_was_free_may_have_been_served_after_it() {
        assert!(!judge(&[(11, 14)], (10, 13)));
    }

    #[test]
    fn a_history_in_turn_has_no_overtaking() {
        let mut order = Order::default();
        // Each waits from 4n to 4n + 9, and its runtime is another's until 4n + 6.
        for turn in 0..10_000_u64 {
            let (queued, busy) = (4 * turn, 4 * turn + 6);
            assert_eq!(order.judge(queued, busy), None, "{turn}");
            order.note(4 * turn, 4 * turn + 9, Instant::now());
        }
        assert!(order.grants.len() <= REMEMBERED);
    }
}
