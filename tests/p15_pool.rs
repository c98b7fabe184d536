//! P15, through the whole pool: a million requests to a full pool leave nothing behind, and a flood of output
//! is cut off and said to be.

use std::future::Future;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ostler::model::{BackendSpec, FakeSpec, ResetPolicy};
use ostler::{Config, ErrorKind, Ostler, PoolSpec};

const REQUESTS: usize = 1_000_000;
const GROWTH: u64 = 16 << 20;

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("our own status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a resident size");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_requests_to_a_full_pool_grow_nothing() {
    let spec = PoolSpec {
        backend: BackendSpec::Fake(FakeSpec::default()),
        min: 1,
        max: 1,
        queue: 1000,
        reset: ResetPolicy::None,
        ..PoolSpec::default()
    };
    let config = Config::builder().state_dir(std::env::temp_dir()).pool("full", spec).build();
    let ostler = Ostler::start(config.expect("good")).await.expect("starts");
    let pool = ostler.pool("full").expect("the pool");
    let held = pool.acquire().await.expect("the one lease");
    let ask = |count: usize| {
        let mut context = Context::from_waker(Waker::noop());
        let (mut queued, mut refused) = (Vec::new(), 0);
        for _ in 0..count {
            let mut acquire = Box::pin(pool.acquire());
            match acquire.as_mut().poll(&mut context) {
                Poll::Pending => queued.push(acquire),
                Poll::Ready(Err(error)) => {
                    assert!(matches!(error.kind(), ErrorKind::Overloaded { .. }), "{error}");
                    refused += 1;
                }
                Poll::Ready(Ok(_)) => panic!("two leases of one runtime"),
            }
            if queued.len() + refused >= 2000 {
                assert_eq!(queued.len(), 1000, "the bound is on those who wait now");
                queued.clear();
                refused = 0;
            }
        }
    };
    // On a thread without a runtime of its own, whose budget would make acquires yield before they queue.
    let ask = |count| std::thread::scope(|scope| scope.spawn(|| ask(count)).join().expect("no panic"));
    // What is allocated once and kept has been after this.
    ask(20_000);
    let before = resident();
    ask(REQUESTS);
    let grown = resident().saturating_sub(before);
    assert!(grown <= GROWTH, "grew by {grown} bytes");
    assert_eq!(pool.status().waiters, 0);
    drop(held);
    drop(
        tokio::time::timeout(Duration::from_secs(10), pool.acquire())
            .await
            .expect("in time")
            .expect("a lease"),
    );
    ostler.shutdown().await.expect("ends");
}
