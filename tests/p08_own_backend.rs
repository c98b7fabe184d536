//! P8, P13: the code of an application's own backend panics, in any of its methods and of what it hands out, once or
//! each time. Nothing aborts, another pool of the same ostler does not notice, no lease is lost, the end comes in time,
//! and what happened can be read somewhere.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use ostler::backend::fake::{Act, Fake, Point};
use ostler::backend::{Backend, BackendError, BoxFuture, Exit, Instance, Launch, Launched, Residue};
use ostler::model::{BackendSpec, FakeSpec, HealthSpec, Meter, Port, RestartSpec, RuntimeId};
use ostler::{Change, Config, Error, ErrorKind, Events, Lease, Ostler, Pool, PoolSpec};
use support::gated::Gates;
use support::{eventually, sim};
use tokio::time::{Instant, sleep, timeout};

const SABOTAGE: &str = "sabotage";
const GRACE: Duration = Duration::from_millis(200);
/// What is promised beyond the grace, and a second for a machine that is busy with other things.
const MORE: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(20);

/// Where the backend's code can panic: in a call, or in the future that it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Name,
    PrepareCall,
    Prepare,
    SweepCall,
    Sweep,
    LaunchCall,
    Launch,
    SettledCall,
    Settled,
    Trouble,
    CloseCall,
    Close,
    Exit,
    Handle,
    Endpoints,
    HealthCheck,
    Transport,
    MeterCall,
    Meter,
    VerifyCall,
    Verify,
    DestroyCall,
    Destroy,
    Drop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Often {
    Once,
    Always,
}

/// Panics where it was told to.
#[derive(Debug, Default)]
struct Mine {
    at: Mutex<Option<(Step, Often)>>,
    struck: AtomicUsize,
    /// Runtimes whose end somebody waits for.
    watched: AtomicUsize,
}

impl Mine {
    fn lay(&self, step: Step, often: Often) {
        *self.at.lock().unwrap() = Some((step, often));
    }

    fn clear(&self) {
        *self.at.lock().unwrap() = None;
    }

    fn pass(&self, step: Step) {
        let met = {
            let mut at = self.at.lock().unwrap();
            let met = at.filter(|(mined, _)| *mined == step);
            if met.is_some_and(|(_, often)| often == Often::Once) {
                *at = None;
            }
            met
        };
        if met.is_some() {
            self.struck.fetch_add(1, Ordering::Relaxed);
            panic!("{SABOTAGE} at {step:?}");
        }
    }

    fn struck(&self) -> usize {
        self.struck.load(Ordering::Relaxed)
    }
}

#[derive(Clone, Debug)]
struct Mined {
    fake: Fake,
    mine: Arc<Mine>,
}

impl Mined {
    fn at<T: 'static>(&self, step: Step, work: BoxFuture<T>) -> BoxFuture<T> {
        let mine = Arc::clone(&self.mine);
        Box::pin(async move {
            mine.pass(step);
            work.await
        })
    }
}

impl Backend for Mined {
    fn name(&self) -> &'static str {
        self.mine.pass(Step::Name);
        "mined"
    }

    fn prepare(&self) -> BoxFuture<Result<(), BackendError>> {
        self.mine.pass(Step::PrepareCall);
        self.at(Step::Prepare, self.fake.prepare())
    }

    fn launch(&self, launch: Launch) -> BoxFuture<Result<Launched, BackendError>> {
        self.mine.pass(Step::LaunchCall);
        let (this, launched) = (self.clone(), self.fake.launch(launch));
        self.at(
            Step::Launch,
            Box::pin(async move {
                let Launched { control, data, exit, instance } = launched.await?;
                let mine = Arc::clone(&this.mine);
                let exit: BoxFuture<Exit> = Box::pin(async move {
                    mine.watched.fetch_add(1, Ordering::Relaxed);
                    mine.pass(Step::Exit);
                    exit.await
                });
                Ok(Launched { control, data, exit, instance: Box::new(MinedInstance { instance, of: this }) })
            }),
        )
    }

    fn settled(&self, runtime: RuntimeId) -> BoxFuture<()> {
        self.mine.pass(Step::SettledCall);
        self.at(Step::Settled, self.fake.settled(runtime))
    }

    fn sweep(&self) -> BoxFuture<Result<u32, BackendError>> {
        self.mine.pass(Step::SweepCall);
        self.at(Step::Sweep, self.fake.sweep())
    }

    fn trouble(&self) -> Option<String> {
        self.mine.pass(Step::Trouble);
        self.fake.trouble()
    }

    fn close(&self) -> BoxFuture<Result<(), BackendError>> {
        self.mine.pass(Step::CloseCall);
        self.at(Step::Close, self.fake.close())
    }
}

