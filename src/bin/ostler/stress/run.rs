use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ostler::backend::Backend;
use ostler::model::{PoolSpec, RestartSpec};
use ostler::{Change, Events, Ostler, PoolName};
use slog::Logger;
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};

use super::board::{Board, Timeline};
use super::checker::{Breach, Grown, Paid, Violation};
use super::client::Client;
use super::faults::{self, Clock, Faults};
use super::finale::{self, End};
use super::latency::Timed;
use super::pace::Missed;
use super::sampler::{self, Sampler};
use super::settings::Settings;
use super::tally::Counts;
use super::world::{Heard, Parts, Target, World};

/// Events of the pools that may wait to be read. A backlog beyond it costs the run its judgement of losses.
const BACKLOG: usize = 1 << 16;
/// Faults that may be due at once.
const DUE: usize = 64;
/// Threads that clients are spread over.
const THREADS: usize = 4;

/// What a run came to.
pub(super) struct Outcome {
    pub(super) seed: u64,
    /// Whether it was there to be compared with.
    pub(super) is_baseline: bool,
    /// Where one seed is one run.
    pub(super) trace: Option<u64>,
    pub(super) counts: Counts,
    pub(super) breaches: Vec<(Breach, u64)>,
    pub(super) violations: Vec<Violation>,
    pub(super) timeline: Timeline,
    /// Of the load, on the run's clock.
    pub(super) lasted: Duration,
    pub(super) end: End,
    pub(super) grown: Option<Grown>,
}

/// Who does harm to a pool, and what makes its runtimes where that is one of our own.
pub(super) type Cast = (Arc<dyn Faults>, Option<Arc<dyn Backend>>);

/// Plays a run to its end on a thread of its own, so that whoever watches is not held up, and its clock is its own.
pub(super) fn play(
    settings: &Arc<Settings>,
    seed: u64,
    board: &Arc<Board>,
    log: &Logger,
) -> anyhow::Result<Outcome> {
    let clock = settings.clock();
    let daemon = settings.daemon.clone();
    let cast = move |name: &PoolName, spec: &PoolSpec| faults::of(name, spec, seed, clock, &daemon);
    play_with(settings, seed, board, log, cast)
}

/// As [`play`], with a cast of one's own.
pub(super) fn play_with(
    settings: &Arc<Settings>,
    seed: u64,
    board: &Arc<Board>,
    log: &Logger,
    cast: impl Fn(&PoolName, &PoolSpec) -> Cast,
) -> anyhow::Result<Outcome> {
    let stopped = settings.clock() == Clock::Virtual;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(stopped)
        .build()
        .context("no event loop")?;
    let run = run(Arc::clone(settings), seed, Arc::clone(board), log.clone(), cast);
    LocalSet::new().block_on(&runtime, run)
}

async fn run(
    settings: Arc<Settings>,
    seed: u64,
    board: Arc<Board>,
    log: Logger,
    cast: impl Fn(&PoolName, &PoolSpec) -> Cast,
) -> anyhow::Result<Outcome> {
    let clock = settings.clock();
    let mut builder = Ostler::builder(settings.config.clone()).nonblocking_logger(log.clone()).seed(seed);
    if clock == Clock::Virtual {
        builder = builder.on_this_thread();
    }
    let mut harm = Vec::new();
    for (name, spec) in &settings.config.pools {
        let (faults, backend) = cast(name, spec);
        if let Some(backend) = backend {
            builder = builder.backend(name.as_str(), backend);
        }
        harm.push(faults);
    }
    let ostler = builder.start().await?;
    let events = ostler.events(BACKLOG);
    let mut targets = Vec::new();
    for ((name, spec), faults) in settings.config.pools.iter().zip(harm) {
        targets.push(Target::new(ostler.pool(name.as_str())?, spec.clone(), faults, clock));
    }
    let (due, is_due) = mpsc::channel(DUE);
    let menu = menu(&settings, &targets);
    let is_baseline = settings.is_baseline;
    let parts = Parts { settings, clock, seed, board: Arc::clone(&board), targets, menu, due, log };
    let world = Arc::new(World::new(parts));

    let hearing = spawn_local(hear(Arc::clone(&world), events));
    let sampler = Rc::new(RefCell::new(Sampler::new(&world)));
    let sampling = spawn_local(sampler::sample(Rc::clone(&sampler)));
    let harming = spawn_local(faults::inject(Arc::clone(&world), is_due));
    board.enter("load");
    match clock {
        Clock::Virtual => on_this_thread(&world).await?,
        Clock::Real => on_threads(&world).await?,
    }
    let lasted = world.now();
    for Missed { turns, waited } in world.pace.missed(&board) {
        board.tally.missed.add(turns);
        board.latencies.record_all(Timed::Acquire, waited, turns);
    }
    harming.abort();
    // Nothing of it is left to come when it has ended; how it did is what was asked for.
    drop(harming.await);
    let grown = sampler.borrow().grown();
    if let Some(Grown { early, late, .. }) = grown.filter(|grown| grown.too_much) {
        world.breach(Breach::Grown, format!("this process grew from {early:?} to {late:?}"));
    }
    let end = finale::play(&world, ostler).await;
    sampling.abort();
    // Ends with the pools.
    hearing.await.context("the events of the run")?;
    let violations = &board.violations;
    Ok(Outcome {
        seed,
        is_baseline,
        trace: world.fingerprint(),
        counts: board.tally.read(),
        breaches: Breach::ALL.into_iter().map(|breach| (breach, violations.count(breach))).collect(),
        violations: violations.told(),
        timeline: board.timeline(),
        lasted,
        end,
        grown,
    })
}

