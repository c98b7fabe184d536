//! P6 for sandboxed processes: a launch dropped at any moment leaves nothing behind.
//!
//! A file of its own, because it counts all keepers of its process.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "sandbox/mod.rs"]
mod sandbox;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use ostler::backend::{Backend, Launch};
use ostler::model::{IsolationLevel, PoolName, RuntimeId};
use sandbox::{
    again_as_an_ordinary_user, backend, cgroups_of, eventually, keepers_of, limits, lives_of, spec, state_dir,
};

const SOON: Duration = Duration::from_secs(5);
/// Beyond what a launch takes, so that some are dropped when they are done.
const LONGEST: u64 = 20_000;
const STEP: usize = 500;

#[test]
fn the_same_as_an_ordinary_user() {
    again_as_an_ordinary_user("the_same_as_an_ordinary_user");
}

/// Both at once would count each other's keepers.
#[tokio::test]
async fn a_dropped_launch_leaves_nothing() {
    nothing_is_left_soon().await;
    nothing_is_left_at_close().await;
}

async fn nothing_is_left_soon() {
    for isolation in [IsolationLevel::Auto, IsolationLevel::Basic] {
        let state = state_dir();
        let backend = backend(&spec(isolation), &limits(), state.path().to_owned());
        backend.prepare().await.unwrap();
        for microseconds in (0..LONGEST).step_by(STEP) {
            let launch = Launch { pool: PoolName::new("p"), runtime: RuntimeId(microseconds) };
            let _ = tokio::time::timeout(Duration::from_micros(microseconds), backend.launch(launch)).await;
        }
        let own = std::process::id();
        eventually(SOON, || keepers_of(own).is_empty() && cgroups_of(own).is_empty()).await;
        backend.close().await.unwrap();
        assert_eq!(fs::read_dir(state.path()).unwrap().count(), 0);
    }
}

/// A backend that has closed has nothing left that would need time, nor anybody, to go away.
async fn nothing_is_left_at_close() {
    for isolation in [IsolationLevel::Auto, IsolationLevel::Basic] {
        for microseconds in (0..LONGEST).step_by(STEP) {
            let state = state_dir();
            let backend = backend(&spec(isolation), &limits(), state.path().to_owned());
            let launch = Launch { pool: PoolName::new("p"), runtime: RuntimeId(microseconds) };
            let _ = tokio::time::timeout(Duration::from_micros(microseconds), backend.launch(launch)).await;
            backend.close().await.unwrap();
            let own = std::process::id();
            let dropped = format!("{isolation:?}, dropped after {microseconds} µs");
            assert_eq!(keepers_of(own), Vec::<u32>::new(), "{dropped}");
            assert_eq!(lives_of(own), Vec::<PathBuf>::new(), "{dropped}");
            assert_eq!(fs::read_dir(state.path()).unwrap().count(), 0, "{dropped}");
        }
    }
}
