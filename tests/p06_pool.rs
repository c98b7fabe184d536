//! P6: cancel-safe at every await of acquire, exec, reset and shutdown. Each operation is dropped after every
//! possible number of polls, with every call behind it working, failing, slow or never answering.

mod support;

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use ostler::backend::fake::{Act, Fake, Point};
use ostler::{Exec, Lease, LeaseRequest, Pool, PoolSpec};
use support::gated::Gates;
use support::sim::{simulate, start};
use tokio::time::{sleep, timeout};

const ACTS: [Act; 4] = [Act::Work, Act::Fail, Act::Slow(Duration::from_millis(30)), Act::Hang];

fn spec() -> PoolSpec {
    PoolSpec {
        min: 1,
        max: 2,
        queue: 8,
        launch_timeout: Duration::from_secs(1),
        reset_timeout: Duration::from_millis(200),
        retire_timeout: Duration::from_secs(1),
        test_after_idle: Duration::from_millis(1),
        ..PoolSpec::default()
    }
}

/// Polls a future at most `polls` times, then drops it.
async fn poll_and_drop(polls: usize, future: impl Future) {
    let mut future = pin!(future);
    for _ in 0..polls {
        let polled = std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if polled.is_ready() {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// With every fault gone, the pool must come back to all it promises.
async fn is_whole(pool: &Pool, gates: &Gates, what: &str) {
    for point in [Point::Launch, Point::Ping, Point::Operation, Point::Reset, Point::Verify, Point::Destroy] {
        gates.set(point, Act::Work);
    }
    let whole = async {
        loop {
            let leases: Vec<Lease> =
                [pool.acquire().await, pool.acquire().await].into_iter().flatten().collect();
            if leases.len() == 2 && pool.status().waiters == 0 {
                return;
            }
        }
    };
    assert!(timeout(Duration::from_mins(5), whole).await.is_ok(), "{what}: {}", pool.status());
}

fn through_everything(point: Point, operation: &impl AsyncFn(&Pool, usize)) {
    for act in ACTS {
        simulate(async {
            let gates = Gates::default();
            let fake = Fake::scripted(gates.clone());
            let (ostler, pool) = start(spec(), fake.clone(), 1).await;
            for polls in 0..8 {
                drop(pool.acquire().await.expect("a lease to begin with"));
                gates.set(point, act);
                operation(&pool, polls).await;
                is_whole(&pool, &gates, &format!("{point:?} {act:?}, {polls} polls")).await;
            }
            ostler.shutdown().await.expect("ends");
            assert_eq!(fake.census().alive, 0, "{point:?} {act:?}");
        });
    }
}

#[test]
fn acquire() {
    for point in [Point::Launch, Point::Ping, Point::Reset] {
        through_everything(point, &async |pool, polls| {
            let held = pool.try_acquire();
            let request = LeaseRequest::new().timeout(Duration::from_secs(2));
            poll_and_drop(polls, pool.acquire_with(request)).await;
            drop(held);
        });
    }
}

#[test]
fn exec_and_files() {
    through_everything(Point::Operation, &async |pool, polls| {
        let Ok(lease) = pool.acquire().await else { return };
        poll_and_drop(polls, lease.exec(Exec::new("cat").stdin("text"))).await;
        poll_and_drop(polls, lease.write("file", vec![b'x'; 300_000])).await;
        poll_and_drop(polls, lease.read("file")).await;
        let stream = lease.exec_stream(Exec::new("sleep").arg("1"));
        if let Ok(mut stream) = stream {
            poll_and_drop(polls, stream.next()).await;
        }
    });
}

#[test]
fn a_reset_under_way() {
    for point in [Point::Reset, Point::Verify, Point::Destroy] {
        through_everything(point, &async |pool, polls| {
            if let Ok(lease) = pool.acquire().await {
                drop(lease);
            }
            poll_and_drop(polls, pool.snapshot()).await;
        });
    }
}

#[test]
fn shutdown_and_drain() {
    for polls in 0..6 {
        for act in ACTS {
            simulate(async {
                let gates = Gates::default();
                let fake = Fake::scripted(gates.clone());
                let (ostler, pool) = start(spec(), fake.clone(), 1).await;
                let lease = pool.acquire().await.expect("a lease");
                gates.set(Point::Operation, act);
                poll_and_drop(polls, pool.drain()).await;
                poll_and_drop(polls, ostler.shutdown_within(Duration::from_millis(100))).await;
                drop(lease);
                // Dropped on the way, it ends in the background.
                let gone = async {
                    while fake.census().alive > 0 {
                        sleep(Duration::from_millis(50)).await;
                    }
                };
                timeout(Duration::from_mins(1), gone).await.expect("everything ends");
                assert!(pool.acquire().await.is_err());
            });
        }
    }
}
