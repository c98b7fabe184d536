//! An engine that goes away degrades the pool and comes back to it, and a lease that is out notices nothing.
//!
//! The engine is reached through a socket of the test's own, which it takes away and puts back.

use std::time::{Duration, Instant};

use ostler::model::{BackendSpec, ContainerSpec};
use ostler::{Exec, Ostler, PoolSpec};

use crate::engine::{Engine, Kind, config, spec, unique};

const PATIENCE: Duration = Duration::from_mins(1);

async fn until(what: &str, holds: impl Fn() -> bool) -> Duration {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "not {what} within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    started.elapsed()
}

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
