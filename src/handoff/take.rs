use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::task::coop;

use super::Taken;
use super::exchange::{Attempt, Exchange};

/// Why a take failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TakeError {
    /// As many takers as may wait already do.
    #[error("{waiters} are already waiting")]
    Overloaded {
        /// How many.
        waiters: usize,
    },
    /// The handoff is closed.
    #[error("closed")]
    Closed,
}

/// The future of [`Handoff::take`](super::Handoff::take).
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Take<'a, R> {
    exchange: &'a Exchange<R>,
    /// Among the waiters; `NONE` before.
    place: usize,
    nth: usize,
}

/// No place. Not an `Option`, for this future is moved with every lease.
const NONE: usize = usize::MAX;

impl<'a, R> Take<'a, R> {
    pub(super) const fn new(exchange: &'a Exchange<R>) -> Self {
        Self { exchange, place: NONE, nth: 0 }
    }

    /// Whether it has a place among the waiters. Pending without one, it only lets its neighbours run.
    #[must_use]
    pub const fn is_queued(&self) -> bool {
        self.place != NONE
    }

    /// How many had begun to wait before it since the handoff's clock last ticked, when it has had to wait.
    #[must_use]
    pub const fn nth_waiter(&self) -> usize {
        self.nth
    }
}

impl<R> Future for Take<'_, R> {
    type Output = Result<Taken<R>, TakeError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if this.is_queued() {
            let turn = ready!(this.exchange.look(this.place, cx.waker()));
            this.place = NONE;
            return Poll::Ready(turn.map(Taken::new));
        }
        let budget = ready!(coop::poll_proceed(cx));
        let attempt = match this.exchange.take(cx.waker()) {
            Attempt::Taken(ticket) => Ok(Taken::new(ticket)),
            Attempt::Refused(error) => Err(error),
            Attempt::Queued(place, nth) => {
                this.place = place;
                this.nth = nth;
                return Poll::Pending;
            }
        };
        budget.made_progress();
        Poll::Ready(attempt)
    }
}

impl<R> Drop for Take<'_, R> {
    fn drop(&mut self) {
        if self.is_queued() {
            self.exchange.leave(self.place);
        }
    }
}
