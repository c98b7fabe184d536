//! P4, through the whole pool: strict order among those who wait; a holder that comes back at once stands in
//! line like everybody else. In bb8 such a holder took 1.53 million turns in two seconds while one waited.

mod support;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use ostler::PoolSpec;
use ostler::backend::fake::Fake;
use ostler::model::{BackendSpec, FakeSpec, ResetPolicy};
use ostler::{Config, Ostler};
use support::sim::{simulate, start};

fn spec(reset: ResetPolicy) -> PoolSpec {
    PoolSpec { min: 1, max: 1, reset, idle_timeout: None, ..PoolSpec::default() }
}

#[test]
fn waiters_are_served_in_the_order_they_came() {
    for reset in [ResetPolicy::None, ResetPolicy::Wipe] {
        simulate(async {
            let (ostler, pool) = start(spec(reset), Fake::new(&FakeSpec::default()), 1).await;
            let held = pool.acquire().await.expect("a lease");
            let served = Rc::new(RefCell::new(Vec::new()));
            let mut waiters = Vec::new();
            for turn in 0..200 {
                let (pool, served) = (pool.clone(), Rc::clone(&served));
                waiters.push(tokio::task::spawn_local(async move {
                    let lease = pool.acquire().await.expect("a lease");
                    served.borrow_mut().push(turn);
                    drop(lease);
                }));
                tokio::task::yield_now().await;
            }
            drop(held);
            for waiter in waiters {
                waiter.await.expect("no panic");
            }
            assert!(served.borrow().iter().copied().eq(0..200), "{:?}", served.borrow());
            ostler.shutdown().await.expect("ends");
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_comes_back_at_once_starves_nobody() {
    let spec = PoolSpec { backend: BackendSpec::Fake(FakeSpec::default()), ..spec(ResetPolicy::None) };
    let config = Config::builder().state_dir(std::env::temp_dir()).pool("sim", spec).build();
    let ostler = Ostler::start(config.expect("good")).await.expect("starts");
    let pool = ostler.pool("sim").expect("the pool");
    pool.ready(Duration::from_secs(10)).await.expect("fills");
    let greedy = tokio::spawn({
        let pool = pool.clone();
        async move {
            loop {
                let lease = pool.acquire().await.expect("a lease");
                tokio::task::yield_now().await;
                drop(lease);
            }
        }
    });
    let modest = async {
        for _ in 0..2_000 {
            drop(pool.acquire().await.expect("a lease"));
        }
    };
    tokio::time::timeout(Duration::from_secs(20), modest).await.expect("starved");
    greedy.abort();
    drop(greedy.await);
    ostler.shutdown().await.expect("ends");
}

#[test]
fn a_tight_loop_of_leases_lets_its_neighbours_run() {
    simulate(async {
        let (ostler, pool) = start(spec(ResetPolicy::None), Fake::new(&FakeSpec::default()), 1).await;
        pool.ready(Duration::from_secs(1)).await.expect("fills");
        let turns = Rc::new(Cell::new(0));
        let hog = tokio::task::spawn_local({
            let turns = Rc::clone(&turns);
            async move {
                while turns.replace(turns.get() + 1) < 100_000 {
                    drop(pool.acquire().await.expect("a lease"));
                }
            }
        });
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!((1..100_000).contains(&turns.get()), "it never yielded, or never began: {}", turns.get());
        hog.abort();
        drop(hog.await);
        ostler.shutdown().await.expect("ends");
    });
}
