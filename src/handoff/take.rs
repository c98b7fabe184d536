use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::task::coop;

use super::Taken;
use super::exchange::{Attempt, Exchange, Standing};

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
    place: Option<usize>,
}

impl<'a, R> Take<'a, R> {
    pub(super) const fn new(exchange: &'a Exchange<R>) -> Self {
        Self { exchange, place: None }
    }

    fn attempt(&mut self, waker: &Waker, standing: Standing) -> Poll<Result<Taken<R>, TakeError>> {
        match self.exchange.take(waker, standing) {
            Attempt::Taken(ticket) => Poll::Ready(Ok(Taken::new(ticket))),
            Attempt::Refused(error) => Poll::Ready(Err(error)),
            Attempt::Queued(place) => {
                self.place = Some(place);
                Poll::Pending
            }
        }
    }
}

impl<R> Future for Take<'_, R> {
    type Output = Result<Taken<R>, TakeError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let Some(place) = this.place else {
            let budget = ready!(coop::poll_proceed(cx));
            let attempt = ready!(this.attempt(cx.waker(), Standing::New));
            budget.made_progress();
            return Poll::Ready(attempt);
        };
        let turn = ready!(this.exchange.look(place, cx.waker()));
        this.place = None;
        match turn {
            Ok(ticket) if ticket.is_condemned() => {
                this.exchange.return_to_owner(ticket);
                this.attempt(cx.waker(), Standing::Next)
            }
            turn => Poll::Ready(turn.map(Taken::new)),
        }
    }
}

impl<R> Drop for Take<'_, R> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.exchange.leave(place);
        }
    }
}
