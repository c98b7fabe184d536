//! P11, the backend's half: after a reset the host looks at the runtime from outside and finds whatever is
//! left, whoever says that it is clean.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "sandbox/mod.rs"]
mod sandbox;

use std::fs;
use std::process::Command;
use std::time::Duration;

use ostler::model::IsolationLevel;
use sandbox::{Runtime, again_as_an_ordinary_user, eventually, exists, is_root};

const BOTH: [IsolationLevel; 2] = [IsolationLevel::Auto, IsolationLevel::Basic];
const SOON: Duration = Duration::from_secs(5);

#[test]
fn the_same_as_an_ordinary_user() {
    again_as_an_ordinary_user("the_same_as_an_ordinary_user");
}

#[tokio::test]
async fn nothing_of_a_lease_outlives_its_reset() {
    for isolation in BOTH {
        let mut runtime = Runtime::start(isolation).await;
        for _ in 0..3 {
            runtime.says("echo secret > file; mkdir -p .hidden/d; chmod 0 .hidden; ln -s / link").await;
            runtime
                .says("setsid sleep 1000 > /dev/null 2>&1 & (trap '' TERM; sleep 1000 > /dev/null 2>&1 &)")
                .await;
            assert_eq!(runtime.reset().await, Ok(()), "{isolation:?}");
            assert_eq!(
                runtime.says("find . -mindepth 1 | wc -l; pgrep -x sleep -u $(id -u) | wc -l").await,
                "0\n0"
            );
        }
        runtime.end().await;
    }
}

#[tokio::test]
async fn no_tree_is_too_deep_or_too_closed_to_be_removed() {
    for isolation in BOTH {
        let runtime = Runtime::start(isolation).await;
        let dig = "perl -e 'for (1..200) { mkdir \"d\" and chdir \"d\" or die $! } print 1'";
        assert_eq!(runtime.says(dig).await, "1");
        runtime.says("mkdir -p closed/inner && touch closed/inner/file && chmod 0 closed/inner closed").await;
        // Without a reset: what the guest has not wiped, the keeper must.
        runtime.end().await;
    }
}

#[tokio::test]
async fn a_process_is_found() {
    for isolation in BOTH {
        let mut runtime = Runtime::start(isolation).await;
        runtime.clean().await;
        runtime.reset().await.unwrap();
        runtime.says("sleep 1000 > /dev/null 2>&1 &").await;
        let residue = runtime.instance.verify().await.unwrap_err();
        assert!(residue.what.contains("process"), "{residue}");
        runtime.end().await;
    }
}

#[tokio::test]
async fn a_file_is_found_in_every_writable_place() {
    for isolation in BOTH {
        let places: &[&str] =
            if isolation == IsolationLevel::Basic { &["."] } else { &[".", "/tmp", "/dev/shm"] };
        for place in places {
            let mut runtime = Runtime::start(isolation).await;
            runtime.reset().await.unwrap();
            runtime.says(&format!("touch {place}/.left")).await;
            let residue = runtime.instance.verify().await.unwrap_err();
            assert!(residue.what.contains(".left"), "{residue}");
            runtime.end().await;
        }
    }
}

#[tokio::test]
async fn a_missing_renewal_of_shared_memory_is_found() {
    let mut runtime = Runtime::start(IsolationLevel::Auto).await;
    runtime.reset().await.unwrap();
    let residue = runtime.instance.verify().await.unwrap_err();
    assert!(residue.what.contains("ipc"), "{residue}");
    runtime.end().await;
}

#[tokio::test]
async fn a_mount_is_found() {
    // Only somebody with the host's rights can make one in there, which is what this test needs to be.
    if !is_root() {
        return;
    }
    for place in ["/tmp", "/usr", "/work"] {
        let mut runtime = Runtime::start(IsolationLevel::Auto).await;
        runtime.reset().await.unwrap();
        let mut mount = Command::new("nsenter");
        mount.args(["-t", &runtime.pid.to_string(), "-m", "--", "mount", "-t", "tmpfs", "none", place]);
        assert!(mount.status().unwrap().success());
        let residue = runtime.instance.verify().await.unwrap_err();
        assert!(residue.what.starts_with(&format!("mount {place} ")), "{residue}");
        runtime.end().await;
    }
}

#[tokio::test]
async fn a_guest_that_is_gone_is_not_clean() {
    let runtime = Runtime::start(IsolationLevel::Auto).await;
    let (pid, keeper) = (runtime.pid, runtime.keeper);
    kill(pid);
    eventually(SOON, || !exists(keeper)).await;
    let residue = runtime.instance.verify().await.unwrap_err();
    assert!(residue.what.starts_with("unknown"), "{residue}");
    runtime.end().await;
}

fn kill(pid: u32) {
    use rustix::process::{Pid, Signal, kill_process};
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL).unwrap();
}

#[tokio::test]
async fn a_basic_workspace_cannot_be_led_astray() {
    let mut runtime = Runtime::start(IsolationLevel::Basic).await;
    let outside = runtime.state.path().join("precious");
    fs::write(&outside, "kept").unwrap();
    runtime
        .says(&format!("ln -s {0} a; ln -s {0} b/ 2>/dev/null || true", runtime.state.path().display()))
        .await;
    assert_eq!(runtime.reset().await, Ok(()));
    assert_eq!(fs::read_to_string(&outside).unwrap(), "kept");
    fs::remove_file(outside).unwrap();
    runtime.end().await;
}
