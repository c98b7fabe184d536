//! A service is asked to end before its container is removed, and has its grace for that.

use std::path::Path;
use std::time::{Duration, Instant};

use ostler::PoolSpec;
use ostler::model::{ContainerMode, ContainerSpec};

use crate::engine::{Engine, Stable, spec};

/// A service that runs this script once it is told to end. What the container writes is in its log.
fn told(script: &str, stop_grace: Duration) -> ContainerSpec {
    let script = format!("trap '{script}' TERM; echo up; while :; do sleep 0.05; done");
    let entrypoint = Some(["/bin/sh", "-c", &script].map(str::to_owned).into());
    ContainerSpec { mode: ContainerMode::Service, entrypoint, stop_grace, ..spec() }
}

/// All that the only container of a pool has written.
fn logged(directory: &Path) -> String {
    // It is made with the first word.
    let files = std::fs::read_dir(directory.join("logs/p")).into_iter().flatten();
    files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect()
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(20), "not {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn it_may_finish_what_it_is_at() {
    for engine in Engine::all("a service that is told to end") {
        let container = told("echo ending; sleep 0.3; echo done; sleep 0.3; exit 0", Duration::from_secs(8));
        let stable =
            Stable::open(&engine, &container, PoolSpec { min: 1, max: 1, ..PoolSpec::default() }).await;
        // No lease: what is being cleaned is killed anyway.
        stable.pool.ready(Duration::from_mins(1)).await.unwrap();
        until("up", || logged(stable.state.path()).contains("up")).await;
        stable.pool.drain().await.unwrap();
        let said = logged(stable.state.path());
        assert!(said.contains("ending") && said.contains("done"), "{:?}: {said}", engine.kind);
        stable.close().await;
    }
}

#[tokio::test]
async fn one_that_will_not_end_is_ended() {
    for engine in Engine::all("a service that will not end") {
        let grace = Duration::from_millis(700);
        let container = told("echo no", grace);
        let stable =
            Stable::open(&engine, &container, PoolSpec { min: 1, max: 1, ..PoolSpec::default() }).await;
        // No lease: what is being cleaned is killed anyway.
        stable.pool.ready(Duration::from_mins(1)).await.unwrap();
        until("up", || logged(stable.state.path()).contains("up")).await;
        let begun = Instant::now();
        stable.pool.drain().await.unwrap();
        let took = begun.elapsed();
        assert!(took >= grace, "{took:?}");
        assert!(
            logged(stable.state.path()).contains("no"),
            "{:?}: {}",
            engine.kind,
            logged(stable.state.path())
        );
        stable.close().await;
    }
}
