use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::task::coop;

use super::Taken;
use super::exchange::{Attempt, Exchange, Place};

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
    /// Among the waiters.
    place: Option<Place<'a, R>>,
}

impl<'a, R> Take<'a, R> {
    pub(super) const fn new(exchange: &'a Exchange<R>) -> Self {
        Self { exchange, place: None }
    }

    /// Whether it has a place among the waiters. Pending without one, it only lets its neighbours run.
    #[must_use]
    pub const fn is_queued(&self) -> bool {
        self.place.is_some()
    }

    /// How many had begun to wait before it since the handoff's clock last ticked; 0 when it does not wait.
    #[must_use]
    pub fn nth_waiter(&self) -> usize {
        self.place.as_ref().map_or(0, |place| place.nth)
    }
}

impl<R> Future for Take<'_, R> {
    type Output = Result<Taken<R>, TakeError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(place) = &this.place {
            let turn = ready!(this.exchange.look(place, cx.waker()));
            this.place = None;
            return Poll::Ready(turn.map(Taken::new));
        }
        // Whoever joins the others who wait lets his neighbours run as it is.
        let budget = if this.exchange.is_open() { Some(ready!(coop::poll_proceed(cx))) } else { None };
        let attempt = match this.exchange.take(cx.waker()) {
            Attempt::Taken(ticket) => Ok(Taken::new(ticket)),
            Attempt::Refused(error) => Err(error),
            Attempt::Queued(place) => {
                this.place = Some(place);
                return Poll::Pending;
            }
        };
        if let Some(budget) = budget {
            budget.made_progress();
        }
        Poll::Ready(attempt)
    }
}

impl<R> Drop for Take<'_, R> {
    fn drop(&mut self) {
        if let Some(place) = &self.place {
            self.exchange.leave(place);
        }
    }
}
