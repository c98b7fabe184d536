//! P6 for sandboxed processes: a launch that hangs since its child was stopped leaves nothing behind when it is
//! dropped.
//!
//! A file of its own, because it stops the children of all keepers of its process.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "sandbox/mod.rs"]
mod sandbox;

use std::fs;
use std::time::{Duration, Instant};

use ostler::backend::{Backend, Launch};
use ostler::model::{IsolationLevel, PoolName, RuntimeId};
use rustix::process::{Pid, Signal, kill_process};
use sandbox::{
    again_as_an_ordinary_user, backend, cgroups_of, children_of, eventually, keepers_of, limits, spec,
    state_dir,
};

const SOON: Duration = Duration::from_secs(5);
/// Launches that are tried, to stop a child in time.
const TRIES: u64 = 200;
/// How often that must have succeeded.
const ENOUGH: u32 = 2;

#[test]
fn the_same_as_an_ordinary_user() {
    again_as_an_ordinary_user("the_same_as_an_ordinary_user");
}

/// Somebody stops the guest-to-be before its walls stand: its keeper must not wait for it for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_launch_whose_child_is_stopped_ends_when_it_is_dropped() {
    for isolation in [IsolationLevel::Auto, IsolationLevel::Basic] {
        let state = state_dir();
        let backend = backend(&spec(isolation), &limits(), state.path().to_owned());
        backend.prepare().await.unwrap();
        let mut caught = 0;
        for number in 0..TRIES {
            let old = keepers_of(std::process::id());
            let launch = Launch { pool: PoolName::new("p"), runtime: RuntimeId(number) };
            let hunter = std::thread::spawn(move || stop_child_of_new_keeper(&old));
            let launched = tokio::time::timeout(Duration::from_millis(100), backend.launch(launch)).await;
            caught += u32::from(hunter.join().unwrap() && launched.is_err());
            drop(launched);
            if caught == ENOUGH {
                break;
            }
        }
        assert_eq!(caught, ENOUGH, "{isolation:?}: never stopped in time, so nothing was tried");
        let own = std::process::id();
        eventually(SOON, || keepers_of(own).is_empty() && cgroups_of(own).is_empty()).await;
        backend.close().await.unwrap();
        assert_eq!(fs::read_dir(state.path()).unwrap().count(), 0);
    }
}

/// Waits for the child of a keeper that is not one of the `old`, stops it, and answers whether it was still not
/// the guest.
fn stop_child_of_new_keeper(old: &[u32]) -> bool {
    let own = std::process::id();
    let deadline = Instant::now() + SOON;
    while Instant::now() < deadline {
        let keepers = keepers_of(own).into_iter().filter(|keeper| !old.contains(keeper));
        for child in keepers.flat_map(children_of) {
            if is_in_setup(child) && signal(child, Signal::STOP) {
                return is_in_setup(child);
            }
        }
    }
    false
}

/// Before it is the guest, the child runs with the keeper's own command line.
fn is_in_setup(pid: u32) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).any(|word| word == b"keeper")
}

fn signal(pid: u32, signal: Signal) -> bool {
    Pid::from_raw(pid.cast_signed()).is_some_and(|pid| kill_process(pid, signal).is_ok())
}