#[derive(Debug)]
struct MinedInstance {
    instance: Box<dyn Instance>,
    of: Mined,
}

impl Instance for MinedInstance {
    fn handle(&self) -> String {
        self.of.mine.pass(Step::Handle);
        self.instance.handle()
    }

    fn endpoints(&self) -> BTreeMap<Port, SocketAddr> {
        self.of.mine.pass(Step::Endpoints);
        self.instance.endpoints()
    }

    fn health_check(&self) -> Option<Vec<String>> {
        self.of.mine.pass(Step::HealthCheck);
        self.instance.health_check()
    }

    fn transport(&self) -> Option<&'static str> {
        self.of.mine.pass(Step::Transport);
        self.instance.transport()
    }

    fn meter(&self) -> Option<Meter> {
        self.of.mine.pass(Step::MeterCall);
        let mine = Arc::clone(&self.of.mine);
        Some(Arc::new(move || {
            mine.pass(Step::Meter);
            None
        }))
    }

    fn verify(&self) -> BoxFuture<Result<(), Residue>> {
        self.of.mine.pass(Step::VerifyCall);
        self.of.at(Step::Verify, self.instance.verify())
    }

    fn destroy(&mut self) -> BoxFuture<Result<(), BackendError>> {
        self.of.mine.pass(Step::DestroyCall);
        let destroy = self.instance.destroy();
        self.of.at(Step::Destroy, destroy)
    }
}

impl Drop for MinedInstance {
    fn drop(&mut self) {
        // A second panic while one is under way would be the test's own fault.
        if !std::thread::panicking() {
            self.of.mine.pass(Step::Drop);
        }
    }
}

/// What ostler has logged.
#[derive(Clone, Debug, Default)]
struct Told(Arc<Mutex<String>>);

impl slog::Drain for Told {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &slog::Record<'_>, _: &slog::OwnedKVList) -> Result<(), slog::Never> {
        let mut words = Words(record.msg().to_string());
        // What can't be said is not told.
        drop(slog::KV::serialize(&record.kv(), record, &mut words));
        let mut told = self.0.lock().unwrap();
        told.push_str(&words.0);
        told.push('\n');
        Ok(())
    }
}

struct Words(String);

impl slog::Serializer for Words {
    fn emit_arguments(&mut self, key: slog::Key, value: &std::fmt::Arguments<'_>) -> slog::Result {
        write!(self.0, ", {key}: {value}")?;
        Ok(())
    }
}

/// Injected panics are expected; they would fill the screen.
fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !info.payload_as_str().is_some_and(|words| words.starts_with(SABOTAGE)) {
                loud(info);
            }
        }));
    });
}

/// Which threads the backend is called on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    /// On its own, in real time.
    Aside,
    /// On the actors', and the test's, with a clock that jumps.
    Here,
}

/// Runs a case in both places.
fn everywhere<F: Future<Output = ()>>(case: impl Fn(Where) -> F) {
    hush();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(case(Where::Aside));
    sim::simulate(case(Where::Here));
}

struct Stage {
    ostler: Ostler,
    mined: Pool,
    other: Pool,
    events: Events,
    seen: Seen,
    fake: Fake,
    gates: Gates,
    mine: Arc<Mine>,
}

/// All that anybody could read.
#[derive(Default)]
struct Seen {
    told: Told,
    causes: Vec<String>,
}

impl Seen {
    fn names(&self, step: Step) -> bool {
        let words = format!("{SABOTAGE} at {step:?}");
        let told = self.told.0.lock().unwrap();
        self.causes.iter().any(|cause| cause.contains(&words)) || told.contains(&words)
    }
}

fn spec() -> PoolSpec {
    let limit = Duration::from_millis(500);
    PoolSpec {
        backend: BackendSpec::Custom,
        min: 2,
        max: 4,
        acquire_timeout: PATIENCE,
        launch_timeout: limit,
        reset_timeout: limit,
        retire_timeout: limit,
        health: HealthSpec { interval: Duration::from_millis(100), ..HealthSpec::default() },
        restart: RestartSpec {
            intensity: 1000,
            backoff: Duration::from_millis(5),
            backoff_cap: Duration::from_millis(50),
            ..RestartSpec::default()
        },
        ..PoolSpec::default()
    }
}

