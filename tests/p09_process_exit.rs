//! P9 for sandboxed processes: the end of a runtime is known within 50 ms, with its cause.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "sandbox/mod.rs"]
mod sandbox;

use std::time::{Duration, Instant};

use ostler::guest::Exec;
use ostler::model::IsolationLevel;
use rustix::process::{Pid, Signal, kill_process};
use sandbox::{Runtime, again_as_an_ordinary_user};

const BOTH: [IsolationLevel; 2] = [IsolationLevel::Auto, IsolationLevel::Basic];
const PROMISED: Duration = Duration::from_millis(50);
const TRIES: usize = 5;

#[test]
fn the_same_as_an_ordinary_user() {
    again_as_an_ordinary_user("the_same_as_an_ordinary_user");
}

#[tokio::test]
async fn a_killed_guest_is_known() {
    for isolation in BOTH {
        // The machine may be busy with something else once; not each time.
        let mut fastest = Duration::MAX;
        for _ in 0..TRIES {
            let mut runtime = Runtime::start(isolation).await;
            let start = Instant::now();
            kill_process(Pid::from_raw(runtime.pid.cast_signed()).unwrap(), Signal::KILL).unwrap();
            let exit = (&mut runtime.exit).await;
            fastest = fastest.min(start.elapsed());
            assert_eq!(exit.cause, "signal 9");
            runtime.exit = Box::pin(async move { exit });
            runtime.end().await;
        }
        assert!(fastest < PROMISED, "{isolation:?}: {fastest:?}");
    }
}

#[tokio::test]
async fn a_guest_that_is_shut_down_is_known() {
    for isolation in BOTH {
        let mut runtime = Runtime::start(isolation).await;
        runtime.control.shutdown(Duration::from_secs(5)).await.unwrap();
        let exit = (&mut runtime.exit).await;
        assert_eq!(exit.cause, "exit status 0");
        runtime.exit = Box::pin(async move { exit });
        runtime.end().await;
    }
}

/// A cgroup may stay busy for a while after its last process has ended.
#[tokio::test]
async fn what_could_not_be_removed_at_first_is_removed_later() {
    let mut runtime = Runtime::start(IsolationLevel::Auto).await;
    let Some(cgroup) = runtime.cgroups.first().cloned() else {
        assert!(!rustix::process::geteuid().is_root(), "no cgroup to try it on");
        return runtime.end().await;
    };
    let inner = cgroup.join("inner");
    std::fs::create_dir(&inner).unwrap();
    for _ in 0..2 {
        let error = runtime.instance.destroy().await.unwrap_err();
        assert!(error.source.unwrap().to_string().contains(cgroup.to_str().unwrap()));
    }
    std::fs::remove_dir(&inner).unwrap();
    runtime.instance.destroy().await.unwrap();
    runtime.end().await;
}

#[tokio::test]
async fn destroying_what_has_ended_is_harmless() {
    let mut runtime = Runtime::start(IsolationLevel::Auto).await;
    runtime.instance.destroy().await.unwrap();
    runtime.instance.destroy().await.unwrap();
    runtime.end().await;
}

#[tokio::test]
async fn a_runtime_out_of_memory_says_so() {
    let mut runtime = Runtime::start(IsolationLevel::Auto).await;
    // Only a memory cgroup ends a whole runtime, and only some hosts give an ordinary user one.
    if !runtime.cgroups.iter().any(|directory| directory.starts_with("/sys/fs/cgroup/memory")) {
        return runtime.end().await;
    }
    // Files in a tmpfs are memory that no killed command gives back, so in the end it is the guest's turn.
    let file = |number| Exec::shell(format!("head -c 1M /dev/zero > {number}"));
    let until_the_end = async {
        let mut number = 0;
        while runtime.run(file(number)).await.is_ok() {
            number += 1;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), until_the_end).await.unwrap();
    let exit = (&mut runtime.exit).await;
    assert_eq!(exit.cause, "out of memory");
    runtime.exit = Box::pin(async move { exit });
    runtime.end().await;
}
