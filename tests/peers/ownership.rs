//! What is not theirs is destroyed, or what is theirs and in use.

use std::process::{Command, Stdio};

use ostler::{Exec, PoolSpec};

use super::{sandboxes, secs};

fn spec(min: usize) -> PoolSpec {
    PoolSpec { min, max: min, ..PoolSpec::default() }
}

/// deer-flow #4206, ragflow #18629: one worker's sweep takes a peer's live sandboxes.
#[tokio::test]
async fn deer_flow_ragflow_a_peer_that_starts_and_ends_takes_nothing_of_ours() {
    let (ours, pool, _state) = sandboxes("peer-a", spec(2)).await;
    let lease = pool.acquire().await.unwrap();
    lease.write("mine", b"still here").await.unwrap();
    for _ in 0..2 {
        let (theirs, _, _state) = sandboxes("peer-b", spec(1)).await;
        theirs.shutdown().await.unwrap();
    }
    assert_eq!(lease.read("mine").await.unwrap(), b"still here");
    drop(lease);
    assert!(pool.status().retired.is_empty(), "{}", pool.status());
    ours.shutdown().await.unwrap();
}

/// microvm #294: the sweep for orphans destroys the warm stock, which nobody has leased.
#[tokio::test]
async fn microvm_the_warm_stock_is_no_orphan() {
    let (ostler, pool, _state) = sandboxes("microvm", spec(3)).await;
    let before = pool.snapshot().await.unwrap();
    // Maintenance sweeps at each start and now and again; another ostler beside this one makes it more often.
    for _ in 0..3 {
        let (other, _, _state) = sandboxes("microvm-too", spec(1)).await;
        other.shutdown().await.unwrap();
    }
    let after = pool.snapshot().await.unwrap();
    let handles = |snapshot: &ostler::Snapshot| -> Vec<_> {
        snapshot.runtimes.iter().map(|runtime| runtime.handle.clone()).collect()
    };
    assert_eq!(handles(&before), handles(&after));
    for _ in 0..3 {
        assert!(pool.acquire().await.unwrap().exec(Exec::new("true")).await.unwrap().success());
    }
    ostler.shutdown().await.unwrap();
}

/// hezo #883: tears down whatever lies in a range it guessed. Here processes, files and directories that merely
/// look like ours are somebody else's.
#[tokio::test]
async fn hezo_what_looks_like_ours_and_is_not_stays() {
    let elsewhere = tempfile::tempdir().unwrap();
    let program = elsewhere.path().join("ostler-guest");
    // Not copied by this process: what it holds open for writing, a child forked meanwhile does too, and then nobody can
    // execute it.
    assert!(Command::new("cp").arg("/bin/sleep").arg(&program).status().unwrap().success());
    let mut bystander = Command::new(&program).arg("300").stdout(Stdio::null()).spawn().unwrap();

    let (ostler, pool, state) = sandboxes("hezo", spec(1)).await;
    let foreign = state.path().join("hezo-somebody-elses");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("file"), "precious").unwrap();
    drop(pool.acquire().await.unwrap());
    ostler.shutdown_within(secs(5)).await.unwrap();

    assert_eq!(std::fs::read(foreign.join("file")).unwrap(), b"precious");
    assert!(bystander.try_wait().unwrap().is_none(), "a process of somebody else's was killed");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}
