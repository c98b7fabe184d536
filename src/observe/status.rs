use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::board::Board;
use super::chart::Vitals;
use super::histogram::Summary;
use crate::model::{PoolName, Reason, RuntimeId, State};

/// A pool's figures at one moment. Its `Display` is a few lines for people.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// Whose.
    pub pool: PoolName,
    /// What makes its runtimes.
    pub backend: String,
    /// Runtimes by state; `Gone` is left out. Leased ones circulate.
    pub states: BTreeMap<State, usize>,
    /// Leasable now.
    pub ready: usize,
    /// Out with somebody, or about to be.
    pub leased: usize,
    /// Acquires that wait.
    pub waiters: usize,
    /// Runtimes it keeps ready.
    pub min: usize,
    /// Runtimes it may have.
    pub max: usize,
    /// Launches so far, failed ones included.
    pub launched: u64,
    /// Leases so far.
    pub leases: u64,
    /// Leases that had to wait, for whatever reason.
    pub cold: u64,
    /// Of those, the ones that waited for a launch; the others waited for somebody's release.
    pub cold_launch: u64,
    /// Acquires that ran out of time.
    pub timeouts: u64,
    /// Acquires refused because the queue was full.
    pub overloaded: u64,
    /// Acquires refused because nothing was ready and the caller would not wait.
    pub exhausted: u64,
    /// Leases told of because they were held for longer than `leak_after`.
    pub leaked: u64,
    /// Runtimes retired so far, by reason; reasons that never came are left out.
    pub retired: BTreeMap<Reason, u64>,
    /// Whether launches fail so that the pool cannot keep its promise.
    pub degraded: bool,
    /// Why it is degraded; else the last failure, until a launch has come through again.
    pub trouble: Option<String>,
    /// How long acquires waited that had to.
    pub wait: Summary,
    /// From launch to leasable.
    pub launch: Summary,
    /// From release to leasable.
    pub reset: Summary,
    /// Commands, from call to result.
    pub exec: Summary,
    /// Each runtime that has been leasable and is not gone, in order of launch.
    pub runtimes: Vec<Vitals>,
}

impl Status {
    /// Without single runtimes, which there may be many of; with these ready, so many waiting, and so many waits that
    /// came to something.
    pub(crate) fn read(
        pool: &PoolName,
        backend: &str,
        board: &Board,
        (ready, waiters, waits): (usize, usize, u64),
    ) -> Self {
        use std::sync::atomic::Ordering::Relaxed;
        let states: BTreeMap<_, _> = State::ALL
            .into_iter()
            .filter(|state| *state != State::Gone)
            .map(|state| (state, board.state(state)))
            .collect();
        let circulating = board.state(State::Circulating);
        Self {
            pool: pool.clone(),
            backend: backend.to_owned(),
            ready: ready.min(circulating),
            leased: circulating.saturating_sub(ready),
            states,
            waiters,
            min: 0,
            max: 0,
            launched: board.launched(),
            leases: (board.leases.total() + waits).saturating_sub(board.tested_waits.load(Relaxed)),
            cold: waits,
            cold_launch: board.cold_launch.load(Relaxed),
            timeouts: board.timeouts.load(Relaxed),
            overloaded: board.overloaded.load(Relaxed),
            exhausted: board.exhausted.load(Relaxed),
            leaked: board.leaked.load(Relaxed),
            retired: Reason::ALL
                .into_iter()
                .map(|reason| (reason, board.retired(reason)))
                .filter(|(_, count)| *count > 0)
                .collect(),
            degraded: board.is_degraded(),
            trouble: board.trouble().map(|trouble| trouble.to_string()),
            wait: board.wait.summary(),
            launch: board.launch.summary(),
            reset: board.reset.summary(),
            exec: board.exec.summary(),
            runtimes: Vec::new(),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: usize = self.states.values().sum();
        let health = if self.degraded { ", DEGRADED" } else { "" };
        writeln!(f, "pool {} ({}): {total} of {} runtimes{health}", self.pool, self.backend, self.max)?;
        write!(f, "  now      ready {}, leased {}, waiters {}", self.ready, self.leased, self.waiters)?;
        for (state, count) in &self.states {
            if *count > 0 && *state != State::Circulating {
                write!(f, ", {state} {count}")?;
            }
        }
        writeln!(f)?;
        writeln!(
            f,
            "  so far   launched {}, leases {} ({} waited, {} of them for a launch), timeouts {}, overloaded {}, exhausted {}",
            self.launched,
            self.leases,
            self.cold,
            self.cold_launch,
            self.timeouts,
            self.overloaded,
            self.exhausted
        )?;
        write!(f, "  retired ")?;
        if self.retired.is_empty() {
            write!(f, " none")?;
        }
        for (i, (reason, count)) in self.retired.iter().enumerate() {
            write!(f, "{} {reason} {count}", if i == 0 { "" } else { "," })?;
        }
        if let Some(trouble) = &self.trouble {
            write!(f, "\n  trouble  {trouble}")?;
        }
        for runtime in self.runtimes.iter().filter(|runtime| runtime.is_worth_a_line()) {
            write!(f, "\n  {:<8} {runtime}", runtime.id.to_string())?;
        }
        Ok(())
    }
}

/// A [`Status`] with every runtime by name, as the supervisor sees it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Snapshot {
    /// The figures.
    pub status: Status,
    /// Each runtime that is not gone, in order of launch.
    pub runtimes: Vec<RuntimeStatus>,
}

/// One runtime.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RuntimeStatus {
    /// Which.
    pub id: RuntimeId,
    /// Where it stands.
    pub state: State,
    /// How others know it: `pid 4711`, a container's id. Empty until it is there.
    pub handle: String,
    /// Since its launch began, milliseconds.
    pub age_ms: u64,
}