/// Each fault with each pool that can suffer it.
fn menu(settings: &Settings, targets: &[Target]) -> Vec<(super::faults::Fault, usize)> {
    let suffers = |fault| {
        let able =
            targets.iter().enumerate().filter(move |(_, target)| target.faults.refuses(fault).is_none());
        able.map(move |(place, _)| (fault, place))
    };
    settings.faults.iter().flat_map(|fault| suffers(*fault)).collect()
}

/// All clients here, one after the other whenever one waits.
async fn on_this_thread(world: &Arc<World>) -> anyhow::Result<()> {
    let clients: Vec<_> = (0..world.settings.clients)
        .map(|number| spawn_local(Client::new(Arc::clone(world), number).live()))
        .collect();
    for client in clients {
        client.await.context("a client")?;
    }
    Ok(())
}

/// Clients spread over threads, so that they really are at it at the same time.
async fn on_threads(world: &Arc<World>) -> anyhow::Result<()> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = processors.clamp(2, THREADS).min(world.settings.clients);
    let (ended, mut all_ended) = mpsc::channel::<()>(1);
    let mut crew = Vec::new();
    for share in 0..threads {
        let (world, ended) = (Arc::clone(world), ended.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let work = move || {
            let _ended = ended;
            LocalSet::new().block_on(&runtime, async {
                let numbers = (share..world.settings.clients).step_by(threads);
                let clients: Vec<_> = numbers
                    .map(|number| spawn_local(Client::new(Arc::clone(&world), number).live()))
                    .collect();
                for client in clients {
                    client.await.context("a client")?;
                }
                anyhow::Ok(())
            })
        };
        crew.push(std::thread::Builder::new().name(format!("stress-{share}")).spawn(work)?);
    }
    drop(ended);
    // Nobody sends; it ends when the last thread has.
    let _: Option<()> = all_ended.recv().await;
    for thread in crew {
        thread.join().map_err(|_| anyhow::anyhow!("a thread of clients panicked"))??;
    }
    Ok(())
}

/// What a pool said is held against its promises.
fn judge(world: &World, target: &Target, heard: &Heard) {
    let (tally, pool) = (&world.board.tally, target.pool.name());
    let RestartSpec { intensity, window, .. } = target.spec.restart;
    if let Some(Paid { within, too_many }) = heard.paid {
        tally.restarts.one();
        if too_many {
            let words = format!(
                "pool {pool}: {within} launches after failures within {window:?}, where {intensity} may be"
            );
            world.breach(Breach::Rushed, words);
        }
    }
    if let Some(took) = heard.noticed {
        world.board.latencies.record(Timed::Notice, took);
    }
    if heard.planned.is_some() {
        tally.planned.one();
    }
    if let Some(runtime) = heard.evicted {
        world.breach(
            Breach::Evicted,
            format!("pool {pool}: {runtime} was retired as planned, and somebody has it"),
        );
    }
}

/// Listens to what the pools say of themselves: it excuses, and accuses where a pool contradicts what its clients know,
/// or its settings.
async fn hear(world: Arc<World>, mut events: Events) {
    let mut lost = 0;
    while let Some(event) = events.next().await {
        world.trace(|trace| trace.add_shown(&event.change));
        for target in world.targets.iter().filter(|target| *target.pool.name() == event.pool) {
            let known = match world.clock {
                Clock::Virtual => Duration::ZERO,
                Clock::Real => event.at.elapsed().unwrap_or_default(),
            };
            judge(&world, target, &target.hear(&event.change, world.stamps.next(), known));
            if let Change::Ready { handle, .. } = &event.change
                && target.has_keepers()
            {
                target.keepers.announced(handle);
            }
        }
        if events.dropped() > lost {
            lost = events.dropped();
            slog::warn!(world.log, "events were read too slowly"; "lost" => lost);
            world.targets.iter().for_each(|target| target.deafened(world.stamps.next()));
        }
    }
}
