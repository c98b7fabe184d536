use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::clock::{Clock, millis};
use super::tenure::Tenure;
use crate::guest::{Defaults, Session, Wire};
use crate::handoff::{Handoff, Hooks, Ticket};
use crate::model::{BackendSpec, Exhausted, PoolName, PoolSpec, Port, ResetPolicy};
use crate::observe::{Board, Status};

/// Where ports of a runtime are reached from this host.
pub(crate) type Endpoints = Arc<BTreeMap<Port, SocketAddr>>;

/// Timeouts shorter than this get their timer when the wait begins, all others when the handoff reminds them,
/// at the next tick of the coarse clock (50 ms).
pub(crate) const TIMER_AT_ONCE: Duration = Duration::from_millis(500);

/// What a ticket carries: all that a lease works with.
pub(crate) struct Resource {
    /// Moves with the ticket; nobody else speaks on it.
    pub(crate) wire: Arc<dyn Wire>,
    pub(crate) shared: Arc<Shared>,
    /// How others know the runtime.
    pub(crate) handle: Arc<str>,
    pub(crate) endpoints: Endpoints,
    /// Set by the lease that must be the runtime's last.
    pub(crate) quarantined: AtomicBool,
    pub(crate) tenure: Arc<Tenure>,
    /// Whether the tenure of the lease there is now is kept.
    pub(crate) timed: bool,
    /// The lease's, begun with its first operation: a lease without one costs nothing on the wire.
    pub(crate) session: OnceLock<Box<Session>>,
}

impl Resource {
    /// This lease is the runtime's last.
    #[inline]
    pub(crate) fn quarantine(&self) {
        self.quarantined.store(true, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn is_quarantined(&self) -> bool {
        self.quarantined.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resource").field("handle", &self.handle).finish_non_exhaustive()
    }
}

/// The part of a pool that leases and the supervisor both see: the handoff, and figures that are single words.
/// Nothing here is a decision; those are the supervisor's.
pub(crate) struct Shared {
    pub(crate) name: PoolName,
    pub(crate) backend: String,
    pub(crate) handoff: Handoff<Resource>,
    pub(crate) board: Board,
    pub(crate) knobs: Knobs,
    /// Where timers and streams live for callers that have no tokio runtime of their own.
    pub(crate) runtime: Handle,
    clock: Arc<Clock>,
    settings: watch::Sender<Arc<Settings>>,
    overflow_wanted: Box<dyn Fn() + Send + Sync>,
    /// Wishes there are.
    overflow_waiting: AtomicUsize,
}

/// That one who waits may have a runtime beyond `max`, for as long as this is there.
pub(crate) struct Wish<'a>(&'a Shared);

impl Drop for Wish<'_> {
    fn drop(&mut self) {
        self.0.overflow_waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A pool's settings as leases need them.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) spec: PoolSpec,
    pub(crate) defaults: Arc<Defaults>,
}

impl Settings {
    fn new(spec: PoolSpec, home: &Handle) -> Arc<Self> {
        let base = match spec.backend {
            BackendSpec::Docker(_) | BackendSpec::Podman(_) => Defaults::of_image(),
            _ => Defaults::default(),
        };
        let mut defaults = Defaults {
            timeout: spec.exec_timeout,
            file_timeout: spec.file_timeout,
            output_limit: spec.output_limit,
            home: Some(home.clone()),
            ..base
        };
        defaults.env.extend(spec.env.iter().map(|(name, value)| (name.into(), value.into())));
        Arc::new(Self { spec, defaults: Arc::new(defaults) })
    }
}

/// The settings that every acquire and release looks at, as single words in a cache line that is never written
/// meanwhile.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Knobs {
    /// Uses a runtime may have and go straight back without a reset; 0 when there is always one.
    straight_back_until: AtomicU64,
    test_after_idle_ms: AtomicU64,
    acquire_timeout_ns: AtomicU64,
    when_exhausted: AtomicU8,
    /// Whether a request that has to wait just does so, without a timer until it is reminded.
    waits_plainly: AtomicBool,
    /// Whether anybody asks how long leases are held.
    times_leases: AtomicBool,
}

