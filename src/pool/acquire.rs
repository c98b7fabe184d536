use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::{Error, ErrorKind, Lease, LeaseRequest, Pool, timer};
use crate::actor::{Resource, TIMER_AT_ONCE, Wish};
use crate::handoff::{Take, TakeError, Taken};
use crate::model::Exhausted;
use crate::observe::count;

/// So many waits between two ticks of the coarse clock are timed, and of all others one in `EACH`, which stands
/// for them: two clock reads cost as much as a short wait. One that is not timed has its deadline counted from
/// the next tick.
const TIMED: usize = 64;
const EACH: usize = 64;

/// A runtime that has lain idle has so long to answer, however little time there is.
const TO_ANSWER: Duration = Duration::from_millis(50);

/// One request, from the first poll to its lease.
///
/// ```text
///             ready                        fresh, or answers
///   Taking ──────────▶ how long idle? ───────────────────────▶ Lease
///    │  ▲                    │ too long           ▲
///    ▼  │ woken              ▼                    │
///   Waiting              Testing ─────────────────┘
///    │ alarm                 │ does not answer: Taking; alarm: TimedOut
///    ▼                       ▼
///   TimedOut
/// ```
///
/// Written out by hand because every lease comes through here: what an `async fn` keeps ready for tests and timers
/// that hardly any of them meets costs each as much as the handoff itself.
pub(super) struct Acquire<'a> {
    pool: &'a Pool,
    request: LeaseRequest,
    take: Take<'a, Resource>,
    /// Whether the take has had to wait.
    waiting: bool,
    /// Since the request first had to wait, or to test. Out of the way of the others, who move it along.
    wait: Option<Box<Wait<'a>>>,
    test: Option<Test<'a>>,
    by: &'static Location<'static>,
}

/// Answers the runtime, if that answers.
type Test<'a> = Pin<Box<dyn Future<Output = Option<Taken<Resource>>> + Send + 'a>>;

struct Wait<'a> {
    /// When it began, if it is timed.
    began: Option<Instant>,
    /// How many waits its time is for.
    stands_for: u64,
    alarm: Option<Pin<Box<Sleep>>>,
    /// Kept while it lasts.
    wish: Option<Wish<'a>>,
}

impl<'a> Acquire<'a> {
    #[inline]
    #[track_caller]
    pub(super) fn new(pool: &'a Pool, request: LeaseRequest) -> Self {
        let take = pool.shared.handoff.take();
        Self { pool, request, take, waiting: false, wait: None, test: None, by: Location::caller() }
    }

    #[inline]
    fn lease(&self, taken: Taken<Resource>) -> Lease {
        if self.waiting {
            self.end_wait(&taken);
            Lease::new(taken, self.by)
        } else {
            self.pool.lease(taken, self.by)
        }
    }

    /// The handoff has counted it.
    #[inline]
    fn end_wait(&self, taken: &Taken<Resource>) {
        let board = &self.pool.shared.board;
        if taken.uses() == 0 {
            count(&board.cold_launch);
        }
        if let Some(Wait { began: Some(began), stands_for: stands_for @ 1.., .. }) = self.wait.as_deref() {
            board.wait.record_many(began.elapsed(), *stands_for);
        }
    }

    #[cold]
    fn test(&mut self, taken: Taken<Resource>) {
        if std::mem::take(&mut self.waiting) {
            self.end_wait(&taken);
            count(&self.pool.shared.board.tested_waits);
        }
        let timeout = self.timeout();
        let wait = self.wait.get_or_insert_with(|| Box::new(Wait::new(0, timeout, false)));
        if wait.alarm.is_none() {
            let limit = timeout.max(TO_ANSWER);
            let deadline = timer::after(wait.began.unwrap_or_else(Instant::now), limit);
            wait.alarm = Some(Box::pin(timer::sleep_until(&self.pool.shared.runtime, deadline)));
        }
        let pool = self.pool;
        self.test = Some(Box::pin(async move {
            let answers = pool.answers(&taken).await;
            if answers { Some(taken) } else { reject(taken) }
        }));
    }

