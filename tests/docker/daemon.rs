//! An engine that goes away, hangs, is killed, restarted or takes too long degrades the pool, which says why, and heals
//! by itself with every slot it had. A lease that is out notices nothing of an engine that says nothing.

use std::time::{Duration, Instant};

use ostler::model::{BackendSpec, ContainerSpec, Transport};
use ostler::{Exec, Ostler, Pool, PoolSpec};

use rustix::process::Signal;

use crate::engine::{Engine, Kind, Stable, config, spec, unique};
use crate::private::Private;
use crate::relay::Relay;

const PATIENCE: Duration = Duration::from_mins(1);

async fn until(what: &str, holds: impl Fn() -> bool) -> Duration {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "not {what} within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    started.elapsed()
}

/// All slots of a pool can be had at once, and there are no more of them.
async fn every_slot(pool: &Pool) {
    let mut leases = Vec::new();
    for _ in 0..pool.status().max {
        let lease = pool.acquire().await.unwrap();
        assert!(lease.exec(Exec::new("/bin/true")).await.unwrap().success());
        leases.push(lease);
    }
    let status = pool.status();
    assert!(status.states.values().sum::<usize>() <= status.max, "{status}");
}

fn two() -> PoolSpec {
    PoolSpec { min: 1, max: 2, acquire_timeout: PATIENCE, ..PoolSpec::default() }
}

async fn degraded(pool: &Pool, why: &str) {
    until("degraded", || pool.status().degraded).await;
    until("told why", || pool.status().trouble.is_some_and(|trouble| trouble.contains(why))).await;
}

async fn healed(pool: &Pool) {
    until("healed", || !pool.status().degraded && pool.status().trouble.is_none()).await;
    every_slot(pool).await;
}

#[tokio::test]
async fn an_engine_that_hangs_or_is_killed_costs_no_slot() {
    for shared in Engine::all("an engine that hangs or is killed") {
        let Some(mut private) = Private::start(&shared, Vec::new()).await else { continue };
        let stable = Stable::open(&private.engine(), &spec(), two()).await;
        let lease = stable.pool.acquire().await.unwrap();

        private.signal(Signal::STOP);
        degraded(&stable.pool, "did not answer within").await;
        assert!(lease.exec(Exec::new("/bin/true")).await.unwrap().success(), "a lease needs no engine");
        private.signal(Signal::CONT);
        drop(lease);
        healed(&stable.pool).await;

        private.kill();
        degraded(&stable.pool, "can't be reached").await;
        private.start_again().await;
        healed(&stable.pool).await;
        stable.close().await;
    }
}

/// Docker takes its containers with it unless it is told not to, Podman's do without it, and what is spoken to through
/// an engine is lost with it.
#[tokio::test]
async fn an_engine_that_is_restarted_in_order_costs_no_slot() {
    for shared in Engine::all("an engine that is restarted in order") {
        let ways: &[(&[&str], Transport, bool)] = match shared.kind {
            Kind::Docker => &[
                (&[], Transport::Auto, false),
                (&["--live-restore"], Transport::Auto, true),
                (&["--live-restore"], Transport::Attach, false),
            ],
            Kind::Podman => &[(&[], Transport::Auto, true), (&[], Transport::Attach, false)],
        };
        for &(more, transport, survives) in ways {
            let more = more.iter().map(ToString::to_string).collect();
            let Some(mut private) = Private::start(&shared, more).await else { continue };
            let container = ContainerSpec { transport, ..spec() };
            let stable = Stable::open(&private.engine(), &container, two()).await;
            let pool = &stable.pool;
            let (lease, other) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());

            private.end().await;
            degraded(pool, "can't be reached").await;
            let worked = lease.exec(Exec::new("/bin/true")).await;
            assert_eq!(worked.is_ok_and(|output| output.success()), survives, "{shared:?}, {transport:?}");

            // Whoever waits meanwhile is served when it is back.
            let waiting = tokio::spawn({
                let pool = pool.clone();
                async move { pool.acquire().await }
            });
            until("one waits", || pool.status().waiters == 1).await;
            private.start_again().await;
            if survives {
                drop(lease);
            }
            drop(waiting.await.unwrap().unwrap());
            drop(other);
            healed(pool).await;
            let status = pool.status();
            println!("{:?}, {transport:?}, {survives}: {status}", shared.kind);
            assert_eq!(status.launched == 2, survives, "{status}");
            stable.close().await;
        }
    }
}

