//! What is dead, or never came to life, is handed out.

use ostler::backend::fake::Fake;
use ostler::model::FakeSpec;
use ostler::{Exec, PoolSpec, Reason};
use tokio::time::sleep;

use super::support::sim::{simulate, start};
use super::{ms, sandboxes, secs};

/// deer-flow #3474: a container that has died stays in the pool and is handed out for ever.
#[test]
fn deer_flow_a_dead_runtime_is_handed_out_no_more() {
    simulate(async {
        let fake = Fake::new(&FakeSpec::default());
        let (ostler, pool) = start(PoolSpec { min: 2, max: 2, ..PoolSpec::default() }, fake.clone(), 1).await;
        pool.ready(secs(5)).await.unwrap();
        for round in 0..5 {
            let dead = pool.snapshot().await.unwrap().runtimes[0].id;
            assert!(fake.kill(dead));
            sleep(ms(50)).await;
            for _ in 0..4 {
                let lease = pool.acquire().await.unwrap();
                assert_ne!(lease.runtime(), dead);
                assert!(lease.exec(Exec::new("true")).await.unwrap().success());
            }
            assert_eq!(pool.status().retired[&Reason::Exited], round + 1);
            // So that the window for restarts never fills.
            sleep(secs(60)).await;
        }
        ostler.shutdown().await.unwrap();
    });
}

/// The same, killed at the very moment it is leased: the holder hears that it may try again, and the next lease works.
#[tokio::test]
async fn deer_flow_a_runtime_that_dies_under_its_lease_is_replaced() {
    let (ostler, pool, _state) =
        sandboxes("deer-flow", PoolSpec { min: 1, max: 1, ..PoolSpec::default() }).await;
    let lease = pool.acquire().await.unwrap();
    let dead = lease.runtime();
    let pid: i32 = lease.handle().strip_prefix("pid ").unwrap().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let error = lease.exec(Exec::shell("sleep 60")).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    drop(lease);
    let lease = pool.acquire().await.unwrap();
    assert_ne!(lease.runtime(), dead);
    assert!(lease.exec(Exec::new("true")).await.unwrap().success());
    drop(lease);
    ostler.shutdown().await.unwrap();
}

/// `OpenWhisk` #1098: a container whose warming has failed enters the pool all the same.
#[tokio::test]
async fn openwhisk_what_fails_to_warm_up_is_never_leased() {
    let warm_up = ["sh", "-c", "echo broken image >&2; exit 3"].map(str::to_owned).to_vec();
    let spec = PoolSpec { min: 1, max: 1, warm_up, acquire_timeout: secs(2), ..PoolSpec::default() };
    let state = tempfile::tempdir().unwrap();
    let config = ostler::Config::builder().instance("openwhisk").state_dir(state.path()).pool("real", spec);
    let ostler = ostler::Ostler::start(config.build().unwrap()).await.unwrap();
    let pool = ostler.pool("real").unwrap();
    let error = pool.acquire().await.unwrap_err().to_string();
    assert!(error.contains("status 3") && error.contains("broken image"), "{error}");
    assert_eq!(pool.status().ready, 0);
    assert!(pool.status().retired[&Reason::LaunchFailed] >= 1);
    ostler.shutdown().await.unwrap();
}
