//! P8, P13: an application's log may be slow, stand still or panic; that costs what it says, and nothing else.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use ostler::backend::fake::Fake;
use ostler::model::{BackendSpec, FakeSpec};
use ostler::{Ostler, Pool, PoolSpec};
use slog::{Drain, Logger, Never, OwnedKVList, Record, o};
use support::{eventually, sim};

/// A log whose reader does what a test wants.
#[derive(Clone, Default)]
struct Log {
    read: Arc<Mutex<Vec<String>>>,
    stopped: Arc<(Mutex<bool>, Condvar)>,
    held_up: Arc<AtomicUsize>,
    panics: Arc<AtomicBool>,
    pause: Duration,
}

impl Drain for Log {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, _: &OwnedKVList) -> Result<(), Never> {
        let (stopped, goes_on) = &*self.stopped;
        let stopped = stopped.lock().unwrap();
        if *stopped {
            self.held_up.fetch_add(1, Ordering::Relaxed);
        }
        drop(goes_on.wait_while(stopped, |stopped| *stopped).unwrap());
        assert!(!self.panics.load(Ordering::Relaxed), "the log panics");
        std::thread::sleep(self.pause);
        self.read.lock().unwrap().push(record.msg().to_string());
        Ok(())
    }
}

impl Log {
    fn stand_still(&self, still: bool) {
        *self.stopped.0.lock().unwrap() = still;
        self.stopped.1.notify_all();
    }

    fn has(&self, words: &str) -> bool {
        self.read.lock().unwrap().iter().any(|line| line.contains(words))
    }
}

async fn start(log: &Log) -> (Ostler, Pool, Fake) {
    let spec = PoolSpec { backend: BackendSpec::Custom, min: 2, max: 3, ..PoolSpec::default() };
    let fake = Fake::new(&FakeSpec::default());
    let ostler = Ostler::builder(sim::config(spec))
        .backend("sim", Arc::new(fake.clone()))
        .logger(Logger::root(log.clone(), o!()))
        .start()
        .await
        .unwrap();
    let pool = ostler.pool("sim").unwrap();
    pool.ready(Duration::from_secs(20)).await.unwrap();
    (ostler, pool, fake)
}

/// Whoever is leased next ends, which the pool has something to say about, and is replaced.
async fn lose_one(pool: &Pool, fake: &Fake) {
    let launched = pool.status().launched;
    let lease = pool.acquire().await.unwrap();
    assert!(fake.kill(lease.runtime()));
    drop(lease);
    eventually("another in its place", || {
        let status = pool.status();
        status.launched > launched && status.ready >= 2
    })
    .await;
}

#[tokio::test]
async fn a_log_that_stands_still_holds_up_nothing() {
    let log = Log::default();
    let (ostler, pool, fake) = start(&log).await;
    log.stand_still(true);
    for _ in 0..3 {
        lose_one(&pool, &fake).await;
    }
    eventually("something to be said", || log.held_up.load(Ordering::Relaxed) > 0).await;
    let began = Instant::now();
    let shutdown =
        tokio::time::timeout(Duration::from_secs(20), ostler.shutdown_within(Duration::ZERO)).await;
    shutdown.expect("the shutdown waits for the log").unwrap();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(fake.census().alive, 0);
    log.stand_still(false);
    eventually("what had to wait is said", || log.has("shutting down")).await;
}

#[tokio::test]
async fn a_log_that_panics_costs_what_it_should_have_said() {
    let log = Log::default();
    let (ostler, pool, fake) = start(&log).await;
    log.panics.store(true, Ordering::Relaxed);
    lose_one(&pool, &fake).await;
    log.panics.store(false, Ordering::Relaxed);
    ostler.shutdown_within(Duration::ZERO).await.unwrap();
    assert!(log.has("shutting down"));
    assert!(log.has("lost"), "how many records: {:?}", log.read.lock().unwrap());
}

#[tokio::test]
async fn all_is_said_when_the_shutdown_returns() {
    let log = Log { pause: Duration::from_millis(30), ..Log::default() };
    let (ostler, pool, fake) = start(&log).await;
    lose_one(&pool, &fake).await;
    ostler.shutdown_within(Duration::ZERO).await.unwrap();
    assert!(log.has("shutting down"), "{:?}", log.read.lock().unwrap());
}
