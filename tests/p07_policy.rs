//! P7: what is replaced after it has ended by itself. `always`: everything; `on_failure`: what did not end with status
//! 0; `never`: nothing, the pool shrinks and says so, with the cause. What ostler retires itself is replaced
//! whatever the policy.

mod support;

use std::time::Duration;

use ostler::backend::fake::{Act, Fake, Point};
use ostler::model::{FakeSpec, ResetPolicy, RestartPolicy, RestartSpec};
use ostler::{Change, ErrorKind, LeaseRequest, Pool, PoolSpec, RuntimeId, State};
use support::gated::Gates;
use support::sim::{simulate, start};

const ENDS: [End; 2] = [End::Ordinary, End::Killed];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Ordinary,
    Killed,
}

fn spec(policy: RestartPolicy) -> PoolSpec {
    let restart = RestartSpec { policy, ..RestartSpec::default() };
    PoolSpec { min: 2, max: 2, reset: ResetPolicy::None, restart, ..PoolSpec::default() }
}

fn alive(pool: &Pool) -> usize {
    pool.status().states.values().sum()
}

async fn settle() {
    tokio::time::sleep(Duration::from_secs(2)).await;
}

fn end(fake: &Fake, id: RuntimeId, how: End) {
    let ended = match how {
        End::Ordinary => fake.finish(id),
        End::Killed => fake.kill(id),
    };
    assert!(ended);
}

async fn first(pool: &Pool) -> RuntimeId {
    pool.snapshot().await.expect("answered").runtimes[0].id
}

#[test]
fn each_policy_replaces_what_it_says() {
    for policy in [RestartPolicy::Always, RestartPolicy::OnFailure, RestartPolicy::Never] {
        for how in ENDS {
            simulate(async {
                let fake = Fake::new(&FakeSpec::default());
                let (ostler, pool) = start(spec(policy), fake.clone(), 1).await;
                pool.ready(Duration::from_secs(1)).await.expect("fills");
                let mut events = ostler.events(100);
                end(&fake, first(&pool).await, how);
                settle().await;
                let replaced = match policy {
                    RestartPolicy::Always => true,
                    RestartPolicy::OnFailure => how == End::Killed,
                    RestartPolicy::Never => false,
                };
                let status = pool.status();
                assert_eq!(alive(&pool), 1 + usize::from(replaced), "{policy:?}, {how:?}: {status}");
                assert_eq!(status.degraded, !replaced, "{policy:?}, {how:?}: {status}");
                ostler.shutdown().await.expect("ends");
                let mut told = Vec::new();
                while let Some(event) = events.next().await {
                    if let Change::Degraded { cause } = event.change {
                        told.push(cause);
                    }
                }
                assert_eq!(told.is_empty(), replaced);
                let end = if how == End::Ordinary { "exit status 0" } else { "signal 9" };
                assert!(
                    told.iter().all(|cause| cause.contains("restart.policy") && cause.contains(end)),
                    "{told:?}"
                );
            });
        }
    }
}

#[test]
fn a_pool_of_which_nothing_is_left_says_why() {
    simulate(async {
        let fake = Fake::new(&FakeSpec::default());
        let (ostler, pool) = start(spec(RestartPolicy::Never), fake.clone(), 1).await;
        pool.ready(Duration::from_secs(1)).await.expect("fills");
        for left in [1, 0] {
            end(&fake, first(&pool).await, End::Killed);
            settle().await;
            assert_eq!(alive(&pool), left);
        }
        let request = LeaseRequest::new().timeout(Duration::from_secs(5));
        let error = pool.acquire_with(request).await.expect_err("there is none and will be none");
        let ErrorKind::TimedOut { trouble: Some(trouble), .. } = error.kind() else { panic!("{error:?}") };
        assert!(trouble.contains("2 not replaced") && trouble.contains("signal 9"), "{trouble}");
        assert!(pool.status().to_string().contains("DEGRADED"));
        let metrics = ostler.metrics();
        assert!(metrics.contains("ostler_degraded{pool=\"sim\"} 1"), "{metrics}");
        assert!(metrics.contains("ostler_trouble{pool=\"sim\",cause=\"2 not replaced"), "{metrics}");

        // Somebody has looked after it.
        pool.resize(2, 2).await.expect("resized");
        pool.ready(Duration::from_secs(5)).await.expect("begins anew");
        assert!(!pool.status().degraded);
        assert_eq!(pool.status().trouble, None);
        ostler.shutdown().await.expect("ends");
    });
}