/// A pool of the backend that panics, and another one of the same ostler.
async fn try_start(place: Where, mine: &Arc<Mine>, told: &Told) -> Result<(Ostler, Fake, Gates), Error> {
    let other =
        PoolSpec { backend: BackendSpec::Fake(FakeSpec::default()), min: 2, max: 2, ..PoolSpec::default() };
    let config = Config::builder()
        .instance("panics")
        .state_dir(std::env::temp_dir())
        .pool("mined", spec())
        .pool("other", other);
    let gates = Gates::default();
    let fake = Fake::scripted(gates.clone());
    let backend = Mined { fake: fake.clone(), mine: Arc::clone(mine) };
    let builder = Ostler::builder(config.build().unwrap()).backend("mined", Arc::new(backend));
    let builder = builder.logger(slog::Logger::root(told.clone(), slog::o!()));
    let builder = if place == Where::Here { builder.on_this_thread() } else { builder };
    Ok((builder.start().await?, fake, gates))
}

async fn start(place: Where) -> Stage {
    let (mine, seen) = (Arc::<Mine>::default(), Seen::default());
    let (ostler, fake, gates) = try_start(place, &mine, &seen.told).await.unwrap();
    let (mined, other) = (ostler.pool("mined").unwrap(), ostler.pool("other").unwrap());
    let events = ostler.events(100_000);
    for pool in [&mined, &other] {
        pool.ready(PATIENCE).await.unwrap();
    }
    // A mine is for those that come later.
    let all_watched = || mine.watched.load(Ordering::Relaxed) as u64 >= mined.status().launched;
    eventually("the first ones' ends are waited for", all_watched).await;
    Stage { ostler, mined, other, events, seen, fake, gates, mine }
}

async fn hold(pool: &Pool) -> Lease {
    let lease = pool.acquire().await.unwrap_or_else(|error| panic!("{error}: {}", pool.status()));
    lease.write("mine", lease.epoch().to_string()).await.unwrap();
    lease
}

async fn is_whole(lease: &Lease) -> bool {
    lease.read("mine").await.is_ok_and(|mine| mine == lease.epoch().to_string().as_bytes())
}

/// All that a pool does, supervision included.
async fn lives(pool: &Pool, when: &str) {
    let life = async {
        for _ in 0..2 {
            drop(hold(pool).await);
        }
        hold(pool).await.discard();
        eventually(when, || pool.status().ready >= pool.status().min.min(1)).await;
    };
    timeout(PATIENCE, life).await.unwrap_or_else(|_| panic!("{when}: {}", pool.status()));
}

/// As many as there may be can be had at once.
async fn is_whole_again(pool: &Pool, when: &str) {
    let all = async {
        let mut leases = Vec::new();
        for _ in 0..pool.status().max {
            leases.push(hold(pool).await);
        }
    };
    timeout(PATIENCE, all).await.unwrap_or_else(|_| panic!("{when}: {}", pool.status()));
}

/// Has the backend called at every step there is.
async fn touch(stage: &mut Stage) {
    let mined = stage.mined.clone();
    let lease_if_any = async || {
        let request = ostler::LeaseRequest::new().timeout(Duration::from_millis(100));
        mined.acquire_with(request).await.ok()
    };
    // One is cleaned, one replaced, one lost, one can't be launched, and what is left is asked after.
    drop(lease_if_any().await);
    // The end of one that is on its way out is no news, however it came.
    sleep(Duration::from_millis(50)).await;
    if let Some(lease) = lease_if_any().await {
        lease.discard();
    }
    if let Some(lease) = lease_if_any().await {
        stage.gates.set(Point::Launch, Act::Fail);
        stage.fake.kill(lease.runtime());
        sleep(Duration::from_millis(50)).await;
        stage.gates.set(Point::Launch, Act::Work);
    }
    sleep(Duration::from_millis(300)).await;
    drop(lease_if_any().await);
    stage.seen.causes.push(format!("{:?}", mined.status().trouble));
    assert!(stage.ostler.metrics().contains("ostler_runtimes"), "figures");
}

async fn gather(events: &mut Events, causes: &mut Vec<String>) {
    while let Ok(Some(event)) = timeout(Duration::ZERO, events.next()).await {
        match event.change {
            Change::LaunchFailed { cause, .. }
            | Change::ResetFailed { cause, .. }
            | Change::Exited { cause, .. }
            | Change::Survived { cause, .. }
            | Change::Degraded { cause } => causes.push(cause),
            Change::Recovered { cause } => panic!("the supervisor itself: {cause}"),
            _ => {}
        }
    }
}

/// Those that run, or end, with a pool that is there.
const LIVING: [Step; 19] = [
    Step::LaunchCall,
    Step::Launch,
    Step::SettledCall,
    Step::Settled,
    Step::Trouble,
    Step::CloseCall,
    Step::Close,
    Step::Exit,
    Step::Handle,
    Step::Endpoints,
    Step::HealthCheck,
    Step::Transport,
    Step::MeterCall,
    Step::Meter,
    Step::VerifyCall,
    Step::Verify,
    Step::DestroyCall,
    Step::Destroy,
    Step::Drop,
];

