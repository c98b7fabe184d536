//! P8, P9: a thread hangs, whatever it was doing: the one that watches, or the supervisor's. Another one takes over,
//! soon and only once, and nobody who has a lease notices.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use ostler::backend::fake::{Act, Fake, Point};
use ostler::model::{BackendSpec, HealthSpec};
use ostler::{Change, Events, Ostler, Pool, PoolSpec, Reason};
use support::gated::Gates;
use support::{eventually, sim};
use tokio::sync::RwLock;

/// Nobody starts any beside a test that counts them.
static THREADS: RwLock<()> = RwLock::const_new(());

/// Threads of this process, but for those that a backend is called on, which come and go.
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|name| name.trim() != "ostler-backend").count()
}

/// Holds up whoever comes to one point, until it is opened.
#[derive(Clone, Debug, Default)]
struct Barrier {
    closed: Arc<(Mutex<bool>, Condvar)>,
    held_up: Arc<AtomicUsize>,
    /// Only the first, or everybody.
    all: Arc<AtomicBool>,
}

impl Barrier {
    fn close(&self) {
        *self.closed.0.lock().unwrap() = true;
    }

    fn open(&self) {
        *self.closed.0.lock().unwrap() = false;
        self.closed.1.notify_all();
    }

    fn pass(&self) {
        let (closed, opened) = &*self.closed;
        let closed = closed.lock().unwrap();
        if !*closed || (self.held_up() > 0 && !self.all.load(Ordering::Relaxed)) {
            return;
        }
        self.held_up.fetch_add(1, Ordering::Relaxed);
        drop(opened.wait_while(closed, |closed| *closed).unwrap());
    }

    fn held_up(&self) -> usize {
        self.held_up.load(Ordering::Relaxed)
    }
}

async fn start(actor: &'static str, barrier: &Barrier, gates: &Gates) -> (Ostler, Pool, Fake) {
    start_at(actor, "", barrier, gates).await
}

/// The barrier is at all points of an actor that begin with these words.
async fn start_at(
    actor: &'static str,
    words: &'static str,
    barrier: &Barrier,
    gates: &Gates,
) -> (Ostler, Pool, Fake) {
    let spec = PoolSpec {
        backend: BackendSpec::Custom,
        min: 2,
        max: 3,
        health: HealthSpec {
            interval: Duration::from_millis(50),
            timeout: Duration::from_millis(50),
            retries: 2,
            ..HealthSpec::default()
        },
        ..PoolSpec::default()
    };
    let (fake, barrier) = (Fake::scripted(gates.clone()), barrier.clone());
    let ostler = Ostler::builder(sim::config(spec))
        .backend("sim", Arc::new(fake.clone()))
        .sabotage(move |who, point| {
            if who == actor && point.starts_with(words) {
                barrier.pass();
            }
        })
        .start()
        .await
        .unwrap();
    let pool = ostler.pool("sim").unwrap();
    pool.ready(Duration::from_secs(20)).await.unwrap();
    (ostler, pool, fake)
}

