//! P6 for sandboxed processes: a launch that hangs since its child was stopped leaves nothing behind when it is
//! dropped, nor when its keeper is killed.
//!
//! A file of its own, because it stops the children of all keepers of its process.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "sandbox/mod.rs"]
mod sandbox;

use std::fs;
use std::time::{Duration, Instant};

use ostler::backend::{Backend, Launch};
use ostler::model::{IsolationLevel, PoolName, RuntimeId};
use rustix::process::{Pid, Signal, getpgid, kill_process, kill_process_group};
use sandbox::{
    again_as_an_ordinary_user, backend, cgroups_of, children_of, eventually, keepers_of, limits, spec,
    state_dir,
};
use tokio::sync::Mutex;

const SOON: Duration = Duration::from_secs(5);
/// Launches that are tried, to stop a child in time.
const TRIES: u64 = 200;
/// Keepers that are killed, each at another moment of its launch.
const KILLS: u64 = 60;
/// How often that must have succeeded.
const ENOUGH: u32 = 2;
/// Each hunts for whatever is new among the keepers of this process.
static ALONE: Mutex<()> = Mutex::const_new(());

#[test]
fn the_same_as_an_ordinary_user() {
    again_as_an_ordinary_user("the_same_as_an_ordinary_user");
}

/// Somebody stops the guest-to-be before its walls stand: its keeper must not wait for it for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_launch_whose_child_is_stopped_ends_when_it_is_dropped() {
    let _alone = ALONE.lock().await;
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

/// Stopped before its first step, the guest-to-be is not yet tied to its keeper: it outlived one that was killed, for good.
#[tokio::test(flavor = "multi_thread")]
async fn a_launch_whose_keeper_is_killed_while_its_child_is_stopped_leaves_nothing() {
    let _alone = ALONE.lock().await;
    for isolation in [IsolationLevel::Auto, IsolationLevel::Basic] {
        let state = state_dir();
        let backend = backend(&spec(isolation), &limits(), state.path().to_owned());
        backend.prepare().await.unwrap();
        let mut children = Vec::new();
        for number in 0..KILLS {
            let old = keepers_of(std::process::id());
            let launch = Launch { pool: PoolName::new("p"), runtime: RuntimeId(number) };
            let pause = Duration::from_micros(number % 40 * 50);
            let hunter = std::thread::spawn(move || stop_all_of_new_keeper(&old, pause));
            let launched = tokio::time::timeout(Duration::from_millis(100), backend.launch(launch)).await;
            if let Some(keeper) = hunter.join().unwrap() {
                children.extend(children_of(keeper).into_iter().filter(|child| is_in_setup(*child)));
                signal(keeper, Signal::KILL);
            }
            drop(launched);
        }
        assert!(!children.is_empty(), "{isolation:?}: never stopped in time, so nothing was tried");
        let own = std::process::id();
        eventually(SOON, || keepers_of(own).is_empty() && cgroups_of(own).is_empty()).await;
        let begun = Instant::now();
        while let Some(child) = children.iter().find(|child| is_in_setup(**child)) {
            if begun.elapsed() > SOON {
                let left: Vec<_> = children.iter().copied().filter(|child| is_in_setup(*child)).collect();
                for child in &left {
                    signal(*child, Signal::KILL);
                }
                panic!("{isolation:?}: {child} is left, and {} more of {}", left.len() - 1, children.len());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        backend.close().await.unwrap();
        assert_eq!(fs::read_dir(state.path()).unwrap().count(), 0);
    }
}

/// Waits for a keeper that is not one of the `old`, and after a pause stops it and its child, if it has one by then.
fn stop_all_of_new_keeper(old: &[u32], pause: Duration) -> Option<u32> {
    let own = std::process::id();
    let deadline = Instant::now() + Duration::from_millis(100);
    while Instant::now() < deadline {
        let keeper = keepers_of(own).into_iter().find(|keeper| !old.contains(keeper));
        // Once it leads a process group, its own and its child's.
        let Some(group) = keeper.and_then(|keeper| Pid::from_raw(keeper.cast_signed())) else { continue };
        if getpgid(Some(group)) != Ok(group) {
            continue;
        }
        std::thread::sleep(pause);
        return kill_process_group(group, Signal::STOP).ok().and(keeper);
    }
    None
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