    /// `None` when the runtime does not answer, and there is another one to be taken.
    #[cold]
    fn poll_test(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Lease>, Error>> {
        let Some(test) = &mut self.test else { return Poll::Ready(Ok(None)) };
        let Poll::Ready(taken) = test.as_mut().poll(cx) else { return self.poll_alarm(cx).map(Err) };
        self.test = None;
        if taken.is_none() {
            self.take = self.pool.shared.handoff.take();
        }
        Poll::Ready(Ok(taken.map(|taken| self.lease(taken))))
    }

    /// Ready when there is no time left.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let Some(alarm) = self.wait.as_mut().and_then(|wait| wait.alarm.as_mut()) else {
            return Poll::Pending;
        };
        ready!(alarm.as_mut().poll(cx));
        count(&self.pool.shared.board.timeouts);
        Poll::Ready(self.pool.timed_out("acquire", self.timeout()))
    }

    fn timeout(&mut self) -> Duration {
        let knobs = &self.pool.shared.knobs;
        *self.request.timeout.get_or_insert_with(|| knobs.acquire_timeout())
    }

    /// The take has a place among the waiters.
    #[inline]
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let woken = std::mem::replace(&mut self.waiting, true);
        let nth = self.take.nth_waiter();
        let timed = nth < TIMED || nth.is_multiple_of(EACH);
        let untimed = !timed && self.wait.is_none();
        if !woken && untimed && self.request.is_plain() && self.pool.shared.knobs.waits_plainly() {
            return Poll::Pending;
        }
        self.poll_slow_wait(cx, woken)
    }

    #[cold]
    fn poll_slow_wait(&mut self, cx: &mut Context<'_>, woken: bool) -> Poll<Error> {
        let wish = match if woken { Ok(None) } else { self.begin_wait() } {
            Ok(wish) => wish,
            Err(error) => return Poll::Ready(error),
        };
        let timeout = self.timeout();
        let wait =
            self.wait.get_or_insert_with(|| Box::new(Wait::new(self.take.nth_waiter(), timeout, woken)));
        wait.wish = wait.wish.take().or(wish);
        if wait.alarm.is_none() && (woken || timeout < TIMER_AT_ONCE) {
            let deadline = timer::after(wait.began.unwrap_or_else(Instant::now), timeout);
            wait.alarm = Some(Box::pin(timer::sleep_until(&self.pool.shared.runtime, deadline)));
        }
        self.poll_alarm(cx)
    }

    fn begin_wait(&self) -> Result<Option<Wish<'a>>, Error> {
        let shared = &self.pool.shared;
        match self.request.when_exhausted.unwrap_or_else(|| shared.knobs.when_exhausted()) {
            Exhausted::Wait => Ok(None),
            Exhausted::Overflow => Ok(Some(shared.want_overflow())),
            Exhausted::Fail => {
                count(&shared.board.exhausted);
                let retry_after = self.pool.retry_after();
                Err(self.pool.error("acquire", ErrorKind::Exhausted { retry_after }))
            }
        }
    }

    #[cold]
    fn refused(&self, error: TakeError) -> Error {
        let kind = match error {
            TakeError::Overloaded { waiters } => {
                count(&self.pool.shared.board.overloaded);
                ErrorKind::Overloaded { waiters }
            }
            TakeError::Closed => ErrorKind::Closed,
        };
        self.pool.error("acquire", kind)
    }
}

impl Wait<'_> {
    /// Of the `nth` since the coarse clock ticked. `late` when it has gone on for a while without being timed.
    fn new(nth: usize, timeout: Duration, late: bool) -> Self {
        let stands_for = match nth {
            _ if late => 0,
            0..TIMED => 1,
            _ if nth.is_multiple_of(EACH) => EACH as u64,
            _ => 0,
        };
        let timed = stands_for > 0 || (timeout < TIMER_AT_ONCE && !late);
        Self { began: timed.then(Instant::now), stands_for, alarm: None, wish: None }
    }
}

impl Future for Acquire<'_> {
    type Output = Result<Lease, Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            if this.test.is_some()
                && let Some(answer) = ready!(this.poll_test(cx)).transpose()
            {
                return Poll::Ready(answer);
            }
            let taken = match Pin::new(&mut this.take).poll(cx) {
                Poll::Ready(Ok(taken)) => taken,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(this.refused(error))),
                Poll::Pending if this.take.is_queued() => return this.poll_wait(cx).map(Err),
                // It only lets its neighbours run.
                Poll::Pending => return Poll::Pending,
            };
            if !this.pool.shared.knobs.needs_test(taken.idle()) {
                return Poll::Ready(Ok(this.lease(taken)));
            }
            this.test(taken);
        }
    }
}

impl fmt::Debug for Acquire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire").field("request", &self.request).finish_non_exhaustive()
    }
}

/// A runtime that failed its test goes home to be destroyed, and is not leased.
fn reject(mut taken: Taken<Resource>) -> Option<Taken<Resource>> {
    taken.resource().quarantine();
    taken.lease();
    None
}
