//! P8: a panic in any handler is contained. One is injected before and after each message that an actor takes, and
//! before each command the supervisor carries out, one by one, then in each call and each future of a backend:
//! nothing aborts, no lease is lost, no other lease is disturbed, and the pool is whole again.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::panic;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use ostler::backend::fake::{Act, Fake, Point};
use ostler::backend::{Backend, BackendError, BoxFuture, Instance, Launch, Launched, Residue};
use ostler::model::{BackendSpec, FakeSpec, HealthSpec, RestartSpec};
use ostler::{Error, Exec, Exhausted, Lease, LeaseRequest, Ostler, Pool, PoolSpec};
use support::gated::Gates;
use support::sim::{config, simulate, start};

const MAX: usize = 4;
const SABOTAGE: &str = "sabotage";

/// Which point, and at which passing of it.
#[derive(Clone, Debug)]
struct Spot {
    point: String,
    nth: usize,
}

/// What was passed, how often; and where it panics, once.
#[derive(Clone, Debug, Default)]
struct Saboteur {
    passed: Arc<Mutex<BTreeMap<String, usize>>>,
    spot: Option<Spot>,
    struck: Arc<AtomicBool>,
}

impl Saboteur {
    fn pass(&self, actor: &str, point: &str) {
        // Commands come with their arguments.
        let point = point.split('(').next().expect("something");
        let point = format!("{actor}: {point}");
        let times = {
            let mut passed = self.passed.lock().expect("not poisoned");
            let times = passed.entry(point.clone()).or_default();
            *times += 1;
            *times
        };
        if self.spot.as_ref().is_some_and(|spot| spot.point == point && spot.nth == times) {
            self.struck.store(true, Ordering::Relaxed);
            panic!("{SABOTAGE}");
        }
    }
}

/// Injected panics are expected; they would fill the screen.
fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(quiet);
}

fn quiet() {
    let loud = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !info
            .payload_as_str()
            .is_some_and(|words| words == SABOTAGE || words.starts_with("scripted panic"))
        {
            loud(info);
        }
    }));
}

fn spec() -> PoolSpec {
    PoolSpec {
        backend: BackendSpec::Custom,
        min: 2,
        max: MAX,
        overflow: 1,
        max_uses: Some(20),
        idle_timeout: Some(Duration::from_secs(2)),
        acquire_timeout: Duration::from_mins(2),
        health: HealthSpec {
            interval: Duration::from_millis(500),
            timeout: Duration::from_millis(100),
            retries: 2,
            ..HealthSpec::default()
        },
        restart: RestartSpec { intensity: 100, ..RestartSpec::default() },
        ..PoolSpec::default()
    }
}

async fn launch(saboteur: &Saboteur, gates: &Gates) -> Result<(Ostler, Pool, Fake), Error> {
    let fake = Fake::scripted(gates.clone());
    let saboteur = saboteur.clone();
    let ostler = Ostler::builder(config(spec()))
        .backend("sim", Arc::new(fake.clone()))
        .on_this_thread()
        .seed(1)
        .sabotage(move |actor, point| saboteur.pass(actor, point))
        .start()
        .await?;
    let pool = ostler.pool("sim")?;
    Ok((ostler, pool, fake))
}

