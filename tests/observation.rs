//! What is told of a pool, to whom, and that all of it is counted whether or not anybody listens.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod support;

use std::time::Duration;

use ostler::backend::fake::Fake;
use ostler::model::{BackendSpec, FakeSpec};
use ostler::{Change, Ostler, Pool, PoolSpec};
use support::sim::{config, simulate, start};
use tokio::time::sleep;

/// More than are told of at once when nobody listens.
const LEASES: u64 = 150;

async fn one() -> (Ostler, Pool) {
    let spec = PoolSpec { min: 1, max: 1, max_uses: None, ..PoolSpec::default() };
    start(spec, Fake::new(&FakeSpec::default()), 1).await
}

async fn lease(pool: &Pool, times: u64) {
    for _ in 0..times {
        drop(pool.acquire().await.unwrap());
    }
    // For the last to come home, and the tick after that.
    sleep(Duration::from_secs(1)).await;
}

#[test]
fn resets_are_counted_though_nobody_listens() {
    simulate(async {
        let (ostler, pool) = one().await;
        lease(&pool, LEASES).await;
        let metrics = ostler.metrics();
        let count = format!("ostler_reset_seconds_count{{pool=\"sim\"}} {LEASES}");
        assert!(metrics.contains(&count), "{count} is not in\n{metrics}");
        ostler.shutdown().await.unwrap();
    });
}

#[test]
fn who_listens_hears_all_that_happens_from_then_on_and_nothing_older() {
    simulate(async {
        let (ostler, pool) = one().await;
        lease(&pool, 3).await;
        // Nobody has been told of these when the first comes to listen.
        drop(pool.acquire().await.unwrap());
        let lease_that_is_out = pool.acquire().await.unwrap();
        let mut events = ostler.events(1000);
        drop(lease_that_is_out);
        lease(&pool, LEASES).await;
        ostler.shutdown().await.unwrap();
        let mut resets = 0;
        while let Some(event) = events.next().await {
            resets += u64::from(matches!(event.change, Change::Reset { .. }));
        }
        assert_eq!(resets, 1 + LEASES);
    });
}

#[test]
fn who_listens_before_the_start_hears_the_first_launch() {
    simulate(async {
        let spec = PoolSpec {
            backend: BackendSpec::Fake(FakeSpec::default()),
            min: 2,
            max: 2,
            ..PoolSpec::default()
        };
        let mut builder = Ostler::builder(config(spec)).on_this_thread();
        let mut events = builder.events(usize::MAX);
        let for_a_thread = builder.blocking_events(usize::MAX);
        let ostler = builder.start().await.unwrap();
        ostler.pool("sim").unwrap().ready(Duration::from_secs(5)).await.unwrap();
        ostler.shutdown().await.unwrap();
        let mut all = Vec::new();
        while let Some(event) = events.next().await {
            all.push(event.change.to_string());
        }
        assert_eq!(all[..2], ["r1 launching", "r2 launching"], "{all:#?}");
        assert_eq!(std::iter::from_fn(|| for_a_thread.next(Duration::ZERO)).count(), all.len());
    });
}
