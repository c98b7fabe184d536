//! `OpenHands` Cloud #737: exact matching of the environment silently made every claim cold.

use ostler::backend::fake::Fake;
use ostler::model::FakeSpec;
use ostler::{Exec, PoolSpec};

use super::support::sim::{simulate, start};
use super::{ms, secs};

/// A lease that asks for other variables gets a warm runtime, for they belong to its commands.
#[test]
fn openhands_another_environment_is_no_reason_to_be_cold() {
    simulate(async {
        let (ostler, pool) = start(PoolSpec::default(), Fake::new(&FakeSpec::default()), 1).await;
        pool.ready(secs(5)).await.unwrap();
        for turn in 0..10 {
            let lease = pool.acquire().await.unwrap();
            let exec = Exec::new("true").env("USER_ID", turn.to_string());
            assert!(lease.exec(exec).await.unwrap().success());
            drop(lease);
            tokio::time::sleep(ms(100)).await;
        }
        assert_eq!(pool.status().cold, 0);
        ostler.shutdown().await.unwrap();
    });
}

/// And what was cold is counted, with why.
#[test]
fn openhands_every_cold_lease_is_counted_and_explained() {
    simulate(async {
        let fake = Fake::new(&FakeSpec { launch: ms(50), reset: ms(20), ..FakeSpec::default() });
        let (ostler, pool) = start(PoolSpec { min: 0, max: 1, ..PoolSpec::default() }, fake, 2).await;
        let first = pool.acquire().await.unwrap();
        let waiter = tokio::task::spawn_local({
            let pool = pool.clone();
            async move { pool.acquire().await.map(drop) }
        });
        tokio::time::sleep(ms(10)).await;
        drop(first);
        waiter.await.unwrap().unwrap();
        let status = pool.status();
        assert_eq!((status.cold, status.cold_launch), (2, 1), "one waited for a launch, one for a release");
        let metrics = ostler.metrics();
        for line in [
            "ostler_acquire_cold_total{pool=\"sim\",why=\"launch\"} 1",
            "ostler_acquire_cold_total{pool=\"sim\",why=\"release\"} 1",
        ] {
            assert!(metrics.contains(line), "{line} is missing from\n{metrics}");
        }
        ostler.shutdown().await.unwrap();
    });
}