#[test]
fn a_pool_that_may_not_replace_what_keeps_ending_says_why() {
    simulate(async {
        let fake = Fake::new(&FakeSpec::default());
        let restart = RestartSpec { intensity: 3, window: Duration::from_mins(1), ..RestartSpec::default() };
        let (ostler, pool) =
            start(PoolSpec { restart, ..spec(RestartPolicy::Always) }, fake.clone(), 1).await;
        let mut events = ostler.events(1000);
        pool.ready(Duration::from_secs(1)).await.expect("fills");
        for _ in 0..3 {
            end(&fake, first(&pool).await, End::Killed);
            settle().await;
        }
        assert!(!pool.status().degraded, "{}", pool.status());
        end(&fake, first(&pool).await, End::Killed);
        settle().await;
        let words = ["restart.intensity: no more than 3 launches caused by failure within 60s", "signal 9"];
        let status = pool.status();
        let trouble = status.trouble.clone().expect("a cause");
        assert!(status.degraded && words.iter().all(|word| trouble.contains(word)), "{status}");
        let metrics = ostler.metrics();
        assert!(metrics.contains("ostler_degraded{pool=\"sim\"} 1"), "{metrics}");
        assert!(metrics.contains("ostler_trouble{pool=\"sim\",cause=\"restart.intensity: "), "{metrics}");
        // The oldest leaves the window.
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert!(!pool.status().degraded && pool.status().trouble.is_none(), "{}", pool.status());
        ostler.shutdown().await.expect("ends");
        let mut told = Vec::new();
        while let Some(event) = events.next().await {
            match event.change {
                Change::Degraded { cause } => told.push(cause),
                Change::Healed => told.push("healed".to_owned()),
                _ => {}
            }
        }
        assert_eq!(told, [trouble, "healed".to_owned()]);
    });
}

#[test]
fn a_launch_that_fails_is_not_tried_again_when_nothing_is_replaced() {
    simulate(async {
        let gates = Gates::default();
        gates.set(Point::Launch, Act::Fail);
        let fake = Fake::scripted(gates.clone());
        let (ostler, pool) = start(spec(RestartPolicy::Never), fake, 1).await;
        tokio::time::sleep(Duration::from_mins(10)).await;
        let status = pool.status();
        assert_eq!((status.launched, alive(&pool)), (2, 0), "{status}");
        assert!(
            status.degraded && status.trouble.is_some_and(|trouble| trouble.contains("the script says so"))
        );
        ostler.shutdown().await.expect("ends");
    });
}

#[test]
fn what_ostler_retires_itself_is_replaced_whatever_the_policy() {
    simulate(async {
        let fake = Fake::new(&FakeSpec::default());
        let spec = PoolSpec {
            max_uses: Some(1),
            max_lifetime: Some(Duration::from_mins(1)),
            max_lease: Some(Duration::from_secs(5)),
            ..spec(RestartPolicy::Never)
        };
        let (ostler, pool) = start(spec, fake.clone(), 1).await;
        pool.ready(Duration::from_secs(1)).await.expect("fills");
        // Used up, discarded, expired, and in the end too old.
        drop(pool.acquire().await.expect("a lease"));
        pool.acquire().await.expect("a lease").discard();
        let kept = pool.acquire().await.expect("a lease");
        tokio::time::sleep(Duration::from_mins(5)).await;
        drop(kept);
        drop(pool.acquire().await.expect("a lease"));
        settle().await;
        let status = pool.status();
        assert_eq!(status.states[&State::Circulating], 2, "{status}");
        assert!(!status.degraded && status.retired.len() >= 4, "{status}");
        ostler.shutdown().await.expect("ends");
    });
}
