//! What containers use shows in the status and in the metrics, for as long as they live, and how each is spoken to.
//! The engine is asked once for each container, and tells from then on.

use std::time::{Duration, Instant};

use ostler::model::{ContainerSpec, Health, Limits, Transport, Usage};
use ostler::observe::Vitals;
use ostler::{Exec, PoolSpec};

use crate::engine::{Engine, Stable, spec};
use crate::relay::Relay;

const PATIENCE: Duration = Duration::from_secs(30);
/// What keeps a processor busy, so that no two samples are alike.
const BUSY: &str = "while :; do :; done";

/// The first sample that is as it should be.
async fn sampled(stable: &Stable, what: &str, holds: impl Fn(&Usage) -> bool) -> Vitals {
    let started = Instant::now();
    loop {
        let status = stable.pool.status();
        if let Some(vitals) = status.runtimes.first()
            && vitals.usage.as_ref().is_some_and(&holds)
        {
            return vitals.clone();
        }
        assert!(started.elapsed() < PATIENCE, "{what}: {status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The next sample after this one.
async fn next(stable: &Stable, last: Usage) -> Usage {
    let vitals = sampled(stable, "one more sample", |usage| usage.cpu > last.cpu).await;
    vitals.usage.unwrap()
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn sampling(transport: Transport) -> ContainerSpec {
    ContainerSpec { stats_interval: Some(Duration::from_millis(100)), transport, ..spec() }
}

#[tokio::test]
async fn what_a_container_uses_is_told_while_it_lives() {
    for engine in Engine::all("what a container uses") {
        let limits = Limits { memory: Some(128 << 20), ..Limits::default() };
        let pool = PoolSpec { min: 1, max: 1, limits, ..PoolSpec::default() };
        let stable = Stable::open(&engine, &sampling(Transport::Auto), pool).await;
        let lease = stable.pool.acquire().await.unwrap();
        let idle = sampled(&stable, "a first sample", |_| true).await;
        assert_eq!((idle.id, idle.handle.as_str()), (lease.runtime(), lease.handle()));
        assert_eq!((idle.health, idle.transport), (Health::Healthy, Some("link")));
        let before = idle.usage.unwrap();
        assert!(before.memory < 8 << 20, "{before:?}");

        // Of memory, 12 MiB; of a processor, all it can get.
        let busy = Exec::shell("head -c 12m /dev/zero > big; while :; do :; done").timeout(PATIENCE * 2);
        let busy = lease.exec_stream(busy).unwrap();
        let loaded = sampled(&stable, "a load", |usage| {
            usage.memory > before.memory + (10 << 20) && usage.cpus.is_some_and(|cpus| cpus > 0.05)
        })
        .await;
        println!("{:?}: {loaded}", engine.kind);
        let used = loaded.usage.unwrap();
        assert!(used.cpu > before.cpu && used.cpus.unwrap() < 64.0, "{used:?}");

        let (metrics, runtime) = (stable.ostler.metrics(), lease.runtime());
        let info = format!(
            "ostler_runtime_info{{pool=\"p\",runtime=\"{runtime}\",handle=\"{}\",transport=\"link\"}} 1",
            lease.handle()
        );
        assert!(metrics.contains(&info), "{metrics}");
        for family in
            ["cpu_seconds_total", "memory_bytes", "network_received_bytes_total", "disk_written_bytes_total"]
        {
            let series = format!("ostler_runtime_{family}{{pool=\"p\",runtime=\"{runtime}\"}} ");
            assert!(metrics.contains(&series), "{family}: {metrics}");
        }
        assert!(metrics.contains("ostler_runtimes_by_health{pool=\"p\",health=\"healthy\"} 1"), "{metrics}");

        drop(busy);
        lease.discard();
        // With its successor there is nothing of it any more.
        let next = stable.pool.acquire().await.unwrap();
        let fresh = sampled(&stable, "a sample of the next one", |_| true).await;
        assert_eq!((fresh.id, stable.pool.status().runtimes.len()), (next.runtime(), 1));
        assert!(fresh.usage.unwrap().memory < 8 << 20, "{fresh}");
        assert!(!stable.ostler.metrics().contains(&format!("runtime=\"{runtime}\"")));
        drop(next);
        stable.close().await;
    }
}

#[tokio::test]
async fn figures_need_no_file_system_in_common() {
    for engine in Engine::all("figures of an attached container") {
        let pool = PoolSpec { min: 1, max: 1, ..PoolSpec::default() };
        let stable = Stable::open(&engine, &sampling(Transport::Attach), pool).await;
        drop(stable.pool.acquire().await.unwrap());
        let vitals = sampled(&stable, "a sample", |_| true).await;
        assert_eq!(vitals.transport, Some("attach"));
        assert!(stable.pool.status().to_string().contains(", by attach, cpu"), "{}", stable.pool.status());
        stable.close().await;
    }
}

#[tokio::test]
async fn what_nobody_wants_is_not_sampled() {
    for engine in Engine::all("no samples") {
        let container = ContainerSpec { stats_interval: None, ..spec() };
        let pool = PoolSpec { min: 1, max: 1, ..PoolSpec::default() };
        let stable = Stable::open(&engine, &container, pool).await;
        let lease = stable.pool.acquire().await.unwrap();
        // Longer than the first sample takes.
        lease.exec(Exec::shell("sleep 2")).await.unwrap();
        assert_eq!(stable.pool.status().runtimes[0].usage, None);
        drop(lease);
        stable.close().await;
    }
}

#[tokio::test]
async fn one_request_is_answered_for_as_long_as_a_container_lives() {
    for engine in Engine::all("one stream a container") {
        let relay = Relay::before(&engine);
        let pool = PoolSpec { min: 2, max: 2, ..PoolSpec::default() };
        let stable = Stable::open(&relay.engine(), &sampling(Transport::Auto), pool).await;
        let lease = stable.pool.acquire().await.unwrap();
        let other = stable.pool.acquire().await.unwrap();
        let busy = [&lease, &other].map(|lease| lease.exec_stream(Exec::shell(BUSY).timeout(PATIENCE * 4)));
        let mut sample = sampled(&stable, "a first sample", |_| true).await.usage.unwrap();
        for _ in 0..3 {
            sample = next(&stable, sample).await;
            assert!(sample.cpus.is_some_and(|cpus| cpus < 64.0), "{sample:?}");
        }
        until("both are told of", || relay.streams_open() == 2).await;
        assert_eq!(relay.streams_asked(), 2, "no sample took a request of its own");

        drop(busy);
        lease.discard();
        until("its stream ends with a container", || relay.streams_open() < 2).await;
        let successor = stable.pool.acquire().await.unwrap();
        until("the next has its own", || relay.streams_asked() == 3 && relay.streams_open() == 2).await;
        drop((successor, other));
        stable.close().await;
        until("none is left", || relay.streams_open() == 0).await;
    }
}

#[tokio::test]
async fn a_stream_that_breaks_or_falls_silent_is_opened_again() {
    for engine in Engine::all("a stream that breaks") {
        let relay = Relay::before(&engine);
        let pool = PoolSpec { min: 1, max: 1, ..PoolSpec::default() };
        let stable = Stable::open(&relay.engine(), &sampling(Transport::Auto), pool).await;
        let lease = stable.pool.acquire().await.unwrap();
        let busy = lease.exec_stream(Exec::shell(BUSY).timeout(PATIENCE * 8)).unwrap();
        let before = sampled(&stable, "a first sample", |_| true).await.usage.unwrap();
        assert_eq!(relay.streams_asked(), 1);

        relay.cut();
        next(&stable, before).await;
        let asked = relay.streams_asked();
        assert!(asked > 1, "{asked}");

        relay.delay(Duration::from_hours(1));
        until("it is given up", || relay.streams_asked() > asked).await;
        relay.delay(Duration::ZERO);
        let last = stable.pool.status().runtimes[0].usage.unwrap();
        next(&stable, last).await;
        until("only one is kept", || relay.streams_open() == 1).await;
        drop(busy);
        drop(lease);
        stable.close().await;
    }
}
