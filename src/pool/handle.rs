use std::future::Future;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::acquire::Acquire;
use super::lease::Lease;
use super::{Error, ErrorKind, LeaseRequest, ask, ending, timer};
use crate::actor::{Chair, Drain, Inspect, Resize, Resource, Shared, Supervisor};
use crate::config::Config;
use crate::guest::Session;
use crate::handoff::Taken;
use crate::model::{PoolName, PoolSpec};
use crate::observe::{Snapshot, Status};

/// Longest that [`ErrorKind::Exhausted`] asks anybody to stay away, and what it says before there was a wait.
const RETRY_AFTER: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(5));

/// A pool of warm runtimes. Cheap to clone; clones are the same pool.
///
/// Stays usable as a value after the [`Ostler`](super::Ostler) it came from has been shut down; acquires then fail
/// with [`ErrorKind::Closed`].
#[derive(Clone, Debug)]
pub struct Pool {
    pub(super) shared: Arc<Shared>,
    pub(super) supervisor: Chair,
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
    #[inline]
    #[track_caller]
    pub fn acquire(&self) -> impl Future<Output = Result<Lease, Error>> + Send {
        Acquire::new(self, LeaseRequest::new())
    }

    /// Leases a runtime. A ready one is taken at once; otherwise the request waits its turn, strictly in order.
    ///
    /// Cancel-safe: dropped at any point it leaves no trace, and a runtime it had been given already goes to the
    /// next in line. Works on any async runtime, and yields now and then even when a runtime is always ready.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] after the timeout, [`ErrorKind::Exhausted`] at once when none is ready and the
    /// request says [`Exhausted::Fail`](crate::Exhausted::Fail), [`ErrorKind::Overloaded`] when `queue` others wait already,
    /// [`ErrorKind::Closed`] when the pool drains, also while waiting.
    #[inline]
    #[track_caller]
    pub fn acquire_with(&self, request: LeaseRequest) -> impl Future<Output = Result<Lease, Error>> + Send {
        Acquire::new(self, request)
    }

    /// Leases a runtime if one is ready now; `None` otherwise, and when the pool drains. Never waits, so a
    /// runtime that has been idle for longer than `test_after_idle` is not tested first.
    #[must_use]
    #[track_caller]
    pub fn try_acquire(&self) -> Option<Lease> {
        let by = Location::caller();
        self.shared.handoff.try_take().map(|taken| self.lease(taken, by))
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
        self.ask("snapshot", |answer| Inspect { pool: Arc::clone(&self.shared), answer }).await
    }

    /// Changes how many runtimes are kept ready and how many there may be. Growing starts at once; shrinking
    /// takes ready runtimes first and leased ones as they come back. Returns when the supervisor has taken it
    /// up.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when `max` is 0 or `min` is above it, [`ErrorKind::Closed`] when the pool drains.
    pub async fn resize(&self, min: usize, max: usize) -> Result<(), Error> {
        let spec = PoolSpec { min, max, ..self.shared.settings().spec.clone() };
        Config::validate_pool(self.name(), &spec)
            .map_err(|why| self.error("resize", ErrorKind::Config(why)))?;
        if self.shared.handoff.is_closed() {
            return Err(self.error("resize", ErrorKind::Closed));
        }
        let request = Resize { pool: Arc::clone(&self.shared), min, max };
        ask::tell(&self.supervisor, request).await.map_err(|kind| self.error("resize", kind))
    }

    /// Ends the pool: no new leases, those who wait fail at once, runtimes go as they come free. Ready when the
    /// last one is gone.
    ///
    /// Cancel-safe: dropped, the drain goes on.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] when ostler was shut down meanwhile.
    pub async fn drain(&self) -> Result<(), Error> {
        self.ask("drain", |finished| Drain { pool: Arc::clone(&self.shared), finished }).await
    }

    /// As [`drain`](Self::drain), but only for as long as `grace`; then leased runtimes go at once. Takes two seconds
    /// more at most, whatever hangs.
    ///
    /// Cancel-safe: dropped, the drain goes on, patiently.
    ///
    /// # Errors
    /// [`ErrorKind::Survivors`] with the names of runtimes that could not be ended. They are tried again and again.
    pub async fn drain_within(&self, grace: Duration) -> Result<(), Error> {
        let (survivors, _) =
            ending::drain_all(std::slice::from_ref(self), grace, std::future::pending()).await;
        if survivors.is_empty() { Ok(()) } else { Err(self.error("drain", ErrorKind::Survivors(survivors))) }
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
            if self.shared.handoff.is_closed() {
                return Err(self.error("ready", ErrorKind::Closed));
            }
            let status = self.shared.figures();
            if status.ready >= status.min.min(status.max.saturating_sub(status.leased)) {
                return Ok(());
            }
            if start.elapsed() >= timeout {
                return Err(self.timed_out("ready", timeout));
            }
            timer::sleep_until(&self.shared.runtime, Instant::now() + pause).await;
        }
    }

    /// Of a runtime that was not waited for.
    #[inline]
    pub(super) fn lease(&self, taken: Taken<Resource>, by: &'static Location<'static>) -> Lease {
        self.shared.board.leases.count(taken.runtime());
        Lease::new(taken, by)
    }

    /// Whether a runtime that has lain idle still answers.
    pub(super) async fn answers(&self, taken: &Taken<Resource>) -> bool {
        let settings = self.shared.settings();
        let wire = Arc::clone(&taken.resource().wire);
        let session = Session::new(wire, taken.epoch(), Arc::clone(&settings.defaults));
        let answered = session.ping(settings.spec.health.timeout).await.is_ok();
        taken.resource().wire.end();
        answered
    }

    async fn ask<M, T>(
        &self,
        operation: &'static str,
        request: impl Fn(oneshot::Sender<T>) -> M,
    ) -> Result<T, Error>
    where
        M: actix::Message<Result = ()> + Send + 'static,
        Supervisor: actix::Handler<M>,
    {
        ask::ask(&self.supervisor, request).await.map_err(|kind| self.error(operation, kind))
    }

    pub(super) fn retry_after(&self) -> Duration {
        let (least, most) = RETRY_AFTER;
        self.shared.board.wait.summary().mean().unwrap_or(least).clamp(least, most)
    }

    pub(super) fn timed_out(&self, operation: &'static str, waited: Duration) -> Error {
        let trouble = self.shared.board.trouble().map(|trouble| trouble.to_string());
        self.error(operation, ErrorKind::TimedOut { waited, trouble })
    }

    pub(super) fn error(&self, operation: &'static str, kind: ErrorKind) -> Error {
        Error::new(operation, kind).in_pool(self.name())
    }
}
