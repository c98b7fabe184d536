//! What other pools get wrong, each as a test that this one must pass. A file for each family of defects; each
//! test names whose it was.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod cancellation;
mod creation;
mod dead_runtimes;
mod fairness;
mod hangs;
mod llm_sandbox;
mod ownership;
mod panics;
mod warm_misses;
mod windows;

#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use ostler::{Config, Ostler, Pool, PoolSpec};
use tempfile::TempDir;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A pool of real sandboxes, called `real`, in a state directory of its own.
async fn sandboxes(instance: &str, spec: PoolSpec) -> (Ostler, Pool, TempDir) {
    let state = tempfile::tempdir().unwrap();
    let config = Config::builder().instance(instance).state_dir(state.path()).pool("real", spec).build();
    let ostler = Ostler::start(config.unwrap()).await.unwrap();
    let pool = ostler.pool("real").unwrap();
    pool.ready(secs(30)).await.unwrap();
    (ostler, pool, state)
}
