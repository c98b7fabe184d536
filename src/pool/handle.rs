use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use actix::Addr;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::lease::Lease;
use super::{Error, ErrorKind, LeaseRequest, timer};
use crate::actor::{Drain, Inspect, Reconfigure, Resource, Shared, Supervisor};
use crate::config::Config;
use crate::guest::Session;
use crate::handoff::{Take, TakeError, Taken};
use crate::model::{Exhausted, PoolName, PoolSpec};
use crate::observe::{Snapshot, Status, count};

/// Longest that [`ErrorKind::Exhausted`] asks anybody to stay away, and what it says before there was a wait.
const RETRY_AFTER: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(5));

/// Timeouts shorter than this get their timer when the wait begins, all others when the handoff reminds them,
/// after two ticks of the coarse clock (100 ms) at most.
const TIMER_AT_ONCE: Duration = Duration::from_millis(500);

/// A pool of warm runtimes. Cheap to clone; clones are the same pool.
///
/// Stays usable as a value after the [`Ostler`](super::Ostler) it came from has been shut down; acquires then fail
/// with [`ErrorKind::Closed`].
#[derive(Clone, Debug)]
pub struct Pool {
    pub(super) shared: Arc<Shared>,
    pub(super) supervisor: Addr<Supervisor>,
}

impl Pool {
    /// Its name in the config.
    #[must_use]
    pub fn name(&self) -> &PoolName {
        &self.shared.name
    }

    /// Leases a runtime, as the pool is set: [`acquire_with`](Self::acquire_with) a default request.
    ///
    /// # Errors
    /// As [`acquire_with`](Self::acquire_with).
    pub async fn acquire(&self) -> Result<Lease, Error> {
        self.acquire_with(LeaseRequest::new()).await
    }

    /// Leases a runtime. A ready one is taken at once; otherwise the request waits its turn, strictly in order.
    ///
    /// Cancel-safe: dropped at any point it leaves no trace, and a runtime it had been given already goes to the
    /// next in line. Works on any async runtime, and yields now and then even when a runtime is always ready.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] after the timeout, [`ErrorKind::Exhausted`] at once when none is ready and the
    /// request says [`Exhausted::Fail`], [`ErrorKind::Overloaded`] when `queue` others wait already,
    /// [`ErrorKind::Closed`] when the pool drains, also while waiting.
    pub async fn acquire_with(&self, request: LeaseRequest) -> Result<Lease, Error> {
        let mut deadline = None;
        loop {
            let mut take = pin!(self.shared.handoff.take());
            let at_once = std::future::poll_fn(|cx| match take.as_mut().poll(cx) {
                Poll::Ready(taken) => Poll::Ready(Some(taken)),
                Poll::Pending if take.is_queued() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            });
            let taken = match at_once.await {
                Some(taken) => taken.map_err(|error| self.refused(error))?,
                None => self.wait(take, &request, &mut deadline).await?,
            };
            if !self.shared.knobs.needs_test(taken.idle()) || self.answers(&taken).await {
                self.shared.board.leases.count(taken.runtime());
                return Ok(Lease::new(taken));
            }
            reject(taken);
        }
    }

    /// Leases a runtime if one is ready now; `None` otherwise, and when the pool drains. Never waits, so a
    /// runtime that has been idle for longer than `test_after_idle` is not tested first.
    #[must_use]
    pub fn try_acquire(&self) -> Option<Lease> {
        let taken = self.shared.handoff.try_take()?;
        self.shared.board.leases.count(taken.runtime());
        Some(Lease::new(taken))
    }

    /// The figures at this moment. Costs no more than reading them; asks no actor.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// The figures, and every runtime by name, as the supervisor sees them between two steps.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] when ostler has been shut down.
    pub async fn snapshot(&self) -> Result<Snapshot, Error> {
        let (answer, snapshot) = oneshot::channel();
        self.tell(Inspect { pool: self.name().clone(), answer }, "snapshot").await?;
        snapshot.await.map_err(|_| self.error("snapshot", ErrorKind::Closed))
    }

    /// Changes how many runtimes are kept ready and how many there may be. Growing starts at once; shrinking
    /// takes ready runtimes first and leased ones as they come back. Returns when the supervisor has taken it
    /// up.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when `max` is 0 or `min` is above it, [`ErrorKind::Closed`] after a shutdown.
    pub async fn resize(&self, min: usize, max: usize) -> Result<(), Error> {
        let spec = PoolSpec { min, max, ..self.shared.settings().spec.clone() };
        Config::validate_pool(self.name(), &spec)?;
        self.tell(Reconfigure { pool: self.name().clone(), spec, made_by: None }, "resize").await?;
        // The snapshot is answered after it.
        self.snapshot().await.map(|_| ())
    }

    /// Ends the pool: no new leases, those who wait fail at once, runtimes go as they come free. Ready when the
    /// last one is gone.
    ///
    /// Cancel-safe: dropped, the drain goes on.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] when ostler was shut down meanwhile.
    pub async fn drain(&self) -> Result<(), Error> {
        let (finished, done) = oneshot::channel();
        self.tell(Drain { pool: self.name().clone(), finished }, "drain").await?;
        done.await.map_err(|_| self.error("drain", ErrorKind::Closed))
    }

