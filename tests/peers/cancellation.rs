//! deadpool and mobc destroy healthy objects when acquires are cancelled at random: 343 and 204 made for 4 slots.

use ostler::PoolSpec;
use ostler::backend::fake::Fake;
use ostler::model::{FakeSpec, ResetPolicy};
use tokio::time::{sleep, timeout};

use super::support::sim::{simulate, start};
use super::{ms, secs};

#[test]
fn deadpool_mobc_cancelled_acquires_cost_no_runtime() {
    for reset in [ResetPolicy::None, ResetPolicy::Wipe] {
        simulate(async {
            let fake = Fake::new(&FakeSpec { reset: ms(3), ..FakeSpec::default() });
            let spec =
                PoolSpec { min: 4, max: 4, queue: 64, idle_timeout: None, reset, ..PoolSpec::default() };
            let (ostler, pool) = start(spec, fake.clone(), 1).await;
            pool.ready(secs(5)).await.unwrap();
            let tasks: Vec<_> = (0..16)
                .map(|seed| {
                    let pool = pool.clone();
                    let mut rng = fastrand::Rng::with_seed(seed);
                    tokio::task::spawn_local(async move {
                        for _ in 0..500 {
                            let hold = ms(rng.u64(0..5));
                            let work = async {
                                let lease = pool.acquire().await.unwrap();
                                sleep(hold).await;
                                drop(lease);
                            };
                            // Cut off anywhere: before its turn, with the runtime on its way, while it holds it.
                            let _cut_off = timeout(ms(rng.u64(0..20)), work).await;
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            sleep(secs(1)).await;
            assert_eq!((fake.census().launched, pool.status().ready), (4, 4), "{reset:?}: {}", pool.status());
            ostler.shutdown().await.unwrap();
        });
    }
}
