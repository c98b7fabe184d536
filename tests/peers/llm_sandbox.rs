//! llm-sandbox 0.3.46, the pool of containers for code that models write.

use ostler::backend::fake::{Act, Fake, Point};
use ostler::model::FakeSpec;
use ostler::{Exec, Exhausted, LeaseRequest, PoolSpec, Reason, State};
use tokio::time::{Instant, sleep};

use super::support::gated::Gates;
use super::support::sim::{simulate, start};
use super::{ms, sandboxes, secs};

/// Its waiter sleeps until its timeout though a release has freed what it waits for.
#[test]
fn a_waiter_gets_what_a_release_frees() {
    simulate(async {
        let spec = PoolSpec { min: 1, max: 1, acquire_timeout: secs(30), ..PoolSpec::default() };
        let (ostler, pool) = start(spec, Fake::new(&FakeSpec::default()), 1).await;
        let held = pool.acquire().await.unwrap();
        let waiter = tokio::task::spawn_local({
            let pool = pool.clone();
            async move { pool.acquire().await.map(|_| Instant::now()) }
        });
        sleep(secs(1)).await;
        let freed = Instant::now();
        drop(held);
        assert!(waiter.await.unwrap().unwrap() - freed < ms(100));
        ostler.shutdown().await.unwrap();
    });
}

/// Its TEMPORARY containers, made beyond the limit, stay in the pool.
#[test]
fn what_is_made_beyond_max_goes_when_it_is_returned() {
    simulate(async {
        let fake = Fake::new(&FakeSpec::default());
        let spec = PoolSpec { min: 1, max: 2, overflow: 3, ..PoolSpec::default() };
        let (ostler, pool) = start(spec, fake.clone(), 2).await;
        for _ in 0..10 {
            let request = || LeaseRequest::new().when_exhausted(Exhausted::Overflow);
            let mut leases = Vec::new();
            for _ in 0..5 {
                leases.push(pool.acquire_with(request()).await.unwrap());
            }
            assert_eq!(fake.census().alive, 5);
            drop(leases);
            sleep(secs(1)).await;
            assert!(fake.census().alive <= 2, "{}", pool.status());
        }
        assert_eq!(pool.status().retired[&Reason::Overflow], 30);
        ostler.shutdown().await.unwrap();
    });
}

/// Its health loop lists what is idle, and destroys from that list what has been leased since.
#[test]
fn what_was_idle_when_it_was_looked_at_is_not_destroyed_once_it_is_leased() {
    simulate(async {
        let spec = PoolSpec {
            min: 0,
            max: 4,
            idle_timeout: Some(ms(100)),
            max_lifetime: Some(secs(1)),
            test_after_idle: ms(1),
            ..PoolSpec::default()
        };
        let (ostler, pool) = start(spec, Fake::new(&FakeSpec::default()), 3).await;
        let mut rng = fastrand::Rng::with_seed(3);
        for round in 0..2_000 {
            let lease = pool.acquire().await.unwrap();
            sleep(ms(rng.u64(0..400))).await;
            let output = lease.exec(Exec::new("true")).await;
            assert!(
                output.is_ok_and(|output| output.success()),
                "round {round}: a leased runtime was destroyed"
            );
            drop(lease);
            // Around the moment when it has been idle for too long.
            sleep(ms(rng.u64(80..240))).await;
        }
        ostler.shutdown().await.unwrap();
    });
}

/// Its release waits for a lock that another thread holds while it creates a container.
#[test]
fn a_release_waits_for_no_launch() {
    simulate(async {
        let gates = Gates::default();
        let spec = PoolSpec { min: 1, max: 2, launch_timeout: secs(60), ..PoolSpec::default() };
        let (ostler, pool) = start(spec, Fake::scripted(gates.clone()), 4).await;
        let held = pool.acquire().await.unwrap();
        gates.set(Point::Launch, Act::Hang);
        let waiter = tokio::task::spawn_local({
            let pool = pool.clone();
            async move { pool.acquire().await.map(|_| Instant::now()) }
        });
        sleep(secs(1)).await;
        assert_eq!(pool.status().states[&State::Launching], 1, "a launch is under way, and hangs");
        let released = Instant::now();
        drop(held);
        assert!(waiter.await.unwrap().unwrap() - released < ms(100));
        gates.set(Point::Launch, Act::Work);
        ostler.shutdown_within(ms(10)).await.unwrap();
    });
}

/// Its idle reaper takes the `min` containers away, which are then made anew, for ever.
#[test]
fn the_min_set_is_left_alone() {
    simulate(async {
        let fake = Fake::new(&FakeSpec::default());
        let spec = PoolSpec { min: 3, max: 8, idle_timeout: Some(secs(1)), ..PoolSpec::default() };
        let (ostler, pool) = start(spec, fake.clone(), 5).await;
        pool.ready(secs(5)).await.unwrap();
        sleep(secs(3600)).await;
        assert_eq!(fake.census().launched, 3);
        ostler.shutdown().await.unwrap();
    });
}

/// It hands the last user's files, processes and variables to the next.
#[tokio::test]
async fn nothing_of_the_last_user_is_there() {
    let spec = PoolSpec { min: 1, max: 1, ..PoolSpec::default() };
    let (ostler, pool, _state) = sandboxes("llm-sandbox", spec).await;
    let lease = pool.acquire().await.unwrap();
    let runtime = lease.runtime();
    let mess = "echo secret > ~/left; echo secret > /tmp/left; setsid sleep 300 & exit 0";
    assert!(lease.exec(Exec::shell(mess)).await.unwrap().success());
    drop(lease);
    let lease = pool.acquire().await.unwrap();
    assert_eq!(lease.runtime(), runtime, "the same runtime, cleaned");
    let look = "ls -A ~ /tmp; for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; done";
    let seen = lease.exec(Exec::shell(look)).await.unwrap();
    let seen = String::from_utf8(seen.stdout).unwrap();
    assert!(!seen.contains("left") && !seen.contains("sleep 300"), "{seen}");
    drop(lease);
    ostler.shutdown().await.unwrap();
}
