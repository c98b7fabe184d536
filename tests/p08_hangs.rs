//! P8, P9: the thread that watches hangs, whatever it was doing. The pools are watched again by another one, soon and
//! only once, and nobody who has a lease notices.

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
        .sabotage(move |who, _| {
            if who == actor {
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
    let (barrier, gates) = (Barrier::default(), Gates::default());
    let (ostler, pool, fake) = start("Health", &barrier, &gates).await;
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
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
