//! P9: the end of a container is noticed at once, with its reason, and a fresh one takes its place.

use std::time::{Duration, Instant};

use bollard::query_parameters::KillContainerOptionsBuilder;
use ostler::model::Limits;
use ostler::{Change, PoolSpec, Reason};

use crate::engine::{Engine, Stable, spec};

/// Far more than is promised, so that a busy machine fails nothing; the figure is printed.
const CEILING: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_killed_container_is_noticed_and_replaced() {
    for engine in Engine::all("a killed container") {
        let stable = Stable::open(&engine, &spec(), PoolSpec { min: 1, max: 1, ..PoolSpec::default() }).await;
        kill_one(&stable, &engine).await;
        stable.close().await;
    }
}

/// Kills the only container of a pool, sees that it is noticed, and that another comes.
pub(crate) async fn kill_one(stable: &Stable, engine: &Engine) {
    let mut events = stable.ostler.events(64);
    stable.pool.ready(CEILING * 4).await.unwrap();
    let lease = stable.pool.acquire().await.unwrap();
    let (victim, runtime) = (lease.handle().to_owned(), lease.runtime());
    let client = engine.client().await;
    let killed = Instant::now();
    let kill = tokio::spawn(async move {
        let options = KillContainerOptionsBuilder::new().signal("KILL").build();
        client.kill_container(&victim, Some(options)).await
    });
    let (cause, after) = loop {
        let event = events.next().await.unwrap();
        if let Change::Exited { runtime: which, cause } = event.change
            && which == runtime
        {
            break (cause, killed.elapsed());
        }
    };
    println!("{:?}: noticed after {after:?}: {cause}", engine.kind);
    assert!(after < CEILING, "{after:?}");
    assert_eq!(cause, "signal 9");
    kill.await.unwrap().unwrap();
    drop(lease);
    let fresh = stable.pool.acquire().await.unwrap();
    assert_ne!(fresh.runtime(), runtime);
}

#[tokio::test]
async fn want_of_memory_is_told_apart() {
    for engine in Engine::all("out of memory") {
        let limits = Limits { memory: Some(24 << 20), ..Limits::default() };
        let container = ostler::model::ContainerSpec { workspace_size: 256 << 20, ..spec() };
        let pool = PoolSpec { min: 1, max: 1, limits, ..PoolSpec::default() };
        let stable = Stable::open(&engine, &container, pool).await;
        let mut events = stable.ostler.events(64);
        let lease = stable.pool.acquire().await.unwrap();
        // The guest itself writes it, to memory, so it is the guest that has none left.
        let error = lease.write("too-much", vec![b'x'; 64 << 20]).await.unwrap_err();
        println!("{:?}: {error}", engine.kind);
        let cause = loop {
            if let Change::Exited { cause, .. } = events.next().await.unwrap().change {
                break cause;
            }
        };
        assert_eq!(cause, "out of memory");
        drop(lease);
        drop(stable.pool.acquire().await.unwrap());
        assert_eq!(stable.pool.status().retired.get(&Reason::Exited), Some(&1));
        stable.close().await;
    }
}

#[tokio::test]
async fn one_that_somebody_removes_is_noticed() {
    for engine in Engine::all("a removed container") {
        let stable = Stable::open(&engine, &spec(), PoolSpec { min: 1, max: 1, ..PoolSpec::default() }).await;
        let lease = stable.pool.acquire().await.unwrap();
        let (victim, runtime) = (lease.handle().to_owned(), lease.runtime());
        drop(lease);
        let options = bollard::query_parameters::RemoveContainerOptionsBuilder::new().force(true).build();
        engine.client().await.remove_container(&victim, Some(options)).await.unwrap();
        let deadline = Instant::now() + CEILING;
        while stable.pool.acquire().await.unwrap().runtime() == runtime {
            assert!(Instant::now() < deadline, "still leased");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stable.close().await;
    }
}
