use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use ostler::model::{BackendSpec, ResetPolicy, RestartPolicy};
use ostler::{Change, Pool, PoolSpec, Reason, RuntimeId};
use slog::Logger;
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;

use super::board::Board;
use super::checker::{Breach, Docket, Judged, Keepers, Ledger, Notices, Paid, Restarts, Terms};
use super::faults::{Clock, Fault, Faults, Orders};
use super::pace::Pace;
use super::pulse::Pulse;
use super::settings::Settings;
use super::token::Token;
use super::trace::Trace;
use crate::process::Process;

/// Everything that those who take part in a run share.
pub(super) struct World {
    pub(super) settings: Arc<Settings>,
    pub(super) clock: Clock,
    pub(super) seed: u64,
    /// Of this run's tokens.
    pub(super) run: u64,
    pub(super) board: Arc<Board>,
    pub(super) targets: Vec<Target>,
    /// The faults that come, and to which of the targets.
    pub(super) menu: Vec<(Fault, usize)>,
    pub(super) pace: Pace,
    pub(super) stamps: Stamps,
    /// Where it is said that a fault is due, when leases decide.
    pub(super) due: Sender<()>,
    pub(super) log: Logger,
    pub(super) started: Instant,
    /// How much later than it should something may be.
    pub(super) slack: Duration,
    trace: Option<Mutex<Trace>>,
    /// By the world's clock, how slow the machine is.
    pulse: Option<Pulse>,
    /// Numbers of the leases there are.
    live: Mutex<BTreeSet<u64>>,
}

/// A pool under stress.
pub(super) struct Target {
    pub(super) pool: Pool,
    pub(super) spec: PoolSpec,
    pub(super) ledger: Ledger,
    pub(super) docket: Docket,
    pub(super) keepers: Keepers,
    pub(super) restarts: Restarts,
    pub(super) notices: Notices,
    pub(super) orders: Orders,
    pub(super) faults: Arc<dyn Faults>,
    /// Whether one runtime sees nothing of another, once that is known.
    private: OnceLock<bool>,
}

/// What a pool's word comes to.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// A launch that followed a failure.
    pub(super) paid: Option<Paid>,
    /// How long it took to notice that a runtime was killed.
    pub(super) noticed: Option<Duration>,
    /// A runtime that goes as planned.
    pub(super) planned: Option<RuntimeId>,
    /// One that does while somebody has it.
    pub(super) evicted: Option<RuntimeId>,
}

/// How late the pools' news may be, for what is counted in a window.
const LATE: Duration = Duration::from_millis(250);

/// Numbers that grow with time, across threads.
#[derive(Debug, Default)]
pub(super) struct Stamps(AtomicU64);

impl Stamps {
    pub(super) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// What a [`World`] is made from, besides what it makes itself.
pub(super) struct Parts {
    pub(super) settings: Arc<Settings>,
    pub(super) clock: Clock,
    pub(super) seed: u64,
    pub(super) board: Arc<Board>,
    pub(super) targets: Vec<Target>,
    pub(super) menu: Vec<(Fault, usize)>,
    pub(super) due: Sender<()>,
    pub(super) log: Logger,
}

impl World {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { settings, clock, seed, board, targets, menu, due, log } = parts;
        let jumps = menu.iter().any(|(fault, _)| *fault == Fault::ClockJump);
        let slack = match clock {
            Clock::Real => Duration::from_secs(5),
            Clock::Virtual if jumps => super::faults::JUMP + Duration::from_millis(200),
            Clock::Virtual => Duration::from_millis(200),
        };
        Self {
            pace: Pace::new(settings.length, settings.arrivals),
            // Under a virtual clock nothing leaves this process, and one seed is to be one run.
            run: if clock == Clock::Virtual { seed } else { seed ^ fastrand::u64(..) },
            stamps: Stamps::default(),
            started: Instant::now(),
            trace: (clock == Clock::Virtual).then(|| Mutex::new(Trace::new())),
            live: Mutex::default(),
            pulse: (clock == Clock::Real).then(|| Pulse::start(late(&targets))),
            settings,
            clock,
            seed,
            board,
            targets,
            menu,
            due,
            log,
            slack,
        }
    }

