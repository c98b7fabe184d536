//! P1 for sandboxed processes: what was made to see whether runtimes can be made is the first of them, or soon is
//! not there at all.
//!
//! A file of its own, because it counts all keepers of its process.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "sandbox/mod.rs"]
mod sandbox;

use std::time::Duration;

use ostler::backend::{Backend, Launch};
use ostler::model::{IsolationLevel, PoolName, RuntimeId};
use sandbox::{backend, eventually, limits, spec, state_dir};

/// Children of this process.
fn keepers() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let children = |task: std::io::Result<std::fs::DirEntry>| {
        let list = std::fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default();
        list.split_whitespace().count()
    };
    tasks.map(children).sum()
}

#[tokio::test]
async fn the_trial_is_the_first_runtime_or_none() {
    let state = state_dir();
    let backend = backend(&spec(IsolationLevel::Auto), &limits(), state.path().to_owned());
    backend.prepare().await.unwrap();
    assert_eq!(keepers(), 1);
    let launch = || Launch { pool: PoolName::new("p"), runtime: RuntimeId(1) };
    let mut first = backend.launch(launch()).await.unwrap();
    assert_eq!(keepers(), 1, "the first launch made one beside the spare");
    let mut second = backend.launch(launch()).await.unwrap();
    assert_eq!(keepers(), 2);
    first.instance.destroy().await.unwrap();
    second.instance.destroy().await.unwrap();

    backend.prepare().await.unwrap();
    eventually(Duration::from_secs(20), || keepers() == 0).await;
    backend.prepare().await.unwrap();
    backend.close().await.unwrap();
    assert_eq!(keepers(), 0, "the end of the pool left the spare");
}
