//! P13: shutdown and drain end within `grace` + 2 s, with every runtime hung, in the middle of a storm of launches,
//! twice at once, with a backend that hangs or blocks; what could not be ended is named. Hurried, they do not wait for
//! the grace.

mod support;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ostler::backend::fake::{Act, Fake, Point};
use ostler::backend::{Backend, BackendError, BoxFuture, Launch, Launched};
use ostler::model::{BackendSpec, FakeSpec, ResetPolicy};
use ostler::{Config, Error, ErrorKind, Exec, Lease, Ostler, Pool, PoolSpec};
use support::gated::Gates;
use support::sim::{config, simulate, start};
use tokio::time::{Instant, sleep};

const GRACE: Duration = Duration::from_secs(3);
const MORE: Duration = Duration::from_secs(2);

fn spec(size: usize) -> PoolSpec {
    PoolSpec { min: size, max: size, reset: ResetPolicy::Wipe, launch_parallelism: 64, ..PoolSpec::default() }
}

/// Runs something that must take no longer than so.
async fn within<T>(limit: Duration, what: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let done = tokio::time::timeout(limit * 10, what).await.expect("it hangs");
    let took = begun.elapsed();
    assert!(took <= limit, "took {took:?} of {limit:?}");
    done
}

fn survivors(result: Result<(), Error>) -> usize {
    match result {
        Ok(()) => 0,
        Err(error) => match error.kind() {
            ErrorKind::Survivors(names) => {
                assert!(
                    names.iter().all(|name| name.starts_with("sim/r") && name.contains("fake r")),
                    "{names:?}"
                );
                names.len()
            }
            other => panic!("{other:?}"),
        },
    }
}

/// A pool all of whose runtimes hang: some ready, some leased and at work, some being reset.
async fn hung() -> (Ostler, Pool, Vec<Lease>, Fake) {
    let gates = Gates::default();
    let fake = Fake::scripted(gates.clone());
    let (ostler, pool) = start(spec(8), fake.clone(), 1).await;
    pool.ready(Duration::from_secs(5)).await.expect("fills");
    let mut leases = Vec::new();
    for _ in 0..6 {
        leases.push(pool.acquire().await.expect("a lease"));
    }
    for point in [Point::Ping, Point::Operation, Point::Reset, Point::Verify, Point::Destroy] {
        gates.set(point, Act::Hang);
    }
    for lease in leases.drain(..3) {
        tokio::task::spawn_local(async move { lease.exec(Exec::new("true")).await.map(drop) });
    }
    leases.truncate(1);
    sleep(Duration::from_millis(100)).await;
    (ostler, pool, leases, fake)
}

#[test]
fn with_every_runtime_hung_it_ends_in_time_and_names_them() {
    simulate(async {
        let (ostler, _pool, leases, _fake) = hung().await;
        assert_eq!(survivors(within(GRACE + MORE, ostler.shutdown_within(GRACE)).await), 8);
        drop(leases);
    });
    simulate(async {
        let (ostler, pool, leases, _fake) = hung().await;
        assert_eq!(survivors(within(GRACE + MORE, pool.drain_within(GRACE)).await), 8);
        assert_eq!(survivors(within(MORE, ostler.shutdown_within(Duration::ZERO)).await), 8);
        drop(leases);
    });
}

#[test]
fn twice_at_once() {
    simulate(async {
        let (ostler, pool, leases, _fake) = hung().await;
        let drains: Vec<_> = (0..2)
            .map(|_| {
                let pool = pool.clone();
                tokio::task::spawn_local(async move { within(GRACE + MORE, pool.drain_within(GRACE)).await })
            })
            .collect();
        let patient = tokio::task::spawn_local(async move { pool.drain().await });
        assert_eq!(survivors(within(GRACE + MORE, ostler.shutdown_within(GRACE)).await), 8);
        for drain in drains {
            assert!(drain.await.expect("no panic").is_err());
        }
        let error = within(MORE, patient).await.expect("no panic").expect_err("it never was");
        assert!(matches!(error.kind(), ErrorKind::Closed), "{error:?}");
        drop(leases);
    });
}

#[test]
fn hurried_it_waits_for_no_lease() {
    simulate(async {
        let fake = Fake::new(&FakeSpec::default());
        let (ostler, pool) = start(spec(2), fake.clone(), 1).await;
        let lease = pool.acquire().await.expect("a lease");
        let stopper = ostler.stopper();
        let shutdown = tokio::task::spawn_local(ostler.shutdown_within(Duration::from_hours(1)));
        sleep(Duration::from_mins(5)).await;
        assert!(lease.exec(Exec::new("true")).await.expect("it may finish").success());
        assert!(!shutdown.is_finished());
        stopper.now();
        within(MORE, shutdown).await.expect("no panic").expect("ended");
        assert_eq!(fake.census().alive, 0);
        assert!(lease.exec(Exec::new("true")).await.is_err());
        stopper.now();
    });
}

