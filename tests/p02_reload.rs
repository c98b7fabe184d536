//! P2, P13: pools that come and go by reload: no lease is lost to a namesake, nothing is left out at the end.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ostler::backend::fake::Fake;
use ostler::backend::{Backend, BackendError, BoxFuture, Launch, Launched};
use ostler::model::{BackendSpec, FakeSpec};
use ostler::{Builder, Config, ErrorKind, Lease, Ostler, PoolSpec};
use support::sim::simulate;
use tokio::time::{Instant, sleep};

fn spec(max: usize) -> PoolSpec {
    PoolSpec { backend: BackendSpec::Fake(FakeSpec::default()), min: 1, max, ..PoolSpec::default() }
}

fn config(pools: &[(&str, PoolSpec)]) -> Config {
    let builder = Config::builder().instance("reload").state_dir(std::env::temp_dir());
    pools.iter().fold(builder, |builder, (name, spec)| builder.pool(name, spec.clone())).build().unwrap()
}

async fn start(config: Config) -> Ostler {
    builder(config).start().await.unwrap()
}

fn builder(config: Config) -> Builder {
    Ostler::builder(config).on_this_thread().seed(1)
}

async fn hold(ostler: &Ostler, pool: &str) -> Lease {
    let lease = ostler.pool(pool).unwrap().acquire().await.unwrap();
    lease.write("mine", lease.runtime().to_string()).await.unwrap();
    lease
}

async fn is_whole(lease: &Lease) -> bool {
    lease.read("mine").await.is_ok_and(|mine| mine == lease.runtime().to_string().as_bytes())
}

#[test]
fn a_pool_comes_back_only_when_its_namesake_has_gone() {
    simulate(async {
        let both = config(&[("a", spec(2)), ("b", spec(2))]);
        let mut ostler = start(both.clone()).await;
        let lease = hold(&ostler, "b").await;
        let gone = ostler.reload(config(&[("a", spec(2))])).await.unwrap();
        assert_eq!(gone.removed.len(), 1);

        let larger = config(&[("a", spec(4)), ("b", spec(2))]);
        let refused = ostler.reload(larger.clone()).await.unwrap_err();
        assert!(matches!(refused.kind(), ErrorKind::Draining { left: 1 }), "{refused:?}");
        assert!(refused.is_retryable() && refused.to_string().contains("in pool b: "), "{refused}");
        assert!(is_whole(&lease).await, "the lease was lost to the namesake");
        assert_eq!(ostler.pool("a").unwrap().status().max, 2, "nothing else has changed either");
        assert!(ostler.pool("b").is_err());

        drop(lease);
        let back = ostler.reload(larger).await.unwrap();
        assert_eq!((back.added.len(), back.adjusted.len()), (1, 1));
        let lease = hold(&ostler, "b").await;
        sleep(Duration::from_secs(5)).await;
        assert!(is_whole(&lease).await);
        drop(lease);
        ostler.shutdown().await.unwrap();
    });
}

#[test]
fn what_a_failed_reload_has_started_is_not_started_twice() {
    simulate(async {
        let mut ostler = start(config(&[("a", spec(1))])).await;
        // Only an application brings what makes its runtimes.
        let unmade = PoolSpec { backend: BackendSpec::Custom, ..spec(1) };
        let half = config(&[("a", spec(1)), ("b", spec(2)), ("c", unmade)]);
        ostler.reload(half).await.unwrap_err();
        let lease = hold(&ostler, "b").await;
        let again = ostler.reload(config(&[("a", spec(1)), ("b", spec(2))])).await.unwrap();
        assert_eq!(again, ostler::Reloaded::default(), "it was there already");
        assert!(is_whole(&lease).await, "the lease was lost");
        drop(lease);
        ostler.shutdown().await.unwrap();
    });
}

#[test]
fn a_shutdown_has_patience_with_pools_that_are_leaving_too() {
    simulate(async {
        let mut ostler = start(config(&[("a", spec(1)), ("b", spec(1))])).await;
        let lease = hold(&ostler, "b").await;
        ostler.reload(config(&[("a", spec(1))])).await.unwrap();
        let started = Instant::now();
        let ending = tokio::task::spawn_local(ostler.shutdown_within(Duration::from_secs(30)));
        sleep(Duration::from_secs(10)).await;
        assert!(is_whole(&lease).await, "the grace is not over");
        drop(lease);
        ending.await.unwrap().unwrap();
        assert!(started.elapsed() < Duration::from_secs(12), "{:?}", started.elapsed());
    });
}

#[test]
fn a_reload_under_another_name_is_refused_and_one_without_a_name_is_not() {
    simulate(async {
        let ours = config(&[("a", spec(2))]);
        let mut ostler = start(ours.clone()).await;
        let like = |name: Option<&str>, state_dir: &str| {
            let builder = Config::builder().state_dir(state_dir).pool("a", spec(3));
            name.map_or(builder.clone(), |name| builder.instance(name)).build().unwrap()
        };
        let home = std::env::temp_dir().display().to_string();
        for (other, wrong) in
            [(like(Some("other"), &home), "instance"), (like(Some("reload"), "/"), "state_dir")]
        {
            let refused = ostler.reload(other).await.unwrap_err();
            assert!(matches!(refused.kind(), ErrorKind::Fixed { key } if *key == wrong), "{refused:?}");
            assert_eq!(refused.to_string(), format!("reload: `{wrong}` can't change while it runs"));
            assert_eq!(ostler.pool("a").unwrap().status().max, 2, "nothing has changed");
        }
        for fine in [like(None, &home), like(Some("reload"), &home)] {
            ostler.reload(fine).await.unwrap();
            assert_eq!(ostler.pool("a").unwrap().status().max, 3);
            ostler.reload(ours.clone()).await.unwrap();
        }
        ostler.shutdown().await.unwrap();
    });
}