    /// Waits until `min` runtimes are ready, or as many as there may be besides the leased ones.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] after `timeout`, with what the pool is suffering from; [`ErrorKind::Closed`]
    /// when it drains.
    pub async fn ready(&self, timeout: Duration) -> Result<(), Error> {
        let pause = Duration::from_millis(2);
        let start = std::time::Instant::now();
        loop {
            let status = self.status();
            if status.ready >= status.min.min(status.max.saturating_sub(status.leased)) {
                return Ok(());
            }
            if start.elapsed() >= timeout {
                return Err(self.timed_out("ready", timeout));
            }
            timer::sleep_until(&self.shared.runtime, Instant::now() + pause).await;
        }
    }

    /// Goes on with a take that did not get its runtime at once.
    async fn wait(
        &self,
        mut take: Pin<&mut Take<'_, Resource>>,
        request: &LeaseRequest,
        deadline: &mut Option<(Instant, Duration)>,
    ) -> Result<Taken<Resource>, Error> {
        let knobs = &self.shared.knobs;
        match request.when_exhausted.unwrap_or_else(|| knobs.when_exhausted()) {
            Exhausted::Wait => {}
            Exhausted::Overflow => self.shared.want_overflow(),
            Exhausted::Fail => {
                count(&self.shared.board.exhausted);
                return Err(self.error("acquire", ErrorKind::Exhausted { retry_after: self.retry_after() }));
            }
        }
        let started = Instant::now();
        let (deadline, timeout) = *deadline.get_or_insert_with(|| {
            let timeout = request.timeout.unwrap_or_else(|| knobs.acquire_timeout());
            (started + timeout, timeout)
        });
        let early = if timeout < TIMER_AT_ONCE { None } else { woken(take.as_mut()).await };
        let taken = match early {
            Some(taken) => Some(taken),
            None => timer::by(&self.shared.runtime, deadline, take).await,
        };
        match taken {
            Some(Ok(taken)) => {
                self.shared.board.cold.count(taken.runtime());
                if taken.uses() == 0 {
                    count(&self.shared.board.cold_launch);
                }
                self.record_wait(started, taken.uses());
                Ok(taken)
            }
            Some(Err(error)) => Err(self.refused(error)),
            None => {
                count(&self.shared.board.timeouts);
                Err(self.timed_out("acquire", timeout))
            }
        }
    }

    /// All waits of a young runtime are timed, then one in so many, which stands for the others: two clock reads
    /// would cost as much as a short wait.
    fn record_wait(&self, started: Instant, uses: u64) {
        const EACH: u64 = 8;
        let stands_for = if uses < 64 { 1 } else { EACH * u64::from(uses.is_multiple_of(EACH)) };
        if stands_for > 0 {
            self.shared.board.wait.record_many(started.elapsed(), stands_for);
        }
    }

    fn refused(&self, error: TakeError) -> Error {
        let kind = match error {
            TakeError::Overloaded { waiters } => {
                count(&self.shared.board.overloaded);
                ErrorKind::Overloaded { waiters }
            }
            TakeError::Closed => ErrorKind::Closed,
        };
        self.error("acquire", kind)
    }

    /// Whether a runtime that has lain idle still answers.
    async fn answers(&self, taken: &Taken<Resource>) -> bool {
        let settings = self.shared.settings();
        let wire = Arc::clone(&taken.resource().wire);
        let session = Session::new(wire, taken.epoch(), Arc::clone(&settings.defaults));
        let answered = session.ping(settings.spec.health.timeout).await.is_ok();
        taken.resource().wire.end();
        answered
    }

    async fn tell<M>(&self, message: M, operation: &'static str) -> Result<(), Error>
    where
        M: actix::Message<Result = ()> + Send + 'static,
        Supervisor: actix::Handler<M>,
    {
        self.supervisor.send(message).await.map_err(|_| self.error(operation, ErrorKind::Closed))
    }

    fn retry_after(&self) -> Duration {
        let (least, most) = RETRY_AFTER;
        self.shared.board.wait.summary().mean().unwrap_or(least).clamp(least, most)
    }

    fn timed_out(&self, operation: &'static str, waited: Duration) -> Error {
        let trouble = self.shared.board.trouble().map(|trouble| trouble.to_string());
        self.error(operation, ErrorKind::TimedOut { waited, trouble })
    }

    fn error(&self, operation: &'static str, kind: ErrorKind) -> Error {
        Error::new(operation, kind).in_pool(self.name())
    }
}

/// What a take comes to that is queued, when it is next woken: `None` when that was not for its turn. The handoff
/// wakes everybody who has waited for a tick of the coarse clock, so a timer can wait until then.
async fn woken(mut take: Pin<&mut Take<'_, Resource>>) -> Option<Result<Taken<Resource>, TakeError>> {
    // It has been polled in this very turn, and its waker is in its place.
    let mut polled = true;
    std::future::poll_fn(|cx| {
        if std::mem::take(&mut polled) {
            return Poll::Pending;
        }
        match take.as_mut().poll(cx) {
            Poll::Ready(taken) => Poll::Ready(Some(taken)),
            Poll::Pending => Poll::Ready(None),
        }
    })
    .await
}

/// A runtime that failed its test goes home to be destroyed, and is not leased.
fn reject(mut taken: Taken<Resource>) {
    taken.resource().quarantine();
    taken.lease();
}
