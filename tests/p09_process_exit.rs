//! P9 for sandboxed processes: the end of a runtime is known within 50 ms, with its cause.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "sandbox/mod.rs"]
mod sandbox;

use std::time::{Duration, Instant};

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

#[tokio::test]
async fn destroying_what_has_ended_is_harmless() {
    let mut runtime = Runtime::start(IsolationLevel::Auto).await;
    runtime.instance.destroy().await.unwrap();
    runtime.instance.destroy().await.unwrap();
    runtime.end().await;
}
