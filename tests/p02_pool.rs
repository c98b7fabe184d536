//! P2: no runtime is lost. Every slot is in exactly one state after any history of cancelled acquires, and
//! none is made that was not needed (deadpool made 343 objects for 4 slots, mobc 204).

mod support;

use std::future::Future;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ostler::backend::fake::Fake;
use ostler::model::{FakeSpec, ResetPolicy};
use ostler::{Lease, PoolSpec, State};
use support::sim::{simulate, start};

const SLOTS: usize = 4;
const CANCELS: usize = 1_000_000;

fn spec() -> PoolSpec {
    PoolSpec {
        min: SLOTS,
        max: SLOTS,
        queue: 64,
        reset: ResetPolicy::None,
        idle_timeout: None,
        ..PoolSpec::default()
    }
}

#[test]
fn a_million_cancelled_acquires_lose_nothing_and_make_nothing() {
    simulate(async {
        let fake = Fake::new(&FakeSpec::default());
        let (ostler, pool) = start(spec(), fake.clone(), 1).await;
        pool.ready(Duration::from_secs(1)).await.expect("fills");
        let mut rng = fastrand::Rng::with_seed(7);
        let mut held: Vec<Lease> = Vec::new();
        let mut waiting = Vec::new();
        let mut cancelled = 0;
        let mut context = Context::from_waker(Waker::noop());
        while cancelled < CANCELS {
            match rng.u8(..8) {
                0..4 => {
                    let pool = pool.clone();
                    let mut acquire = Box::pin(async move { pool.acquire().await });
                    // Some are dropped before their first poll, some after it, some while they wait.
                    if rng.bool() {
                        match acquire.as_mut().poll(&mut context) {
                            Poll::Ready(lease) => held.push(lease.expect("a lease")),
                            Poll::Pending if waiting.len() < 32 => waiting.push(acquire),
                            Poll::Pending => cancelled += 1,
                        }
                    } else {
                        cancelled += 1;
                    }
                }
                4 if !waiting.is_empty() => {
                    // Possibly with the runtime already inside.
                    drop(waiting.swap_remove(rng.usize(..waiting.len())));
                    cancelled += 1;
                }
                5 if !held.is_empty() => drop(held.swap_remove(rng.usize(..held.len()))),
                6 if !waiting.is_empty() => {
                    let place = rng.usize(..waiting.len());
                    if let Poll::Ready(lease) = waiting[place].as_mut().poll(&mut context) {
                        drop(waiting.swap_remove(place));
                        held.push(lease.expect("a lease"));
                    }
                }
                7 if cancelled % 1024 == 0 => tokio::task::yield_now().await,
                _ => {}
            }
            assert!(held.len() <= SLOTS, "more leases than runtimes");
        }
        held.clear();
        waiting.clear();
        let all: Vec<_> =
            (0..SLOTS).map(|_| pool.try_acquire().expect("every runtime is leasable")).collect();
        assert!(pool.try_acquire().is_none(), "there is one more than there should be");
        drop(all);
        let status = pool.status();
        assert_eq!(status.waiters, 0);
        assert_eq!(status.states[&State::Circulating], SLOTS);
        assert_eq!(status.launched, SLOTS as u64, "creates = target");
        ostler.shutdown().await.expect("ends");
        assert_eq!(fake.census().launched, SLOTS as u64);
        assert_eq!(fake.census().alive, 0);
    });
}

#[test]
fn faults_and_cancels_together_leave_the_pool_whole() {
    for seed in 0..50 {
        simulate(async {
            let faults = FakeSpec {
                seed,
                launch: Duration::from_millis(20),
                reset: Duration::from_millis(5),
                launch_failures: 0.1,
                reset_failures: 0.1,
                hangs: 0.02,
                exits: 0.02,
            };
            let fake = Fake::new(&faults);
            let spec = PoolSpec { max_uses: Some(5), reset: ResetPolicy::Wipe, ..spec() };
            let (ostler, pool) = start(spec, fake.clone(), seed).await;
            let mut rng = fastrand::Rng::with_seed(seed);
            for _ in 0..200 {
                let acquire = pool.acquire();
                let patience = Duration::from_millis(rng.u64(0..60));
                if let Ok(Ok(lease)) = tokio::time::timeout(patience, acquire).await {
                    tokio::time::sleep(Duration::from_millis(rng.u64(0..10))).await;
                    if rng.u8(..10) == 0 {
                        lease.discard();
                    }
                }
                let status = pool.status();
                let total: usize = status.states.values().sum();
                assert!(total <= SLOTS, "seed {seed}: {total} runtimes for {SLOTS} slots");
            }
            // Launches may be held up by the restart window for a minute at most; then all must be back.
            let whole = async {
                loop {
                    let leases: Vec<_> = (0..SLOTS).filter_map(|_| pool.try_acquire()).collect();
                    if leases.len() == SLOTS {
                        return;
                    }
                    drop(leases);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            let whole = tokio::time::timeout(Duration::from_mins(10), whole).await;
            assert!(whole.is_ok(), "seed {seed}: not whole again: {}", pool.status());
            ostler.shutdown().await.expect("ends");
            assert_eq!(fake.census().alive, 0, "seed {seed}");
        });
    }
}
