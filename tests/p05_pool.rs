//! P5: waiters are bounded, keep their deadline, are woken by a release *and* by new capacity, and fail at
//! once when the pool drains.

mod support;

use std::time::Duration;

use ostler::backend::fake::{Act, Fake, Point};
use ostler::model::{FakeSpec, HealthSpec};
use ostler::{ErrorKind, Exhausted, LeaseRequest, PoolSpec};
use support::gated::Gates;
use support::sim::{simulate, start};
use tokio::time::{Instant, sleep};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn one() -> PoolSpec {
    PoolSpec { min: 1, max: 1, queue: 3, acquire_timeout: secs(5), ..PoolSpec::default() }
}

#[test]
fn a_release_wakes_a_waiter() {
    simulate(async {
        let (ostler, pool) = start(one(), Fake::new(&FakeSpec::default()), 1).await;
        let lease = pool.acquire().await.expect("a lease");
        let waiter = tokio::task::spawn_local({
            let pool = pool.clone();
            async move { pool.acquire().await.map(|lease| (lease.runtime(), Instant::now())) }
        });
        sleep(secs(2)).await;
        let released = Instant::now();
        drop(lease);
        let (_, at) = waiter.await.expect("no panic").expect("a lease");
        assert!(at - released < Duration::from_millis(100), "woken after {:?}", at - released);
        ostler.shutdown().await.expect("ends");
    });
}

/// llm-sandbox: the waiter times out though a slot became free by destruction, not by release.
#[test]
fn new_capacity_wakes_a_waiter() {
    simulate(async {
        let (ostler, pool) = start(one(), Fake::new(&FakeSpec::default()), 1).await;
        let lease = pool.acquire().await.expect("a lease");
        let first = lease.runtime();
        let waiter = tokio::task::spawn_local({
            let pool = pool.clone();
            async move { pool.acquire().await.map(|lease| lease.runtime()) }
        });
        sleep(secs(1)).await;
        lease.discard();
        let next = waiter.await.expect("no panic").expect("a lease");
        assert_ne!(next, first, "a discarded runtime was handed out");
        // And by growth.
        let held = pool.acquire().await.expect("a lease");
        let waiter = tokio::task::spawn_local({
            let pool = pool.clone();
            async move { pool.acquire().await.map(|lease| lease.runtime()) }
        });
        sleep(secs(1)).await;
        let refused = pool.resize(2, 1).await.expect_err("min above max");
        assert_eq!((refused.operation(), refused.pool()), ("resize", Some(pool.name())));
        assert!(matches!(refused.kind(), ErrorKind::Config(_)), "{refused:?}");
        pool.resize(1, 2).await.expect("grows");
        let grown = waiter.await.expect("no panic").expect("a lease");
        assert_ne!(grown, held.runtime());
        drop(held);
        ostler.shutdown().await.expect("ends");
    });
}

#[test]
fn the_deadline_is_kept() {
    simulate(async {
        let (ostler, pool) = start(one(), Fake::new(&FakeSpec::default()), 1).await;
        let held = pool.acquire().await.expect("a lease");
        for timeout in [Duration::from_millis(1), Duration::from_millis(250), secs(3)] {
            let asked = Instant::now();
            let error =
                pool.acquire_with(LeaseRequest::new().timeout(timeout)).await.expect_err("none is free");
            let waited = asked.elapsed();
            assert!(matches!(error.kind(), ErrorKind::TimedOut { .. }), "{error}");
            assert!(error.is_retryable());
            assert!(waited >= timeout && waited <= timeout + Duration::from_millis(5), "{waited:?}");
        }
        assert_eq!(pool.status().timeouts, 3);
        assert_eq!(pool.status().waiters, 0, "a waiter that gave up still counts");
        drop(held);
        ostler.shutdown().await.expect("ends");
    });
}