#[test]
fn in_the_middle_of_a_storm_of_launches() {
    for seed in 0..30 {
        simulate(async {
            let launch = Duration::from_secs(1);
            let fake = Fake::new(&FakeSpec { seed, launch, launch_failures: 0.2, ..FakeSpec::default() });
            let (ostler, pool) = start(spec(200), fake.clone(), seed).await;
            let clients: Vec<_> = (0..50)
                .map(|_| {
                    let pool = pool.clone();
                    tokio::task::spawn_local(async move { pool.acquire().await.map(drop) })
                })
                .collect();
            sleep(Duration::from_millis(seed * 100)).await;
            assert_eq!(
                survivors(within(MORE, ostler.shutdown_within(Duration::ZERO)).await),
                0,
                "seed {seed}"
            );
            assert_eq!(fake.census().alive, 0, "seed {seed}");
            for client in clients {
                within(Duration::ZERO, client).await.expect("no panic").ok();
            }
        });
    }
    simulate(async {
        let gates = Gates::default();
        gates.set(Point::Launch, Act::Hang);
        let fake = Fake::scripted(gates);
        let (ostler, _pool) = start(spec(200), fake.clone(), 1).await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(survivors(within(GRACE + MORE, ostler.shutdown_within(GRACE)).await), 0);
    });
}

/// The only timers are those of the runtime that ends with it.
#[test]
fn without_a_runtime_of_ones_own() {
    for _ in 0..20 {
        let pool = PoolSpec { backend: BackendSpec::Fake(FakeSpec::default()), ..spec(2) };
        let ostler = ostler::blocking::Ostler::start(config(pool)).expect("starts");
        drop(ostler.pool("sim").expect("the pool").acquire().expect("a lease"));
        ostler.shutdown().expect("ends");
    }
}

/// A backend that hangs at its close, or blocks the thread it runs on.
#[derive(Debug)]
struct Stuck {
    fake: Fake,
    blocks: Arc<AtomicBool>,
}

/// Longer than any shutdown may take, and short enough for the thread that is left behind.
const BLOCKED: Duration = Duration::from_secs(8);

impl Backend for Stuck {
    fn name(&self) -> &'static str {
        "stuck"
    }

    fn launch(&self, launch: Launch) -> BoxFuture<Result<Launched, BackendError>> {
        if self.blocks.load(Ordering::Relaxed) {
            std::thread::sleep(BLOCKED);
        }
        self.fake.launch(launch)
    }

    fn close(&self) -> BoxFuture<Result<(), BackendError>> {
        Box::pin(std::future::pending())
    }
}

#[test]
fn backends_that_do_not_close_hold_up_nothing_however_many() {
    simulate(async {
        let pool = PoolSpec { backend: BackendSpec::Custom, ..spec(1) };
        let names = ["a", "b", "c", "d", "e"];
        let config = names.iter().fold(Config::builder(), |config, name| config.pool(name, pool.clone()));
        let config = config.state_dir(std::env::temp_dir()).build().expect("a good config");
        let fake = Fake::new(&FakeSpec::default());
        let builder = names.iter().fold(Ostler::builder(config).on_this_thread(), |builder, name| {
            builder.backend(name, Arc::new(Stuck { fake: fake.clone(), blocks: Arc::default() }))
        });
        let ostler = builder.start().await.expect("starts");
        sleep(Duration::from_secs(1)).await;
        within(GRACE + MORE, ostler.shutdown_within(GRACE)).await.expect("all runtimes are gone");
        assert_eq!(fake.census().alive, 0);
    });
}

/// In real time, since threads are what is blocked.
#[tokio::test]
async fn a_backend_that_blocks_its_thread_holds_up_nothing() {
    let blocks = Arc::new(AtomicBool::new(false));
    let stuck = Stuck { fake: Fake::new(&FakeSpec::default()), blocks: Arc::clone(&blocks) };
    let pool = PoolSpec { backend: BackendSpec::Custom, max_uses: Some(1), ..spec(2) };
    let ostler = Ostler::builder(config(pool)).backend("sim", Arc::new(stuck)).start().await.expect("starts");
    let pool = ostler.pool("sim").expect("the pool");
    pool.ready(Duration::from_secs(20)).await.expect("fills");
    blocks.store(true, Ordering::Relaxed);
    pool.acquire().await.expect("a lease").discard();
    sleep(Duration::from_millis(300)).await;
    // A machine that is busy with other things is given a second.
    let slack = Duration::from_secs(1);
    let ended = within(MORE + slack, ostler.shutdown_within(Duration::ZERO)).await;
    let error = ended.expect_err("nobody could end them");
    assert!(error.to_string().contains("sim/r3"), "its launch blocks, and it is named: {error}");
}
