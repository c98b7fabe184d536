use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ostler::{Error, ErrorKind, Lease, LeaseRequest, Ostler};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::checker::{Arrival, Breach, Remains};
use super::faults::Clock;
use super::held::Held;
use super::sampler::census;
use super::world::{Target, World};

/// Grace of the shutdown at the end, and what it may take on top of it.
const GRACE: Duration = Duration::from_secs(1);
const BEYOND: Duration = Duration::from_secs(2);
/// How long what was ended may take to be gone.
const GONE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Until an engine that did not answer is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// How it ended.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct End {
    /// From the last fault until all runtimes there may be were leased at once.
    pub(super) whole_ms: f64,
    pub(super) shutdown_ms: f64,
    /// What was still there.
    pub(super) left: Vec<String>,
}

/// After the load: is every slot leasable, does it end in time, and is nothing left?
pub(super) async fn play(world: &Arc<World>, ostler: Ostler) -> End {
    let mut end = End::default();
    world.board.enter("getting well");
    for target in &world.targets {
        target.faults.relent();
        while target.orders.take().is_some() {}
        if target.ledger.live() > 0 {
            world.breach(Breach::Wrong, format!("pool {}: a lease is held by nobody", target.pool.name()));
        }
    }
    let started = Instant::now();
    for place in 0..world.targets.len() {
        make_whole(world, place).await;
    }
    end.whole_ms = started.elapsed().as_secs_f64() * 1e3;
    // Whatever is to be said of the last losses has been said by then.
    sleep(Duration::from_secs(3)).await;
    world.judge(true);
    for target in &world.targets {
        for what in target.notices.judge(target.notice()) {
            world.breach(Breach::Unnoticed, format!("pool {}: {what}", target.pool.name()));
        }
    }
    for target in &world.targets {
        let waiters = target.pool.status().waiters;
        if waiters > 0 {
            let words = format!("pool {}: {waiters} wait though nobody is there", target.pool.name());
            world.breach(Breach::Wrong, words);
        }
    }
    world.board.enter("shutting down");
    let stopping = Instant::now();
    let result = ostler.shutdown_within(GRACE).await;
    let took = stopping.elapsed();
    end.shutdown_ms = took.as_secs_f64() * 1e3;
    if took > GRACE + BEYOND + world.slack {
        world.breach(Breach::Late, format!("the shutdown took {took:?} with a grace of {GRACE:?}"));
    }
    if let Err(error) = result {
        world.breach(Breach::Survived, survivors(&error));
    }
    end.left = left(world).await;
    for what in &end.left {
        world.breach(Breach::Leaked, what.clone());
    }
    world.board.enter("over");
    end
}

fn survivors(error: &Error) -> String {
    match error.kind() {
        ErrorKind::Survivors(names) => names.join(", "),
        _ => format!("shutdown: {error:?}"),
    }
}

/// Leases all the runtimes there may be at the same time, and looks into each.
async fn make_whole(world: &Arc<World>, place: usize) {
    let target = &world.targets[place];
    let patience = target.recovery();
    let mut asking = JoinSet::new();
    for _ in 0..target.spec.max {
        let pool = target.pool.clone();
        // With `queue` smaller than `max` not all can wait at once.
        asking.spawn_local(retry(patience, move || {
            let pool = pool.clone();
            async move { pool.acquire_with(LeaseRequest::new().timeout(patience)).await }
        }));
    }
    let mut leases: Vec<Lease> = Vec::new();
    let mut failure = None;
    while let Some(asked) = asking.join_next().await {
        match asked {
            Ok(Ok(lease)) => leases.push(lease),
            Ok(Err(error)) => failure = Some(format!("{error:?}")),
            Err(error) => failure = Some(error.to_string()),
        }
    }
    let name = target.pool.name();
    let lost = target.spec.max - leases.len();
    for _ in 0..lost {
        let why = failure.as_deref().unwrap_or("without a word");
        world
            .breach(Breach::Lost, format!("pool {name}: a slot was not leasable within {patience:?}: {why}"));
    }
    leases.extend(std::iter::from_fn(|| target.pool.try_acquire()).take(target.limit()));
    if leases.len() > target.limit() {
        let (there, limit) = (leases.len(), target.limit());
        world.breach(Breach::Exceeded, format!("pool {name}: {there} leases at once where {limit} may be"));
    }
    count(world, target).await;
    let now = world.stamps.next();
    let enter = |lease| {
        let arrival =
            Arrival { client: usize::MAX, began: now, queued: None, granted: now, at: Instant::now() };
        Held::enter(world, place, lease, arrival)
    };
    let held: Vec<_> = leases.into_iter().map(enter).collect();
    for lease in &held {
        lease.mark_files().await;
    }
    for lease in held {
        lease.release(false);
    }
}

/// Counts the runtimes of a pool that is whole. What is promised must be seen.
async fn count(world: &World, target: &Target) {
    let started = Instant::now();
    while let Err(error) = world.count(target) {
        if started.elapsed() >= GONE {
            let words = format!("pool {}: not looked at: {error:#}", target.pool.name());
            world.breach(Breach::Exceeded, words);
            return;
        }
        sleep(AGAIN).await;
    }
}

/// Tries again while too many wait, for so long.
async fn retry<F: Future<Output = Result<Lease, Error>>>(
    patience: Duration,
    mut acquire: impl FnMut() -> F,
) -> Result<Lease, Error> {
    let started = Instant::now();
    loop {
        match acquire().await {
            Err(error)
                if matches!(error.kind(), ErrorKind::Overloaded { .. } | ErrorKind::Exhausted { .. })
                    && started.elapsed() < patience =>
            {
                sleep(LOOK_EVERY).await;
            }
            other => return other,
        }
    }
}

/// What is there of this run after it has had time to go.
async fn left(world: &World) -> Vec<String> {
    let mut left = Vec::new();
    let gone = async {
        loop {
            left = look(world);
            if left.is_empty() {
                return;
            }
            sleep(LOOK_EVERY).await;
        }
    };
    // What is left then is told.
    drop(timeout(GONE, gone).await);
    left
}

fn look(world: &World) -> Vec<String> {
    let mut left = Vec::new();
    for Target { pool, faults, .. } in &world.targets {
        match faults.alive() {
            Ok(0) => {}
            Ok(alive) => left.push(format!("pool {}: {alive} runtimes of the backend", pool.name())),
            Err(error) => left.push(format!("pool {}: not looked at: {error:#}", pool.name())),
        }
    }
    if world.clock == Clock::Virtual {
        return left;
    }
    if let Some(census) = census(world) {
        match census.left() {
            Ok(processes) => left.extend(processes),
            Err(error) => left.push(format!("not looked at: the processes: {error}")),
        }
    }
    match Remains::of_this_process(&world.settings.config.state_dir) {
        Some(remains) => left.extend(remains.list()),
        None => left.push("not looked at: this process".to_owned()),
    }
    left
}