#[test]
fn the_queue_is_bounded_on_live_waiters() {
    simulate(async {
        let (ostler, pool) = start(one(), Fake::new(&FakeSpec::default()), 1).await;
        let held = pool.acquire().await.expect("a lease");
        for round in 0..100 {
            // Each of these gives up, and its place must be free again at once.
            let request = LeaseRequest::new().timeout(Duration::from_millis(1));
            let error = pool.acquire_with(request).await.expect_err("none is free");
            assert!(matches!(error.kind(), ErrorKind::TimedOut { .. }), "round {round}: {error}");
        }
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let pool = pool.clone();
                tokio::task::spawn_local(async move { pool.acquire().await.map(drop) })
            })
            .collect();
        sleep(Duration::from_millis(1)).await;
        let error = pool.acquire().await.expect_err("the queue is full");
        assert!(matches!(error.kind(), ErrorKind::Overloaded { waiters: 3 }), "{error}");
        drop(held);
        for waiter in waiters {
            waiter.await.expect("no panic").expect("served in the end");
        }
        ostler.shutdown().await.expect("ends");
    });
}

#[test]
fn a_drain_fails_the_waiters_at_once() {
    simulate(async {
        let (ostler, pool) = start(one(), Fake::new(&FakeSpec::default()), 1).await;
        let held = pool.acquire().await.expect("a lease");
        let waiter = tokio::task::spawn_local({
            let pool = pool.clone();
            async move { pool.acquire().await.map(drop) }
        });
        sleep(Duration::from_millis(10)).await;
        let asked = Instant::now();
        let drain = tokio::task::spawn_local({
            let pool = pool.clone();
            async move { pool.drain().await }
        });
        let error = waiter.await.expect("no panic").expect_err("draining");
        assert!(matches!(error.kind(), ErrorKind::Closed), "{error}");
        assert!(asked.elapsed() < Duration::from_millis(10));
        assert!(!drain.is_finished(), "the leased runtime was not waited for");
        assert!(held.exec(ostler::Exec::new("true")).await.expect("the lease goes on").success());
        drop(held);
        drain.await.expect("no panic").expect("drained");
        assert!(matches!(pool.acquire().await.expect_err("drained").kind(), ErrorKind::Closed));
        ostler.shutdown().await.expect("ends");
    });
}

#[test]
fn when_exhausted_fail_says_when_to_come_back() {
    simulate(async {
        let (ostler, pool) = start(one(), Fake::new(&FakeSpec::default()), 1).await;
        let request = || LeaseRequest::new().when_exhausted(Exhausted::Fail);
        let held = pool.acquire_with(LeaseRequest::new()).await.expect("a lease");
        let error = pool.acquire_with(request()).await.expect_err("none is free");
        match error.kind() {
            ErrorKind::Exhausted { retry_after } => assert!(*retry_after > Duration::ZERO),
            other => panic!("{other:?}"),
        }
        drop(held);
        sleep(secs(1)).await;
        drop(pool.acquire_with(request()).await.expect("one is free"));
        ostler.shutdown().await.expect("ends");
    });
}

/// llm-sandbox: TEMPORARY overflow stays in the pool.
#[test]
fn overflow_is_bounded_and_destroyed_on_return() {
    simulate(async {
        let fake = Fake::new(&FakeSpec::default());
        let spec = PoolSpec { overflow: 2, when_exhausted: Exhausted::Overflow, ..one() };
        let (ostler, pool) = start(spec, fake.clone(), 1).await;
        let pooled = pool.acquire().await.expect("a lease");
        let extra: Vec<_> =
            [pool.acquire().await.expect("one beyond max"), pool.acquire().await.expect("two")].into();
        assert_eq!(fake.census().alive, 3);
        let request = LeaseRequest::new().timeout(secs(1));
        let error = pool.acquire_with(request).await.expect_err("the allowance is used up");
        assert!(matches!(error.kind(), ErrorKind::TimedOut { .. }), "{error}");
        drop(extra);
        sleep(secs(1)).await;
        assert_eq!(fake.census().alive, 1, "overflow stayed");
        assert_eq!(pool.status().retired[&ostler::Reason::Overflow], 2);
        drop(pooled);
        ostler.shutdown().await.expect("ends");
    });
}

#[test]
fn a_pool_that_cannot_launch_keeps_deadlines_and_says_why() {
    simulate(async {
        let gates = Gates::default();
        gates.set(Point::Launch, Act::Fail);
        let (ostler, pool) = start(one(), Fake::scripted(gates.clone()), 1).await;
        let error = pool.acquire().await.expect_err("nothing launches");
        assert!(error.to_string().contains("the script says so"), "{error}");
        assert!(pool.status().degraded);
        gates.set(Point::Launch, Act::Work);
        drop(pool.acquire_with(LeaseRequest::new().timeout(secs(60))).await.expect("heals"));
        assert!(!pool.status().degraded);
        ostler.shutdown().await.expect("ends");
    });
}

