//! Panics of others: in what makes runtimes, and in who holds one.

use ostler::backend::fake::{Act, Fake, Point};
use ostler::model::{FakeSpec, ResetPolicy};
use ostler::{LeaseRequest, PoolSpec, Reason};
use tokio::time::sleep;

use super::secs;
use super::support::gated::Gates;
use super::support::sim::{simulate, start};

/// bb8's pool is dead after its `create` has panicked once.
#[test]
fn bb8_a_pool_lives_on_after_a_launch_that_panics() {
    simulate(async {
        let gates = Gates::default();
        gates.set(Point::Launch, Act::Panic);
        let spec = PoolSpec { min: 2, max: 2, acquire_timeout: secs(5), ..PoolSpec::default() };
        let (ostler, pool) = start(spec, Fake::scripted(gates.clone()), 1).await;
        assert!(pool.acquire().await.is_err(), "nothing launches");
        gates.set(Point::Launch, Act::Work);
        let patient = || LeaseRequest::new().timeout(secs(120));
        let both = (pool.acquire_with(patient()).await.unwrap(), pool.acquire_with(patient()).await.unwrap());
        drop(both);
        ostler.shutdown().await.unwrap();
    });
}

/// bb8, deadpool, mobc and r2d2 hand out again what its last holder left while panicking.
#[test]
fn bb8_deadpool_mobc_r2d2_what_a_panicking_holder_leaves_is_not_used_again() {
    simulate(async {
        let spec = PoolSpec { min: 1, max: 1, reset: ResetPolicy::None, ..PoolSpec::default() };
        let (ostler, pool) = start(spec, Fake::new(&FakeSpec::default()), 2).await;
        for round in 1..=3 {
            let lease = pool.acquire().await.unwrap();
            let left = lease.runtime();
            let holder = tokio::task::spawn_local(async move {
                let _held = lease;
                panic!("the holder panics");
            });
            assert!(holder.await.unwrap_err().is_panic());
            let next = pool.acquire().await.unwrap();
            assert_ne!(next.runtime(), left);
            drop(next);
            sleep(secs(1)).await;
            assert_eq!(pool.status().retired[&Reason::Quarantined], round);
        }
        ostler.shutdown().await.unwrap();
    });
}
