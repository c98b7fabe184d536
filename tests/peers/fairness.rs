//! bb8: a waiter is never served while a holder takes again at once (two seconds, 1.53 million turns).

use ostler::backend::fake::Fake;
use ostler::model::{FakeSpec, ResetPolicy};
use ostler::{Exec, PoolSpec};

use super::support::sim::{simulate, start};

#[test]
fn bb8_a_holder_that_takes_again_at_once_waits_its_turn() {
    simulate(async {
        let spec = PoolSpec { min: 1, max: 1, reset: ResetPolicy::None, ..PoolSpec::default() };
        let (ostler, pool) = start(spec, Fake::new(&FakeSpec::default()), 1).await;
        let mut lease = pool.acquire().await.unwrap();
        let waiter = tokio::task::spawn_local({
            let pool = pool.clone();
            async move { pool.acquire().await.map(drop) }
        });
        // Until it stands in line.
        tokio::task::yield_now().await;
        assert_eq!(pool.status().waiters, 1);
        let mut turns = 0;
        while !waiter.is_finished() {
            assert!(lease.exec(Exec::new("true")).await.unwrap().success());
            drop(lease);
            lease = pool.acquire().await.unwrap();
            turns += 1;
            assert!(turns <= 1, "{turns} turns while another waited");
        }
        waiter.await.unwrap().unwrap();
        drop(lease);
        ostler.shutdown().await.unwrap();
    });
}