#[tokio::test]
async fn an_engine_that_is_slow_is_borne_and_one_that_is_too_slow_is_said() {
    for engine in Engine::all("a slow engine") {
        let slow = Relay::before(&engine);
        slow.delay(Duration::from_millis(150));
        let stable = Stable::open(&slow.engine(), &spec(), two()).await;
        every_slot(&stable.pool).await;
        let status = stable.pool.status();
        assert!(!status.degraded && status.trouble.is_none(), "{status}");

        slow.delay(Duration::from_hours(1));
        degraded(&stable.pool, "did not answer within").await;
        slow.delay(Duration::ZERO);
        healed(&stable.pool).await;
        stable.close().await;
    }
}

/// P14: the engine has made it, and could not be told for longer than anybody tries that it is to be removed.
#[tokio::test]
async fn a_container_that_nobody_heard_of_is_gone_when_ostler_ends() {
    for engine in Engine::all("a lost answer") {
        let relay = Relay::before(&engine);
        let (instance, state) = (unique(), tempfile::tempdir().unwrap());
        let pool =
            PoolSpec { backend: relay.engine().settings(&spec()), min: 1, max: 1, ..PoolSpec::default() };
        let ostler = Ostler::start(config(&instance, state.path(), pool)).await.unwrap();
        let pool = ostler.pool("p").unwrap();
        let lease = pool.acquire().await.unwrap();
        relay.shut_after("/containers/create");
        lease.discard();
        until("asked for another", || relay.is_shut()).await;
        // Longer than its removal is tried.
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(engine.containers(&instance).await.len(), 1, "the engine has made it");
        relay.open();
        drop(pool);
        ostler.shutdown_within(Duration::from_secs(10)).await.unwrap();
        assert!(engine.containers(&instance).await.is_empty());
    }
}

/// It is reached through a socket of the test's own, which is taken away and put back.
#[tokio::test]
async fn an_engine_that_goes_away_is_said_and_waited_for() {
    for engine in Engine::all("an engine that goes away") {
        let (instance, state) = (unique(), tempfile::tempdir().unwrap());
        let (there, away) = (state.path().join("engine.sock"), state.path().join("away"));
        std::os::unix::fs::symlink(engine.host.strip_prefix("unix://").unwrap(), &there).unwrap();
        let host = format!("unix://{}", there.display()).parse().unwrap();
        let container = ContainerSpec { host: Some(host), ..spec() };
        let backend = match engine.kind {
            Kind::Docker => BackendSpec::Docker(container),
            Kind::Podman => BackendSpec::Podman(container),
        };
        let pool = PoolSpec { backend, min: 1, max: 1, ..PoolSpec::default() };
        let ostler = Ostler::start(config(&instance, state.path(), pool)).await.unwrap();
        let pool = ostler.pool("p").unwrap();
        let lease = pool.acquire().await.unwrap();

        std::fs::rename(&there, &away).unwrap();
        let after = until("degraded", || pool.status().degraded).await;
        let trouble = pool.status().trouble.unwrap();
        println!("{:?}: degraded after {after:?}: {trouble}", engine.kind);
        assert!(trouble.contains("can't be reached"), "{trouble}");
        assert!(lease.exec(Exec::new("/bin/true")).await.unwrap().success(), "a lease needs no engine");

        std::fs::rename(&away, &there).unwrap();
        let after = until("healed", || !pool.status().degraded).await;
        println!("{:?}: healed after {after:?}", engine.kind);
        assert_eq!(pool.status().trouble, None);
        lease.discard();
        drop(pool.acquire().await.unwrap());
        assert_eq!(pool.status().launched, 2, "no slot was lost, and none made twice");
        drop(pool);
        ostler.shutdown_within(Duration::ZERO).await.unwrap();
        assert!(engine.containers(&instance).await.is_empty());
    }
}