    /// On the run's clock.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    pub(super) fn breach(&self, breach: Breach, what: String) {
        self.trace(|trace| trace.add(breach as u64));
        self.board.violations.add(breach, self.now(), what);
    }

    /// Counts a pool's runtimes past the pool, where that can be done.
    ///
    /// # Errors
    /// It should have been possible and was not.
    pub(super) fn count(&self, target: &Target) -> anyhow::Result<()> {
        let counted = target.faults.count();
        if counted.is_err() {
            self.board.tally.unanswered.one();
        }
        let Some(there) = counted? else { return Ok(()) };
        self.board.tally.backend_looks.one();
        let (pool, limit) = (target.pool.name(), target.limit());
        if there > limit {
            self.breach(
                Breach::Exceeded,
                format!("pool {pool}: {there} runtimes at once, where {limit} may be"),
            );
        }
        Ok(())
    }

    /// Adds to the fingerprint, where one run is the same as the next.
    pub(super) fn trace(&self, add: impl FnOnce(&mut Trace)) {
        if let Some(trace) = &self.trace {
            add(&mut trace.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    pub(super) fn fingerprint(&self) -> Option<u64> {
        self.trace.as_ref().map(|trace| trace.lock().unwrap_or_else(PoisonError::into_inner).value())
    }

    /// Suspects whose time has come are judged; all, when nothing more is to be heard.
    pub(super) fn judge(&self, all: bool) {
        let hiccups = self.pulse.as_ref().map(Pulse::late).unwrap_or_default();
        for target in &self.targets {
            target.faults.strains().into_iter().for_each(|at| target.docket.strained(at));
            for at in &hiccups {
                target.docket.hiccup(*at);
            }
            let Judged { guilty, excused, unexplained } = target.docket.judge(all);
            self.board.tally.excused.add(excused);
            self.board.tally.unexplained.add(unexplained);
            for (breach, what) in guilty {
                self.breach(breach, format!("pool {}: {what}", target.pool.name()));
            }
        }
    }

    /// Something is or was done that may make any runtime slow.
    pub(super) fn strain(&self) {
        self.targets.iter().for_each(|target| target.docket.strained(Instant::now()));
    }

    pub(super) fn live(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_live(&self, token: &Token) -> bool {
        self.live().contains(&token.lease)
    }
}

impl Target {
    pub(super) fn new(pool: Pool, spec: PoolSpec, faults: Arc<dyn Faults>, clock: Clock) -> Self {
        let terms = terms(&spec, clock);
        Self {
            pool,
            ledger: Ledger::default(),
            docket: Docket::new(terms),
            keepers: Keepers::default(),
            restarts: Restarts::new(spec.restart.window, spec.restart.intensity, LATE),
            notices: Notices::default(),
            spec,
            orders: Orders::default(),
            faults,
            private: OnceLock::new(),
        }
    }

    /// The pool says what it did, and has known it for so long.
    pub(super) fn hear(&self, change: &Change, now: u64, known: Duration) -> Heard {
        let tested = match change {
            Change::Retiring { runtime, .. } => {
                let idle = self.ledger.idle(*runtime);
                idle.is_none_or(|idle| idle >= self.spec.test_after_idle)
            }
            _ => false,
        };
        let heard = Instant::now();
        let at = heard.checked_sub(known).unwrap_or(heard);
        self.docket.hear(change, now, at, tested);
        let planned = match change {
            Change::Retiring { runtime, reason } => {
                matches!(reason, Reason::UsedUp | Reason::Idle | Reason::Aged).then_some(*runtime)
            }
            _ => None,
        };
        // Nobody is entered before the lease is had, nor after it is given back.
        let evicted = planned.filter(|runtime| self.ledger.is_leased(*runtime));
        let all_replaced = self.spec.restart.policy == RestartPolicy::Always;
        Heard {
            paid: self.restarts.hear(change, at).filter(|_| all_replaced),
            noticed: self.notices.hear(change, at),
            planned,
            evicted,
        }
    }

    /// What it said may have been missed.
    pub(super) fn deafened(&self, now: u64) {
        self.docket.deafened(now);
        self.restarts.forget();
        self.notices.forget();
    }

    /// The clock has moved on at once.
    pub(super) fn jumped(&self, by: Duration) {
        self.docket.jumped(by);
        self.restarts.forget();
        self.notices.jumped();
    }

    /// Longest it may take, half of the time, to notice that a runtime was killed: a few times what is promised, because
    /// the host is busy.
    pub(super) fn notice(&self) -> Duration {
        match self.spec.backend {
            BackendSpec::Docker(_) | BackendSpec::Podman(_) => Duration::from_secs(2),
            _ => Duration::from_millis(200),
        }
    }

    pub(super) fn is_fake(&self) -> bool {
        matches!(self.spec.backend, BackendSpec::Fake(_))
    }

    /// Whether a process of this host stands beside each runtime.
    pub(super) fn has_keepers(&self) -> bool {
        matches!(self.spec.backend, BackendSpec::Process(_))
    }

    /// Whether runtimes are cleaned between leases.
    pub(super) fn is_wiped(&self) -> bool {
        self.spec.reset == ResetPolicy::Wipe
    }

    /// Runtimes it may have.
    pub(super) fn limit(&self) -> usize {
        self.spec.max + self.spec.overflow
    }

    /// Longest that an operation may take beyond its own time: until a runtime that hangs has been found to.
    pub(super) fn patience(&self) -> Duration {
        let health = &self.spec.health;
        let rounds = health.retries.saturating_add(2);
        (health.interval * 2 + health.timeout).saturating_mul(rounds)
            + self.spec.reset_timeout
            + self.spec.retire_timeout
            + Duration::from_secs(30)
    }

    /// Longest until a pool that nothing is done to any more has all its runtimes again.
    pub(super) fn recovery(&self) -> Duration {
        let restart = &self.spec.restart;
        let launches = u32::try_from(self.limit()).unwrap_or(u32::MAX);
        self.patience()
            + restart.window * 2
            + restart.backoff_cap * 2
            + self.spec.launch_timeout.min(Duration::from_secs(30)).saturating_mul(launches.min(8))
    }

    /// Whether one runtime sees nothing of another, going by one that is leased.
    pub(super) fn is_private(&self, handle: &str) -> bool {
        if let Some(private) = self.private.get() {
            return *private;
        }
        let Some(process) = Process::of(handle) else { return !handle.starts_with("pid ") };
        let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/pid"));
        match (namespace(&process.pid.to_string()), namespace("self")) {
            (Ok(theirs), Ok(ours)) => *self.private.get_or_init(|| theirs != ours),
            // It has gone; another lease will tell.
            _ => false,
        }
    }

    /// Whether a token was left where only the lease itself should find one.
    pub(super) fn is_foreign(&self, found: &Token, own: &Token, handle: &str) -> bool {
        found != own && ((found.pool, found.runtime) == (own.pool, own.runtime) || self.is_private(handle))
    }
}

/// What may have to do with what in a pool.
fn terms(spec: &PoolSpec, clock: Clock) -> Terms {
    let health = &spec.health;
    // A runtime that fails the test before its lease puts its waiter back, and is told of after that.
    let (news, patience, reaction) = match clock {
        Clock::Real => (Duration::from_millis(250), Duration::from_secs(2), Duration::from_secs(10)),
        Clock::Virtual => (Duration::from_millis(1), Duration::from_millis(50), Duration::from_secs(1)),
    };
    let news = health.timeout + news;
    let rounds = health.retries.saturating_add(1);
    Terms {
        patience: patience.max(news + Duration::from_millis(10)),
        news,
        strain: (health.interval + health.timeout).saturating_mul(rounds) + reaction,
        staged: matches!(spec.backend, BackendSpec::Fake(_)),
    }
}

/// How late the machine may wake whoever sleeps, before it is a reason for a probe that fails.
fn late(targets: &[Target]) -> Duration {
    targets.iter().map(|target| target.spec.health.timeout / 4).min().unwrap_or_default()
}
