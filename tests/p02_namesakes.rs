//! P2, P13: pools of one name, one after the other: neither is taken for the other, and one that nobody waited for goes.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod support;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use ostler::model::{BackendSpec, FakeSpec};
use ostler::observe::Change;
use ostler::{Builder, Config, ErrorKind, Events, Ostler, PoolSpec};
use support::sim::simulate;
use tokio::time::sleep;

fn spec(max: usize) -> PoolSpec {
    PoolSpec { backend: BackendSpec::Fake(FakeSpec::default()), min: 1, max, ..PoolSpec::default() }
}

fn config(pools: &[(&str, PoolSpec)]) -> Config {
    let builder = Config::builder().instance("namesakes").state_dir(std::env::temp_dir());
    pools.iter().fold(builder, |builder, (name, spec)| builder.pool(name, spec.clone())).build().unwrap()
}

fn builder(config: Config) -> Builder {
    Ostler::builder(config).on_this_thread().seed(1)
}

/// Drops it when it has been polled so often and is not ready; answers its output if it was.
async fn cut<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut polled = 0;
    poll_fn(|context| {
        polled += 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if polled == polls => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Runtimes of a pool that were launched, and those that are gone.
async fn told(events: &mut Events, pool: &str) -> (usize, usize) {
    let (mut launched, mut gone) = (0, 0);
    while let Some(event) = events.next().await {
        if event.pool.as_str() != pool {
            continue;
        }
        match event.change {
            Change::Launching { .. } => launched += 1,
            Change::Gone { .. } => gone += 1,
            _ => {}
        }
    }
    (launched, gone)
}

#[test]
fn a_pool_whose_reload_is_dropped_leaves_and_can_come_again() {
    let mut cuts = 0;
    for polls in 1.. {
        let was_cut = simulate(async move {
            let with_b = || config(&[("a", spec(2)), ("b", spec(2))]);
            let mut ostler = builder(config(&[("a", spec(2))])).start().await.unwrap();
            let mut events = ostler.events(1000);
            let reloaded = cut(ostler.reload(with_b()), polls).await;
            let was_cut = reloaded.is_none();
            if was_cut {
                sleep(Duration::from_secs(1)).await;
                ostler.pool("b").unwrap_err();
                ostler.reload(with_b()).await.unwrap();
            }
            let lease = ostler.pool("b").unwrap().acquire().await.unwrap();
            lease.write("mine", "1").await.unwrap();
            drop(lease);
            sleep(Duration::from_secs(1)).await;
            ostler.shutdown().await.unwrap();
            let (launched, gone) = told(&mut events, "b").await;
            assert!(
                gone == launched && launched > 0,
                "dropped after {polls} polls: {launched} launched, {gone} gone"
            );
            was_cut
        });
        if !was_cut {
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 1, "{cuts}");
}

#[test]
fn a_former_pool_s_handle_does_nothing_to_its_namesake() {
    simulate(async {
        let (with, without) = (|| config(&[("a", spec(2))]), || config(&[("z", spec(1))]));
        let mut ostler = builder(with()).start().await.unwrap();
        let former = ostler.pool("a").unwrap();
        ostler.reload(without()).await.unwrap();
        sleep(Duration::from_secs(1)).await;
        ostler.reload(with()).await.unwrap();
        let pool = ostler.pool("a").unwrap();
        pool.ready(Duration::from_secs(5)).await.unwrap();
        assert!(former.snapshot().await.unwrap().runtimes.is_empty());
        assert!(matches!(former.resize(0, 1).await.unwrap_err().kind(), ErrorKind::Closed));
        former.drain().await.unwrap();
        former.drain_within(Duration::ZERO).await.unwrap();
        assert_eq!(pool.snapshot().await.unwrap().runtimes.len(), 1);
        assert_eq!(pool.status().max, 2);
        drop(pool.acquire().await.unwrap());
        ostler.shutdown().await.unwrap();
    });
}

#[test]
fn a_resize_undoes_nothing_of_a_reload_that_was_under_way() {
    simulate(async {
        let mut ostler = builder(config(&[("a", spec(2))])).start().await.unwrap();
        let pool = ostler.pool("a").unwrap();
        let changed = config(&[("a", PoolSpec { acquire_timeout: Duration::from_millis(1), ..spec(2) })]);
        let (reloaded, resized) = tokio::join!(ostler.reload(changed), pool.resize(1, 1));
        reloaded.unwrap();
        resized.unwrap();
        pool.ready(Duration::from_secs(5)).await.unwrap();
        let lease = pool.acquire().await.unwrap();
        let refused = tokio::time::timeout(Duration::from_secs(1), pool.acquire()).await;
        let refused = refused.expect("the reload's timeout is 1 ms").unwrap_err();
        assert!(matches!(refused.kind(), ErrorKind::TimedOut { .. }), "{refused}");
        drop(lease);
        ostler.shutdown().await.unwrap();
    });
}
