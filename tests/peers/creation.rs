//! Too much is made: for bursts, for refills, and again and again for what cannot be made.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ostler::backend::fake::{Act, Fake, Point};
use ostler::model::FakeSpec;
use ostler::{PoolSpec, State};
use tokio::time::{Instant, sleep};

use super::support::sim::{simulate, start};
use super::{ms, secs};

/// Fission makes more pods than requests when these come in a burst.
#[test]
fn fission_a_burst_makes_no_more_than_it_asks_for() {
    simulate(async {
        let fake = Fake::new(&FakeSpec { launch: ms(200), ..FakeSpec::default() });
        let spec = PoolSpec { min: 2, max: 100, launch_parallelism: 16, ..PoolSpec::default() };
        let (ostler, pool) = start(spec, fake.clone(), 1).await;
        pool.ready(secs(5)).await.unwrap();
        let burst: Vec<_> = (0..12)
            .map(|_| {
                let pool = pool.clone();
                tokio::task::spawn_local(async move {
                    let lease = pool.acquire().await.unwrap();
                    sleep(secs(5)).await;
                    drop(lease);
                })
            })
            .collect();
        for task in burst {
            task.await.unwrap();
        }
        let made = fake.census().launched;
        assert!((12..=14).contains(&made), "{made} made for twelve leases and two to be kept ready");
        ostler.shutdown().await.unwrap();
    });
}

/// agent-sandbox #1215: the refill after a loss comes as a herd.
#[test]
fn agent_sandbox_a_refill_makes_what_is_missing_a_few_at_a_time() {
    simulate(async {
        let fake = Fake::new(&FakeSpec { launch: ms(200), ..FakeSpec::default() });
        let spec = PoolSpec { min: 12, max: 24, launch_parallelism: 3, ..PoolSpec::default() };
        let (ostler, pool) = start(spec, fake.clone(), 2).await;
        pool.ready(secs(10)).await.unwrap();
        // As many as one restart window lets be made good at once.
        for runtime in pool.snapshot().await.unwrap().runtimes.iter().take(8) {
            assert!(fake.kill(runtime.id));
        }
        let end = Instant::now() + secs(30);
        let mut most = 0;
        while Instant::now() < end {
            let states = pool.status().states;
            let arriving = [State::Launching, State::Booting, State::Warming];
            most = most.max(arriving.iter().map(|state| states[state]).sum());
            sleep(ms(10)).await;
        }
        assert!((1..=3).contains(&most), "{most} launches at once");
        assert_eq!((fake.census().launched, pool.status().ready), (20, 12));
        ostler.shutdown().await.unwrap();
    });
}

/// Daytona #3288: what cannot be made is tried again without a pause.
#[test]
fn daytona_what_cannot_be_made_is_tried_again_after_pauses_that_grow() {
    simulate(async {
        let tried = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&tried);
        let fake = Fake::scripted(move |point| {
            if point == Point::Launch {
                counter.fetch_add(1, Ordering::Relaxed);
                return Act::Fail;
            }
            Act::Work
        });
        let (ostler, pool) = start(PoolSpec { min: 4, ..PoolSpec::default() }, fake, 3).await;
        sleep(secs(600)).await;
        let tried = tried.load(Ordering::Relaxed);
        // Pauses of 0.2 s doubling to 30 s, each cut by up to half: 20 to 60 in ten minutes.
        assert!((20..=60).contains(&tried), "{tried} tries in ten minutes");
        assert!(pool.status().degraded);
        ostler.shutdown().await.unwrap();
    });
}