impl Knobs {
    fn set(&self, spec: &PoolSpec) {
        let until = match spec.reset {
            ResetPolicy::None => spec.max_uses.unwrap_or(u64::MAX),
            ResetPolicy::Wipe => 0,
        };
        self.straight_back_until.store(until, Ordering::Relaxed);
        self.test_after_idle_ms.store(millis(spec.test_after_idle), Ordering::Relaxed);
        let timeout = u64::try_from(spec.acquire_timeout.as_nanos()).unwrap_or(u64::MAX);
        self.acquire_timeout_ns.store(timeout, Ordering::Relaxed);
        let exhausted = match spec.when_exhausted {
            Exhausted::Wait => 0,
            Exhausted::Fail => 1,
            Exhausted::Overflow => 2,
        };
        self.when_exhausted.store(exhausted, Ordering::Relaxed);
        let plainly = spec.when_exhausted == Exhausted::Wait && spec.acquire_timeout >= TIMER_AT_ONCE;
        self.waits_plainly.store(plainly, Ordering::Relaxed);
        self.times_leases.store(spec.max_lease.is_some() || spec.leak_after.is_some(), Ordering::Relaxed);
    }

    /// Whether a runtime with so many uses goes straight back to the ready ones.
    #[inline]
    pub(crate) fn goes_straight_back(&self, uses: u64) -> bool {
        uses < self.straight_back_until.load(Ordering::Relaxed)
    }

    /// Whether a runtime must be pinged before it is leased.
    #[inline]
    pub(crate) fn needs_test(&self, idle_ms: u64) -> bool {
        idle_ms > self.test_after_idle_ms.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn waits_plainly(&self) -> bool {
        self.waits_plainly.load(Ordering::Relaxed)
    }

    /// Whether leases are to say when they began.
    #[inline]
    pub(crate) fn times_leases(&self) -> bool {
        self.times_leases.load(Ordering::Relaxed)
    }

    pub(crate) fn acquire_timeout(&self) -> Duration {
        Duration::from_nanos(self.acquire_timeout_ns.load(Ordering::Relaxed))
    }

    pub(crate) fn when_exhausted(&self) -> Exhausted {
        match self.when_exhausted.load(Ordering::Relaxed) {
            1 => Exhausted::Fail,
            2 => Exhausted::Overflow,
            _ => Exhausted::Wait,
        }
    }
}

/// How the lease path reaches the supervisor. Each is called rarely and never blocks.
pub(super) struct Calls {
    pub(super) returned: Box<dyn Fn(Ticket<Resource>) + Send + Sync>,
    pub(super) low: Box<dyn Fn() + Send + Sync>,
    pub(super) overflow_wanted: Box<dyn Fn() + Send + Sync>,
}

impl Shared {
    pub(super) fn new(
        name: PoolName,
        backend: String,
        spec: PoolSpec,
        calls: Calls,
        runtime: Handle,
        clock: Arc<Clock>,
    ) -> Arc<Self> {
        let knobs = Knobs::default();
        knobs.set(&spec);
        let hooks = Hooks { on_return: calls.returned, on_low: calls.low };
        Arc::new(Self {
            name,
            backend,
            handoff: Handoff::new(spec.max + spec.overflow, spec.queue, hooks),
            board: Board::default(),
            knobs,
            settings: watch::Sender::new(Settings::new(spec, &runtime)),
            runtime,
            clock,
            overflow_wanted: calls.overflow_wanted,
            overflow_waiting: AtomicUsize::new(0),
        })
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.borrow())
    }

    pub(super) fn set_spec(&self, spec: PoolSpec) {
        self.knobs.set(&spec);
        self.handoff.set_queue_limit(spec.queue);
        self.settings.send_replace(Settings::new(spec, &self.runtime));
    }

    /// Milliseconds since ostler started; unlike the handoff's clock, whoever hangs.
    pub(crate) fn now(&self) -> u64 {
        millis(self.clock.now())
    }

    /// A waiter may have a runtime beyond `max`.
    pub(crate) fn want_overflow(&self) -> Wish<'_> {
        self.overflow_waiting.fetch_add(1, Ordering::Relaxed);
        let wish = Wish(self);
        (self.overflow_wanted)();
        wish
    }

    /// How many wait who may have a runtime beyond `max`, or have just been served.
    pub(super) fn overflow_waiting(&self) -> usize {
        self.overflow_waiting.load(Ordering::Relaxed)
    }

    pub(crate) fn status(&self) -> Status {
        Status { runtimes: self.board.charts.read(), ..self.figures() }
    }

    /// The same without single runtimes, for whoever looks often.
    pub(crate) fn figures(&self) -> Status {
        let stock = self.handoff.stock();
        let settings = self.settings();
        let mut status = Status::read(
            &self.name,
            &self.backend,
            &self.board,
            (stock.ready, stock.waiters, self.handoff.waits()),
        );
        status.min = settings.spec.min;
        status.max = settings.spec.max;
        status
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("name", &self.name)
            .field("handoff", &self.handoff)
            .finish_non_exhaustive()
    }
}