async fn pause(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

/// Whether a lease still has what it wrote.
async fn is_whole(lease: &Lease) -> bool {
    lease.read("mine").await.is_ok_and(|mine| mine == lease.epoch().to_string().as_bytes())
}

async fn hold(pool: &Pool) -> Lease {
    let lease = pool.acquire().await.expect("a lease");
    lease.write("mine", lease.epoch().to_string()).await.expect("written");
    lease
}

/// Touches everything an actor does, with two leases held all the while.
async fn live(saboteur: &Saboteur) {
    let gates = Gates::default();
    let (mut ostler, pool, fake) = match launch(saboteur, &gates).await {
        Ok(started) => started,
        Err(error) => return assert!(error.is_retryable(), "{error:?}"),
    };
    let mut events = ostler.events(10_000);
    // What there really is, whatever anybody believes.
    let most = Arc::new(AtomicU64::new(0));
    let census = tokio::task::spawn_local({
        let (fake, most) = (fake.clone(), Arc::clone(&most));
        async move {
            loop {
                most.fetch_max(fake.census().alive, Ordering::Relaxed);
                pause(0.005).await;
            }
        }
    });
    pool.ready(Duration::from_mins(1)).await.expect("fills");
    let held = [hold(&pool).await, hold(&pool).await];

    for _ in 0..3 {
        let lease = hold(&pool).await;
        let output = lease.exec(Exec::new("echo").arg("hello")).await;
        assert!(output.is_ok_and(|output| output.stdout == b"hello\n") || saboteur.is_runtimes());
    }
    hold(&pool).await.discard();
    // More than there may be, and one over.
    let more = [hold(&pool).await, hold(&pool).await];
    let over = pool.acquire_with(LeaseRequest::new().when_exhausted(Exhausted::Overflow)).await;
    drop(over.expect("one over"));
    // One waits for a release.
    let waiting = tokio::task::spawn_local({
        let pool = pool.clone();
        async move { pool.acquire().await }
    });
    pause(0.1).await;
    drop(more);
    drop(waiting.await.expect("no panic here").expect("served"));
    // One is killed, one cannot be launched, one cannot be cleaned, one stops answering.
    let victim = hold(&pool).await;
    fake.kill(victim.runtime());
    gates.set(Point::Launch, Act::Fail);
    pause(1.0).await;
    gates.set(Point::Launch, Act::Work);
    drop(victim);
    pause(2.0).await;
    gates.set(Point::Reset, Act::Fail);
    drop(hold(&pool).await);
    pause(0.1).await;
    gates.set(Point::Reset, Act::Work);
    gates.set(Point::Destroy, Act::Fail);
    hold(&pool).await.discard();
    pause(0.1).await;
    gates.set(Point::Destroy, Act::Work);
    pause(2.0).await;
    pool.resize(1, MAX).await.expect("resized");
    assert_eq!(pool.status().min, 1);
    pause(5.0).await;
    pool.resize(2, MAX).await.expect("resized");
    let snapshot = pool.snapshot().await.expect("answered");
    assert!(snapshot.runtimes.len() <= MAX);

    let mut disturbed = 0;
    for lease in &held {
        disturbed += usize::from(!is_whole(lease).await);
    }
    assert!(disturbed <= usize::from(saboteur.is_runtimes()), "{disturbed} leases were disturbed");
    drop(held);

    // Probes that are not answered, now that nobody's lease is at stake.
    gates.set(Point::Ping, Act::Hang);
    pause(2.0).await;
    gates.set(Point::Ping, Act::Work);
    // Until the last verdict is out.
    pause(2.0).await;

    is_whole_again(&pool).await;
    let old = tokio::task::spawn_local({
        let pool = pool.clone();
        async move { pool.drain().await }
    });
    old.await.expect("no panic here").expect("drained");
    ostler.reload(config(PoolSpec { min: 1, max: 1, ..spec() })).await.expect("reloaded");
    ostler.shutdown().await.expect("ends");
    census.abort();
    assert_eq!(fake.census().alive, 0, "left behind");
    // One more is allowed to the lease that asked for it.
    assert!(most.load(Ordering::Relaxed) <= MAX as u64 + 1, "there were {most:?}");
    let mut told = BTreeSet::new();
    while let Some(event) = events.next().await {
        told.insert(format!("{:?}", event.change).split(' ').next().unwrap_or_default().to_owned());
    }
    assert!(told.contains("Ready") && told.contains("Gone"), "{told:?}");
    let struck = saboteur.struck.load(Ordering::Relaxed);
    let started_over = struck && saboteur.is("Supervisor");
    assert!(!told.contains("Recovered") || started_over, "{told:?}");
}

/// All there may be can be leased at once, and no more.
async fn is_whole_again(pool: &Pool) {
    let all = async {
        loop {
            let mut leases = Vec::new();
            while leases.len() < MAX {
                match tokio::time::timeout(Duration::from_secs(5), pool.acquire()).await {
                    Ok(lease) => leases.push(lease.expect("a lease")),
                    Err(_) => break,
                }
            }
            let total: usize = pool.status().states.values().sum();
            assert!(total <= MAX + 1, "{}", pool.status());
            if leases.len() == MAX {
                assert!(pool.try_acquire().is_none(), "one too many");
                return;
            }
        }
    };
    let whole = tokio::time::timeout(Duration::from_mins(10), all).await;
    assert!(whole.is_ok(), "not whole again: {}", pool.status());
}

impl Saboteur {
    fn at(point: &str, nth: usize) -> Self {
        Self { spot: Some(Spot { point: point.to_owned(), nth }), ..Self::default() }
    }

    fn is(&self, actor: &str) -> bool {
        self.spot.as_ref().is_some_and(|spot| spot.point.starts_with(actor))
    }

    /// Whether it strikes a runtime, whose holder may notice.
    fn is_runtimes(&self) -> bool {
        self.is("Runtime")
    }
}

#[test]
fn a_panic_at_every_handler_loses_nothing() {
    hush();
    let calm = Saboteur::default();
    simulate(live(&calm));
    let points = calm.passed.lock().expect("not poisoned").clone();
    for actor in ["Supervisor", "Runtime", "Health", "Maintenance", "Metrics"] {
        assert!(points.keys().any(|point| point.starts_with(actor)), "{actor} is not touched");
    }
    let mut struck = 0;
    for (point, times) in &points {
        // The first, one in the middle, the last.
        let nths: BTreeSet<_> = [1, times / 2, *times].into();
        for nth in nths.into_iter().filter(|nth| (1..=*times).contains(nth)) {
            let saboteur = Saboteur::at(point, nth);
            println!("{point}, passing {nth} of {times}");
            simulate(live(&saboteur));
            struck += usize::from(saboteur.struck.load(Ordering::Relaxed));
        }
    }
    println!("{} points, {struck} panics", points.len());
    assert!(struck >= points.len(), "only {struck} panics at {} points", points.len());
}

/// A backend whose calls panic themselves, not the futures they give.
#[derive(Clone, Debug)]
struct Rash {
    fake: Fake,
    panics: Arc<Mutex<Option<Call>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Launch,
    Handle,
    Verify,
    Destroy,
}

impl Rash {
    /// Once per time it is set.
    fn pass(&self, call: Call) {
        let panics = self.panics.lock().expect("not poisoned").take_if(|at| *at == call).is_some();
        assert!(!panics, "{SABOTAGE}");
    }

    fn set(&self, call: Call) {
        *self.panics.lock().expect("not poisoned") = Some(call);
    }
}

impl Backend for Rash {
    fn name(&self) -> &'static str {
        "rash"
    }

    fn launch(&self, launch: Launch) -> BoxFuture<Result<Launched, BackendError>> {
        self.pass(Call::Launch);
        let (launched, rash) = (self.fake.launch(launch), self.clone());
        Box::pin(async move {
            let Launched { control, data, exit, instance } = launched.await?;
            Ok(Launched { control, data, exit, instance: Box::new(RashInstance { instance, rash }) })
        })
    }
}

