//! P3: no double lease. At most one live lease per runtime, epochs only grow, and what an ended lease still
//! tries is refused.

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ostler::backend::fake::Fake;
use ostler::guest::{Session, WireError};
use ostler::model::{BackendSpec, FakeSpec, ResetPolicy};
use ostler::{Config, ErrorKind, Exec, Ostler, PoolSpec};
use support::sim::{simulate, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_holder_at_a_time_and_epochs_only_grow() {
    for reset in [ResetPolicy::None, ResetPolicy::Wipe] {
        let fake = BackendSpec::Fake(FakeSpec::default());
        let spec =
            PoolSpec { backend: fake, min: 3, max: 3, max_uses: Some(100), reset, ..PoolSpec::default() };
        let config = Config::builder().state_dir(std::env::temp_dir()).pool("sim", spec).build();
        let ostler = Ostler::start(config.expect("good")).await.expect("starts");
        let pool = ostler.pool("sim").expect("the pool");
        // Per runtime: the holder's mark, and the last epoch seen.
        let holders: Arc<Vec<(AtomicU64, AtomicU64)>> =
            Arc::new((0..4096).map(|_| (AtomicU64::new(0), AtomicU64::new(0))).collect());
        let tasks: Vec<_> = (1..=8_u64)
            .map(|me| {
                let (pool, holders) = (pool.clone(), Arc::clone(&holders));
                tokio::spawn(async move {
                    for turn in 0..2_000 {
                        let lease = pool.acquire().await.expect("a lease");
                        let id = usize::try_from(lease.runtime().0).expect("small");
                        let (holder, epoch) = &holders[id];
                        assert_eq!(holder.swap(me, Ordering::SeqCst), 0, "somebody else has {id}");
                        let before = epoch.swap(lease.epoch().0, Ordering::SeqCst);
                        assert!(before < lease.epoch().0, "epoch {before} again");
                        if turn % 3 == 0 {
                            tokio::task::yield_now().await;
                        }
                        assert_eq!(holder.swap(0, Ordering::SeqCst), me);
                        drop(lease);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no assertion failed");
        }
        ostler.shutdown().await.expect("ends");
    }
}

#[test]
fn what_outlives_its_lease_is_refused() {
    simulate(async {
        let spec = PoolSpec { min: 1, max: 1, ..PoolSpec::default() };
        let (ostler, pool) = start(spec, Fake::new(&FakeSpec::default()), 3).await;
        let lease = pool.acquire().await.expect("a lease");
        let mut stream = lease.exec_stream(Exec::new("sleep").arg("1000").stdin_piped()).expect("starts");
        let epoch = lease.epoch();
        drop(lease);
        let lease = pool.acquire().await.expect("the next lease");
        assert!(lease.epoch() > epoch);
        assert!(lease.exec(Exec::new("true")).await.expect("runs").success());
        assert!(matches!(stream.write(b"late").await, Err(WireError::Ended)), "the old stream still writes");
        drop(lease);
        ostler.shutdown().await.expect("ends");
    });
}

#[test]
fn the_guest_itself_refuses_an_epoch_that_has_ended() {
    use ostler::backend::{Backend, Launch};
    use ostler::model::{Epoch, PoolName, RuntimeId};
    simulate(async {
        let fake = Fake::new(&FakeSpec::default());
        let launch = Launch { pool: PoolName::new("sim"), runtime: RuntimeId(1) };
        let launched = fake.launch(launch).await.expect("launches");
        let control = Session::new(launched.control, Epoch(1), Arc::default());
        // A second host that believes the first lease is still its own.
        launched.data.begin(Epoch(1));
        let stale = Session::new(launched.data, Epoch(1), Arc::default());
        stale.write("a", b"1").await.expect("still its lease");
        control.reset(Epoch(1), Duration::from_secs(1)).await.expect("resets");
        let error = stale.write("a", b"2").await.expect_err("its lease has ended");
        assert_eq!(error.refusal(), Some(ostler::guest::RefusalKind::Stale));
    });
}

#[test]
fn an_operation_after_the_runtime_was_lost_says_so_and_the_runtime_is_not_used_again() {
    simulate(async {
        let fake = Fake::new(&FakeSpec::default());
        let spec = PoolSpec { min: 1, max: 2, ..PoolSpec::default() };
        let (ostler, pool) = start(spec, fake.clone(), 4).await;
        let lease = pool.acquire().await.expect("a lease");
        let lost = lease.runtime();
        assert!(fake.kill(lost));
        let error = lease.exec(Exec::new("true")).await.expect_err("it is gone");
        assert!(matches!(error.kind(), ErrorKind::Lost(_)), "{error:?}");
        assert!(error.is_retryable());
        assert_eq!(error.runtime(), Some(lost));
        drop(lease);
        let mut seen: HashMap<_, u32> = HashMap::new();
        for _ in 0..20 {
            let lease = pool.acquire().await.expect("a lease");
            *seen.entry(lease.runtime()).or_default() += 1;
        }
        assert!(!seen.contains_key(&lost), "a dead runtime was handed out");
        ostler.shutdown().await.expect("ends");
    });
}