/// A task that has used up its share of the thread yields inside an acquire; that is not a full pool.
#[test]
fn a_tight_loop_that_would_not_wait_is_never_refused_while_one_is_ready() {
    simulate(async {
        let spec =
            PoolSpec { reset: ostler::model::ResetPolicy::None, when_exhausted: Exhausted::Fail, ..one() };
        let (ostler, pool) = start(spec, Fake::new(&FakeSpec::default()), 1).await;
        pool.ready(secs(1)).await.expect("fills");
        for turn in 0..10_000 {
            drop(pool.acquire().await.unwrap_or_else(|error| panic!("turn {turn}: {error}")));
        }
        assert_eq!(pool.status().cold, 0, "none of them waited");
        ostler.shutdown().await.expect("ends");
    });
}

#[test]
fn a_wait_for_ever_is_as_good_as_any() {
    simulate(async {
        let (ostler, pool) = start(one(), Fake::new(&FakeSpec::default()), 1).await;
        pool.ready(Duration::MAX).await.expect("one is ready");
        let lease = pool.acquire().await.expect("a lease");
        let waiter = tokio::task::spawn_local({
            let pool = pool.clone();
            async move { pool.acquire_with(LeaseRequest::new().timeout(Duration::MAX)).await.map(drop) }
        });
        sleep(secs(3600)).await;
        drop(lease);
        waiter.await.expect("no panic").expect("a lease");
        pool.drain_within(Duration::MAX).await.expect("drains");
        ostler.shutdown_within(Duration::MAX).await.expect("ends");
    });
}

#[test]
fn a_closed_pool_never_gets_ready() {
    simulate(async {
        let (ostler, pool) = start(one(), Fake::new(&FakeSpec::default()), 1).await;
        let lease = pool.acquire().await.expect("a lease");
        let drain = tokio::task::spawn_local({
            let pool = pool.clone();
            async move { pool.drain().await }
        });
        sleep(secs(1)).await;
        let refused = |outcome: Result<(), ostler::Error>| {
            let error = outcome.expect_err("it drains");
            assert!(matches!(error.kind(), ErrorKind::Closed), "{error:?}");
        };
        refused(pool.ready(secs(2)).await);
        drop(lease);
        drain.await.expect("no panic").expect("drains");
        refused(pool.ready(Duration::MAX).await);
        ostler.shutdown().await.expect("ends");
        refused(pool.ready(secs(2)).await);
    });
}

/// Runtimes that have lain idle are tested first; those that don't answer take as long as a probe may, each.
#[test]
fn a_waiters_deadline_holds_while_runtimes_are_tested() {
    simulate(async {
        let spec = PoolSpec {
            min: 4,
            max: 4,
            health: HealthSpec { interval: secs(3600), timeout: secs(2), ..HealthSpec::default() },
            ..one()
        };
        let gates = Gates::default();
        let (ostler, pool) = start(spec, Fake::scripted(gates.clone()), 1).await;
        pool.ready(secs(5)).await.expect("ready");
        sleep(secs(5)).await;
        gates.set(Point::Ping, Act::Hang);
        for timeout in [Duration::ZERO, Duration::from_millis(100), secs(5)] {
            let began = Instant::now();
            let refused = pool.acquire_with(LeaseRequest::new().timeout(timeout)).await;
            let error = refused.expect_err("nobody answers");
            assert!(matches!(error.kind(), ErrorKind::TimedOut { .. }), "{error}");
            let took = began.elapsed();
            assert!(
                timeout <= took && took <= timeout + Duration::from_millis(100),
                "{took:?} for {timeout:?}"
            );
        }
        gates.set(Point::Ping, Act::Work);
        sleep(secs(20)).await;
        for _ in 0..4 {
            drop(
                pool.acquire_with(LeaseRequest::new().timeout(Duration::ZERO))
                    .await
                    .expect("one that answers"),
            );
        }
        ostler.shutdown().await.expect("ends");
    });
}