/// Counts what it is asked.
#[derive(Clone, Debug)]
struct Own {
    fake: Fake,
    launches: Arc<AtomicU32>,
    sweeps: Arc<AtomicU32>,
    closes: Arc<AtomicU32>,
    sweep_fails: bool,
}

impl Own {
    fn new() -> Self {
        let fake = Fake::new(&FakeSpec::default());
        let (launches, sweeps, closes) = Default::default();
        Self { fake, launches, sweeps, closes, sweep_fails: false }
    }

    /// With this one behind the pool `a`.
    async fn start(&self, config: Config) -> Ostler {
        builder(config).backend("a", Arc::new(self.clone())).start().await.unwrap()
    }

    fn asked(&self) -> [u32; 3] {
        [&self.launches, &self.sweeps, &self.closes].map(|count| count.load(Ordering::Relaxed))
    }
}

impl Backend for Own {
    fn name(&self) -> &'static str {
        "own"
    }

    fn launch(&self, launch: Launch) -> BoxFuture<Result<Launched, BackendError>> {
        self.launches.fetch_add(1, Ordering::Relaxed);
        self.fake.launch(launch)
    }

    fn sweep(&self) -> BoxFuture<Result<u32, BackendError>> {
        self.sweeps.fetch_add(1, Ordering::Relaxed);
        if self.sweep_fails {
            return Box::pin(async { Err(BackendError::passing("sweep", "refused")) });
        }
        self.fake.sweep()
    }

    fn close(&self) -> BoxFuture<Result<(), BackendError>> {
        self.closes.fetch_add(1, Ordering::Relaxed);
        self.fake.close()
    }
}

/// Whatever the configuration calls the pool's backend.
#[test]
fn an_application_s_own_backend_stays_and_is_closed_once() {
    simulate(async {
        let own = Own::new();
        let before = config(&[("a", spec(2))]);
        let mut ostler = own.start(before).await;
        drop(hold(&ostler, "a").await);
        assert_eq!(own.asked(), [1, 1, 0]);
        let env = [("NEW".to_owned(), "1".to_owned())].into_iter().collect();
        let changed = config(&[("a", PoolSpec { env, ..spec(2) })]);
        assert_eq!(ostler.reload(changed).await.unwrap().rolled.len(), 1);
        sleep(Duration::from_secs(1)).await;
        drop(hold(&ostler, "a").await);
        let [launches, ..] = own.asked();
        assert!(launches >= 2, "it makes the new ones too: {launches}");
        ostler.shutdown().await.unwrap();
        assert_eq!((own.asked()[2], own.fake.census().alive), (1, 0));
    });
}

#[test]
fn orphans_of_an_own_backend_are_looked_for_before_the_first_launch_and_then_now_and_again() {
    simulate(async {
        let own = Own::new();
        let ostler = own.start(config(&[("a", spec(2))])).await;
        assert_eq!(own.asked()[1], 1);
        sleep(Duration::from_secs(150)).await;
        assert_eq!(own.asked()[1], 3);
        ostler.shutdown().await.unwrap();
        sleep(Duration::from_secs(150)).await;
        assert_eq!(own.asked()[1], 3);
    });
}

/// Nor is it asked for trouble, or held on to; what is left of the pool still answers.
#[test]
fn a_backend_whose_pool_is_gone_is_let_go() {
    simulate(async {
        let own = Arc::new(Own::new());
        let config_of = |name| config(&[(name, spec(2))]);
        let mut ostler = builder(config_of("a")).backend("a", own.clone()).start().await.unwrap();
        let former = ostler.pool("a").unwrap();
        let lease = hold(&ostler, "a").await;
        ostler.reload(config_of("b")).await.unwrap();
        assert!(!former.snapshot().await.unwrap().runtimes.is_empty(), "the leased one is there yet");
        drop(lease);
        sleep(Duration::from_secs(10)).await;
        assert_eq!((own.asked()[2], Arc::strong_count(&own)), (1, 1), "closed, and held by nobody");
        let sweeps = own.asked()[1];
        sleep(Duration::from_secs(150)).await;
        assert_eq!(own.asked()[1], sweeps);
        assert_eq!(former.snapshot().await.unwrap().runtimes.len(), 0);
        former.drain().await.unwrap();
        former.drain_within(Duration::ZERO).await.unwrap();
        assert_eq!(former.status().states.values().sum::<usize>(), 0);
        assert!(former.acquire().await.is_err());
        ostler.shutdown().await.unwrap();
    });
}

/// It may have laid something out when it prepared.
#[test]
fn a_backend_that_was_prepared_for_a_start_that_failed_is_closed() {
    simulate(async {
        let own = Own { sweep_fails: true, ..Own::new() };
        let start = builder(config(&[("a", spec(2))])).backend("a", Arc::new(own.clone())).start();
        let refused = start.await.unwrap_err();
        assert!(format!("{refused:?}").contains("refused"), "{refused:?}");
        assert_eq!(own.asked(), [0, 1, 1]);
    });
}

#[test]
fn a_pool_becomes_no_own_one_by_reload() {
    simulate(async {
        let mut ostler = start(config(&[("a", spec(2))])).await;
        let custom = config(&[("a", PoolSpec { backend: BackendSpec::Custom, ..spec(2) })]);
        let refused = format!("{:?}", ostler.reload(custom).await.unwrap_err());
        assert!(refused.contains("Builder::backend"), "{refused}");
        assert!(is_whole(&hold(&ostler, "a").await).await);
        ostler.shutdown().await.unwrap();
    });
}