async fn case(place: Where, step: Step, often: Often) {
    let when = format!("{step:?} panics {often:?}, {place:?}");
    let mut stage = start(place).await;
    let (held, others) = (hold(&stage.mined).await, hold(&stage.other).await);
    let launched = stage.other.status().launched;
    stage.mine.lay(step, often);
    touch(&mut stage).await;
    assert!(is_whole(&held).await, "{when}: a lease was lost");
    assert!(is_whole(&others).await, "{when}: another pool's lease was lost");
    drop(others);
    let status = stage.other.status();
    assert!(!status.degraded && status.launched == launched, "{when}: {status}");
    lives(&stage.other, &when).await;
    drop(held);
    gather(&mut stage.events, &mut stage.seen.causes).await;
    if often == Often::Once && !matches!(step, Step::CloseCall | Step::Close) {
        stage.mine.clear();
        lives(&stage.mined, &when).await;
        is_whole_again(&stage.mined, &when).await;
        let healed = || !stage.mined.status().degraded;
        eventually(&when, healed).await;
    }

    let Stage { ostler, mined, mut events, mut seen, fake, mine, .. } = stage;
    drop(mined);
    let begun = Instant::now();
    let ended = timeout(PATIENCE, ostler.shutdown_within(GRACE)).await.unwrap_or_else(|_| panic!("{when}"));
    let took = begun.elapsed();
    assert!(took < GRACE + MORE, "{when}: {took:?}");
    gather(&mut events, &mut seen.causes).await;
    match ended {
        Ok(()) => {}
        Err(error) => {
            // What can't be ended, or can't be known to have, is named.
            let stays = matches!(step, Step::DestroyCall | Step::Destroy | Step::SettledCall | Step::Settled);
            assert!(stays && often == Often::Always, "{when}: {error}");
            let ErrorKind::Survivors(names) = error.kind() else { panic!("{when}: {error:?}") };
            assert!(names.iter().all(|name| name.starts_with("mined/r")), "{when}: {names:?}");
        }
    }
    // What is left is tried again for as long as there is a thread to do it.
    mine.clear();
    eventually(&when, || fake.census().alive == 0).await;
    assert!(mine.struck() > 0, "{when}: it never came there");
    // The log has a thread of its own.
    let known = format!("{when}: somebody can know: {:?}\n{}", seen.causes, seen.told.0.lock().unwrap());
    eventually(&known, || seen.names(step)).await;
}

#[test]
fn a_panic_in_any_of_its_methods_costs_a_runtime_at_most() {
    for step in LIVING {
        everywhere(async |place| case(place, step, Often::Once).await);
    }
}

#[test]
fn a_method_that_always_panics_costs_its_own_pool_at_most() {
    for step in LIVING {
        everywhere(async |place| case(place, step, Often::Always).await);
    }
}

/// What is called before there is a pool stops the start, which says why; nothing is left of it.
#[test]
fn a_panic_before_the_pool_is_there_is_an_error_of_the_start() {
    use Step::{Name, Prepare, PrepareCall, Sweep, SweepCall};
    for step in [Name, PrepareCall, Prepare, SweepCall, Sweep] {
        everywhere(async |place| {
            let (mine, told) = (Arc::<Mine>::default(), Told::default());
            mine.lay(step, Often::Always);
            let begun = Instant::now();
            let error = timeout(PATIENCE, try_start(place, &mine, &told)).await.unwrap();
            let error = error.map(drop).expect_err("a backend that can't be prepared");
            assert!(matches!(error.kind(), ErrorKind::Start(_)), "{step:?}, {place:?}: {error:?}");
            let told = told.0.lock().unwrap();
            let words = format!("{SABOTAGE} at {step:?}");
            assert!(format!("{error:?} {error}").contains(&words), "{step:?}, {place:?}: {error:?}: {told}");
            assert!(begun.elapsed() < GRACE + MORE, "{step:?}, {place:?}");
        });
    }
}

/// Orphans of an earlier life are looked for every minute, whatever became of the look before.
#[test]
fn a_sweep_that_panics_is_not_the_last() {
    hush();
    for step in [Step::SweepCall, Step::Sweep] {
        sim::simulate(async {
            let stage = start(Where::Here).await;
            stage.mine.lay(step, Often::Always);
            for sweeps in 1..=3 {
                sleep(Duration::from_secs(61)).await;
                assert_eq!(stage.mine.struck(), sweeps, "{step:?}");
            }
            eventually("somebody can know", || stage.seen.names(step)).await;
            stage.mine.clear();
            is_whole_again(&stage.mined, "sweeps panic").await;
            stage.ostler.shutdown_within(GRACE).await.unwrap();
        });
    }
}
