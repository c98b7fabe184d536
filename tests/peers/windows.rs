//! Restart windows that are none: kameo gives up at the fourth crash though no window held more than two, Pekko
//! lets 2N−1 through where two of its windows meet.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use ostler::backend::fake::{Act, Fake, Point};
use ostler::model::{RestartSpec, RuntimeId};
use ostler::{Pool, PoolSpec};
use tokio::time::{Instant, sleep};

use super::support::sim::{simulate, start};
use super::{ms, secs};

const INTENSITY: u32 = 3;

fn spec() -> PoolSpec {
    let restart =
        RestartSpec { intensity: INTENSITY, window: secs(1), backoff: ms(1), ..RestartSpec::default() };
    PoolSpec { min: 1, max: 1, restart, ..PoolSpec::default() }
}

/// When launches began.
type Launches = Arc<Mutex<Vec<Instant>>>;

fn watched() -> (Fake, Launches) {
    let launches = Launches::default();
    let seen = Arc::clone(&launches);
    let fake = Fake::scripted(move |point| {
        if point == Point::Launch {
            seen.lock().unwrap().push(Instant::now());
        }
        Act::Work
    });
    (fake, launches)
}

async fn kill_the_one(pool: &Pool, fake: &Fake) {
    let snapshot = pool.snapshot().await.unwrap();
    let alive: Vec<RuntimeId> = snapshot.runtimes.iter().map(|runtime| runtime.id).collect();
    for id in alive {
        fake.kill(id);
    }
}

#[test]
fn kameo_crashes_that_no_window_holds_too_many_of_are_all_made_good() {
    simulate(async {
        let (fake, launches) = watched();
        let (ostler, pool) = start(spec(), fake.clone(), 1).await;
        for _ in 0..20 {
            pool.ready(secs(1)).await.unwrap();
            sleep(ms(600)).await;
            kill_the_one(&pool, &fake).await;
            sleep(ms(20)).await;
            assert!(!pool.status().degraded, "two crashes a second are allowed: {}", pool.status());
        }
        pool.ready(secs(1)).await.unwrap();
        assert_eq!(launches.lock().unwrap().len(), 21);
        ostler.shutdown().await.unwrap();
    });
}

#[test]
fn pekko_no_window_wherever_it_begins_holds_more_than_it_may() {
    simulate(async {
        let (fake, launches) = watched();
        let (ostler, pool) = start(spec(), fake.clone(), 2).await;
        pool.ready(secs(1)).await.unwrap();
        sleep(ms(900)).await;
        let end = Instant::now() + secs(10);
        while Instant::now() < end {
            kill_the_one(&pool, &fake).await;
            sleep(ms(5)).await;
        }
        // The first was no restart.
        let restarts: Vec<_> = launches.lock().unwrap().iter().skip(1).copied().collect();
        let mut window: VecDeque<Instant> = VecDeque::new();
        for at in &restarts {
            window.push_back(*at);
            while window.front().is_some_and(|first| *at - *first >= secs(1)) {
                window.pop_front();
            }
            assert!(window.len() <= INTENSITY as usize, "{} restarts within a second", window.len());
        }
        assert!(restarts.len() >= 10, "only {} restarts in ten seconds", restarts.len());
        ostler.shutdown().await.unwrap();
    });
}
