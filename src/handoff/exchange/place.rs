use std::fmt;

use super::super::Ticket;
use super::super::seat::Seat;

/// A waiter's.
pub(in crate::handoff) struct Place<'a, R> {
    pub(super) number: usize,
    pub(super) seat: &'a Seat<Ticket<R>>,
    /// How many began to wait before it since the clock ticked.
    pub(in crate::handoff) nth: usize,
}

impl<R> Place<'_, R> {
    #[inline]
    pub(super) fn collect(&self) -> Option<Ticket<R>> {
        self.seat.collect(self.number)
    }
}

impl<R> fmt::Debug for Place<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("number", &self.number).finish_non_exhaustive()
    }
}