#[derive(Debug)]
struct RashInstance {
    instance: Box<dyn Instance>,
    rash: Rash,
}

impl Instance for RashInstance {
    fn handle(&self) -> String {
        self.rash.pass(Call::Handle);
        self.instance.handle()
    }

    fn verify(&self) -> BoxFuture<Result<(), Residue>> {
        self.rash.pass(Call::Verify);
        self.instance.verify()
    }

    fn destroy(&mut self) -> BoxFuture<Result<(), BackendError>> {
        self.rash.pass(Call::Destroy);
        self.instance.destroy()
    }
}

#[test]
fn a_panic_in_a_call_to_the_backend_costs_that_runtime_at_most() {
    hush();
    for call in [Call::Launch, Call::Handle, Call::Verify, Call::Destroy] {
        simulate(async {
            let fake = Fake::new(&FakeSpec::default());
            let rash = Rash { fake: fake.clone(), panics: Arc::default() };
            let (ostler, pool) = start(spec(), rash.clone(), 1).await;
            pool.ready(Duration::from_mins(1)).await.expect("fills");
            let held = hold(&pool).await;
            rash.set(call);
            for _ in 0..3 {
                drop(hold(&pool).await);
                hold(&pool).await.discard();
                pause(2.0).await;
            }
            assert_eq!(*rash.panics.lock().expect("not poisoned"), None, "{call:?} was not called");
            assert!(is_whole(&held).await, "{call:?} disturbed another lease");
            drop(held);
            is_whole_again(&pool).await;
            ostler.shutdown().await.expect("ends");
            assert_eq!(fake.census().alive, 0, "{call:?} left something behind");
        });
    }
}

#[test]
fn a_panic_in_any_future_of_a_backend_costs_that_runtime_at_most() {
    hush();
    for point in [Point::Launch, Point::Ping, Point::Operation, Point::Reset, Point::Verify, Point::Destroy] {
        simulate(async {
            let gates = Gates::default();
            let fake = Fake::scripted(gates.clone());
            let (ostler, pool) = start(spec(), fake.clone(), 1).await;
            pool.ready(Duration::from_mins(1)).await.expect("fills");
            let held = hold(&pool).await;
            let other = hold(&pool).await;
            gates.set(point, Act::Panic);
            if point == Point::Operation {
                // The caller's own future is where it happens.
                let work = tokio::task::spawn_local(async move { other.read("mine").await.is_ok() });
                assert!(work.await.is_err_and(|error| error.is_panic()));
            } else {
                other.discard();
            }
            if let Some(used) = pool.try_acquire() {
                drop(used);
            }
            // One probe's worth, which is one too few for a verdict on the lease that is held.
            pause(0.3).await;
            gates.set(point, Act::Work);
            pause(2.0).await;
            assert!(is_whole(&held).await, "{point:?} disturbed another lease");
            drop(held);
            is_whole_again(&pool).await;
            ostler.shutdown().await.expect("ends");
            assert_eq!(fake.census().alive, 0, "{point:?} left something behind");
        });
    }
}