async fn until(events: &mut Events, mut wanted: impl FnMut(&Change) -> bool) -> Change {
    let found = async {
        loop {
            let event = events.next().await.expect("more to come");
            if wanted(&event.change) {
                return event.change;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), found).await.expect("never came")
}

#[tokio::test]
async fn a_watcher_that_hangs_is_replaced() {
    let _beside_others = THREADS.read().await;
    for actor in ["Health", "Maintenance", "Metrics"] {
        let (barrier, gates) = (Barrier::default(), Gates::default());
        let (ostler, pool, fake) = start(actor, &barrier, &gates).await;
        let mut events = ostler.events(100_000);
        let lease = pool.acquire().await.unwrap();
        lease.write("mine", "untouched").await.unwrap();

        barrier.close();
        // What Metrics is told.
        pool.acquire().await.unwrap().discard();
        eventually(actor, || barrier.held_up() == 1).await;
        let change = until(&mut events, |change| matches!(change, Change::Unwatched { .. })).await;
        assert!(change.to_string().contains("hung"), "{actor}: {change}");
        // Health looks after them again,
        gates.set(Point::Ping, Act::Hang);
        let unhealthy = |change: &Change| matches!(change, Change::Retiring { reason, .. } if *reason == Reason::Unhealthy);
        until(&mut events, unhealthy).await;
        gates.set(Point::Ping, Act::Work);
        // Maintenance does,
        pool.resize(0, 3).await.unwrap();
        pool.resize(3, 3).await.unwrap();
        drop(lease);
        eventually("whole again", || pool.status().ready == 3).await;

        // and who comes back too late finds that he is not needed.
        let launched = pool.status().launched;
        barrier.open();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(pool.status().launched, launched, "{actor}: {}", pool.status());
        ostler.shutdown().await.unwrap();
        assert_eq!(fake.census().alive, 0);
        let more = async { while events.next().await.is_some() {} };
        tokio::time::timeout(Duration::from_secs(20), more).await.expect("the events end");
    }
}

#[tokio::test]
async fn a_host_whose_watchers_all_hang_serves_on_and_ends() {
    let _alone = THREADS.write().await;
    let (barrier, gates) = (Barrier::default(), Gates::default());
    let (ostler, pool, fake) = start("Health", &barrier, &gates).await;
    let before = threads();
    barrier.all.store(true, Ordering::Relaxed);
    barrier.close();
    eventually("a second one", || barrier.held_up() >= 2).await;
    for _ in 0..50 {
        pool.acquire().await.unwrap().write("file", "content").await.unwrap();
    }
    pool.acquire().await.unwrap().discard();
    eventually("replaced", || pool.status().ready >= 2).await;
    assert!(threads() <= before + 8, "{before} threads became {}", threads());
    ostler.shutdown_within(Duration::ZERO).await.unwrap();
    assert_eq!(fake.census().alive, 0);
    barrier.open();
}

/// Ends one lease so that it is cleaned and one so that it is replaced, and fails a launch, until somebody is held up.
async fn stir(pool: &Pool, barrier: &Barrier, gates: &Gates) {
    gates.set(Point::Launch, Act::Fail);
    drop(pool.acquire().await.unwrap());
    pool.acquire().await.unwrap().discard();
    eventually("a failure", || barrier.held_up() > 0 || pool.status().trouble.is_some()).await;
    gates.set(Point::Launch, Act::Work);
}

#[tokio::test]
async fn a_supervisor_that_hangs_is_replaced() {
    let _beside_others = THREADS.read().await;
    let messages =
        ["Returned comes", "Returned done", "Reported comes", "Reported done", "Ticked comes", "Wake"];
    let mut cases = tokio::task::JoinSet::new();
    for point in messages.into_iter().chain(["Launch", "Reset", "Put", "Retire"]) {
        cases.spawn(hang_at(point));
    }
    cases.join_all().await;
}

async fn hang_at(point: &'static str) {
    let (barrier, gates) = (Barrier::default(), Gates::default());
    let (ostler, pool, fake) = start_at("Supervisor", point, &barrier, &gates).await;
    let mut events = ostler.events(100_000);
    // Who tells of what happens may still be on the way to its post when the pool is ready.
    let told = async {
        while tokio::time::timeout(Duration::from_millis(50), events.next()).await.is_err() {
            pool.acquire().await.unwrap().discard();
        }
    };
    tokio::time::timeout(Duration::from_secs(20), told).await.expect("nobody tells");
    eventually("ready again", || pool.status().ready >= 2).await;
    let lease = pool.acquire().await.unwrap();
    lease.write("mine", "untouched").await.unwrap();

    barrier.close();
    stir(&pool, &barrier, &gates).await;
    eventually(point, || barrier.held_up() == 1).await;
    // Nobody looks at this one before there is another supervisor.
    let asked = tokio::spawn({
        let pool = pool.clone();
        async move { pool.snapshot().await }
    });
    let change = until(&mut events, |change| matches!(change, Change::Recovered { .. })).await;
    assert!(change.to_string().contains("hung"), "{point}: {change}");
    assert_eq!(lease.read("mine").await.unwrap(), b"untouched", "{point}");
    assert!(asked.await.unwrap().unwrap().runtimes.len() <= 3, "{point}");
    eventually(&format!("{point}: whole again"), || pool.status().ready >= 2).await;
    for _ in 0..10 {
        let other = pool.acquire().await.unwrap();
        assert!(other.read("mine").await.is_err(), "{point}: not clean");
        other.write("mine", "another's").await.unwrap();
    }
    eventually("and clean", || pool.status().ready >= 2).await;

    // The old one wakes up, and has no say any more.
    let (launched, retired) = (pool.status().launched, pool.status().retired);
    barrier.open();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let status = pool.status();
    assert_eq!((status.launched, &status.retired), (launched, &retired), "{point}: {status}");
    assert_eq!(lease.read("mine").await.unwrap(), b"untouched", "{point}");
    drop(lease);
    pool.resize(3, 3).await.unwrap();
    let leases = [pool.acquire().await, pool.acquire().await, pool.acquire().await];
    assert!(leases.iter().all(Result::is_ok), "{point}: {leases:?}");
    assert!(fake.census().alive <= 3, "{point}");
    drop(leases);
    ostler.shutdown().await.unwrap();
    assert_eq!(fake.census().alive, 0, "{point}");
    let more = async { while events.next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(20), more).await.expect("the events end");
}

#[tokio::test]
async fn a_drain_outlives_the_supervisor_that_was_to_see_to_it() {
    let _beside_others = THREADS.read().await;
    for point in ["Drain comes", "Drain done", "Retire"] {
        let (barrier, gates) = (Barrier::default(), Gates::default());
        let (ostler, pool, fake) = start_at("Supervisor", point, &barrier, &gates).await;
        barrier.close();
        let drained = tokio::time::timeout(Duration::from_secs(20), pool.drain()).await;
        drained.expect("does not end").unwrap();
        assert_eq!(barrier.held_up(), 1, "{point}");
        assert_eq!(fake.census().alive, 0, "{point}");
        barrier.open();
        ostler.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_host_whose_supervisors_all_hang_serves_what_is_there_and_ends() {
    let _alone = THREADS.write().await;
    let (barrier, gates) = (Barrier::default(), Gates::default());
    let (ostler, pool, _) = start_at("Supervisor", "", &barrier, &gates).await;
    let before = threads();
    let lease = pool.acquire().await.unwrap();
    barrier.all.store(true, Ordering::Relaxed);
    barrier.close();
    eventually("a second one", || barrier.held_up() >= 2).await;
    lease.write("file", "content").await.unwrap();
    assert!(threads() <= before + 8, "{before} threads became {}", threads());
    let shutdown =
        tokio::time::timeout(Duration::from_secs(20), ostler.shutdown_within(Duration::ZERO)).await;
    assert!(shutdown.expect("does not end").is_err(), "nobody could see to the end of {lease:?}");
    barrier.open();
}
