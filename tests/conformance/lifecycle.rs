//! Leases, resets, ends and replacements.

use std::time::{Duration, Instant};

use ostler::model::{HealthSpec, RestartSpec};
use ostler::{Change, ErrorKind, Exec, PoolSpec, Reason};

use crate::On;
use crate::stable::{Stable, text};

pub(crate) async fn one_lease_after_another(on: On) {
    let stable = Stable::single(on).await;
    let first = stable.lease().await;
    let (runtime, epoch) = (first.runtime(), first.epoch());
    assert!(!first.handle().is_empty());
    first.write("mine", b"mine").await.unwrap();
    drop(first);
    let second = stable.lease().await;
    assert_eq!(second.runtime(), runtime, "the runtime was cleaned, not replaced: {}", stable.pool.status());
    assert!(second.epoch() > epoch);
    assert_eq!(second.uses(), 2);
    assert!(second.read("mine").await.unwrap_err().is_not_found());
    drop(second);
    stable.close().await;
}

pub(crate) async fn nothing_is_left_of_a_lease(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    let runtime = lease.runtime();
    let clean = text(&lease.exec(Exec::shell("env | sort; echo /proc/[0-9]*")).await.unwrap().stdout);
    let mess = "mkdir -p deep/er; echo x > deep/er/file; echo x > /tmp/file; echo x > /dev/shm/file; mkfifo pipe; \
                ln -s /etc/passwd link; chmod 0 deep; echo 'export LEFT=1' > ~/.profile; \
                setsid sleep 300 & (trap '' TERM; sleep 300) & sleep 300 & kill -STOP $!; true";
    assert!(lease.exec(Exec::shell(mess).env("LEFT", "1")).await.unwrap().success());
    drop(lease);
    let lease = stable.lease().await;
    assert_eq!(lease.runtime(), runtime, "the runtime was cleaned, not replaced: {}", stable.pool.status());
    for place in ["", "/tmp", "/dev/shm"] {
        assert!(lease.list(place).await.unwrap().is_empty(), "{place:?} is not empty");
    }
    let found = text(&lease.exec(Exec::shell("env | sort; echo /proc/[0-9]*")).await.unwrap().stdout);
    let counted = |text: &str| text.split_whitespace().filter(|word| word.starts_with("/proc/")).count();
    let env = |text: &str| {
        text.lines().filter(|line| !line.starts_with("/proc/")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!((counted(&found), env(&found)), (counted(&clean), env(&clean)));
    drop(lease);
    stable.close().await;
}

pub(crate) async fn what_the_template_has(on: On) {
    let template = tempfile::tempdir().unwrap();
    std::fs::create_dir(template.path().join("below")).unwrap();
    std::fs::write(template.path().join("below/given"), "by the template").unwrap();
    let template = Some(template.path().to_owned());
    let stable = Stable::open(on, PoolSpec { min: 1, max: 1, template, ..PoolSpec::default() }).await;
    for _ in 0..2 {
        let lease = stable.lease().await;
        assert_eq!(lease.read("below/given").await.unwrap(), b"by the template");
        lease.write("below/given", b"changed").await.unwrap();
    }
    stable.close().await;
}

pub(crate) async fn a_stale_lease_is_refused(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    let stream = lease.exec_stream(Exec::shell("sleep 300")).unwrap();
    drop(lease);
    let next = stable.lease().await;
    let ended = tokio::time::timeout(Duration::from_secs(20), stream.wait()).await.unwrap();
    assert!(ended.is_err() || ended.is_ok_and(|output| output.signal == Some(9)), "it went on");
    assert!(next.exec(Exec::new("true")).await.unwrap().success());
    drop(next);
    stable.close().await;
}

pub(crate) async fn worn_out(on: On) {
    let spec = PoolSpec { min: 1, max: 1, max_uses: Some(2), ..PoolSpec::default() };
    let stable = Stable::open(on, spec).await;
    let mut runtimes = Vec::new();
    for _ in 0..4 {
        let lease = stable.lease().await;
        assert!(lease.exec(Exec::new("true")).await.unwrap().success());
        runtimes.push(lease.runtime());
    }
    assert!(
        runtimes[0] == runtimes[1] && runtimes[1] != runtimes[2] && runtimes[2] == runtimes[3],
        "{runtimes:?}"
    );
    stable.until("two are worn out", |status| status.retired.get(&Reason::UsedUp) == Some(&2)).await;
    stable.close().await;
}

pub(crate) async fn discarded(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    let runtime = lease.runtime();
    lease.discard();
    assert_ne!(stable.lease().await.runtime(), runtime);
    assert_eq!(stable.pool.status().retired.get(&Reason::Quarantined), Some(&1));
    stable.close().await;
}

pub(crate) async fn killed(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    let runtime = lease.runtime();
    stable.kill(&lease).await;
    let begun = Instant::now();
    lease.exec(Exec::new("sleep").arg("300")).await.expect_err("its runtime is gone");
    assert!(begun.elapsed() < Duration::from_secs(20), "an operation hung");
    drop(lease);
    assert_ne!(stable.lease().await.runtime(), runtime);
    let retired = stable.pool.status().retired;
    assert!(retired.get(&Reason::Exited).or(retired.get(&Reason::Quarantined)) == Some(&1), "{retired:?}");
    stable.close().await;
}

pub(crate) async fn unhealthy(on: On) {
    let health = HealthSpec {
        interval: Duration::from_millis(100),
        timeout: Duration::from_millis(500),
        ..HealthSpec::default()
    };
    // A frozen one is not to be asked politely before it is leased.
    let test_after_idle = Duration::from_mins(30);
    let stable =
        Stable::open(on, PoolSpec { min: 1, max: 1, health, test_after_idle, ..PoolSpec::default() }).await;
    let lease = stable.lease().await;
    let runtime = lease.runtime();
    stable.freeze(&lease).await;
    drop(lease);
    stable
        .until("it is replaced", |status| {
            let lost = [Reason::Unhealthy, Reason::ResetFailed]
                .iter()
                .filter_map(|reason| status.retired.get(reason));
            lost.sum::<u64>() >= 1
        })
        .await;
    stable.thaw();
    assert_ne!(stable.lease().await.runtime(), runtime);
    stable.close().await;
}

pub(crate) async fn nobody_waits_for_ever(on: On) {
    let spec = PoolSpec { min: 1, max: 1, ..PoolSpec::default() };
    let stable = Stable::open(on, spec).await;
    let lease = stable.lease().await;
    let request = ostler::LeaseRequest::new().timeout(Duration::from_millis(100));
    let error = stable.pool.acquire_with(request).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TimedOut { .. }), "{error:?}");
    let waiter = stable.pool.acquire();
    drop(lease);
    assert!(waiter.await.unwrap().exec(Exec::new("true")).await.unwrap().success());
    stable.close().await;
}

pub(crate) async fn drained(on: On) {
    let stable = Stable::open(on, PoolSpec { min: 2, max: 2, ..PoolSpec::default() }).await;
    stable.pool.ready(Duration::from_mins(1)).await.unwrap();
    let lease = stable.lease().await;
    let pool = stable.pool.clone();
    let drain = pool.drain();
    let ends = async {
        stable.until("the idle one is gone", |status| status.ready == 0).await;
        assert!(lease.exec(Exec::new("true")).await.unwrap().success(), "the lease goes on");
        let error = stable.pool.acquire().await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Closed), "{error:?}");
        drop(lease);
    };
    let (drained, ()) = tokio::join!(drain, ends);
    drained.unwrap();
    assert_eq!(stable.pool.status().leased, 0);
    stable.close().await;
}

pub(crate) async fn figures(on: On) {
    let stable = Stable::open(on, PoolSpec { min: 2, max: 3, ..PoolSpec::default() }).await;
    stable.pool.ready(Duration::from_mins(1)).await.unwrap();
    let lease = stable.lease().await;
    let status = stable.pool.status();
    assert_eq!((status.min, status.max, status.leased), (2, 3, 1));
    assert_eq!(status.backend, on.backend());
    drop(lease);
    stable.until("it is back", |status| status.leased == 0 && status.ready >= 2).await;
    stable.close().await;
}

pub(crate) async fn a_warm_up_that_fails(on: On) {
    let restart = RestartSpec { backoff: Duration::from_millis(10), ..RestartSpec::default() };
    let warm_up = match on {
        On::Process | On::Basic => vec!["/bin/sh".to_owned(), "-c".to_owned(), "exit 1".to_owned()],
        _ => vec!["false".to_owned()],
    };
    let mut stable =
        Stable::open(on, PoolSpec { min: 1, max: 1, warm_up, restart, ..PoolSpec::default() }).await;
    let cause = loop {
        let event = tokio::time::timeout(Duration::from_mins(1), stable.events.next()).await.unwrap();
        if let Change::LaunchFailed { cause, .. } = event.unwrap().change {
            break cause;
        }
    };
    assert!(cause.starts_with("warm_up: ") && cause.ends_with("ended with status 1"), "{cause}");
    stable.close().await;
}

pub(crate) async fn drained_twice_at_once(on: On) {
    let stable = Stable::open(on, PoolSpec { min: 2, max: 2, ..PoolSpec::default() }).await;
    stable.pool.ready(Duration::from_mins(1)).await.unwrap();
    let lease = stable.lease().await;
    let (pool, other, waiter) = (stable.pool.clone(), stable.pool.clone(), stable.pool.clone());
    let ends = async {
        stable.until("the idle one is gone", |status| status.ready == 0).await;
        drop(lease);
    };
    let (first, second, refused, ()) = tokio::join!(
        pool.drain(),
        other.drain_within(Duration::from_secs(30)),
        async { waiter.acquire().await.map(drop) },
        ends
    );
    first.unwrap();
    second.unwrap();
    // It came before the drain or after it.
    assert!(refused.is_ok() || matches!(refused.unwrap_err().kind(), ErrorKind::Closed));
    stable.close().await;
}

/// P13 on every backend: nobody answers, and there is no patience with leases.
pub(crate) async fn ended_while_all_hang(on: On) {
    let health = HealthSpec { interval: Duration::from_mins(10), ..HealthSpec::default() };
    let stable = Stable::open(on, PoolSpec { min: 3, max: 3, health, ..PoolSpec::default() }).await;
    stable.pool.ready(Duration::from_mins(1)).await.unwrap();
    let leases = [stable.lease().await, stable.lease().await, stable.lease().await];
    for lease in &leases {
        stable.freeze(lease).await;
    }
    let pool = stable.pool.clone();
    // Half of the patience, and the rest at once.
    let drain = tokio::spawn(async move { pool.drain_within(Duration::from_millis(100)).await });
    let begun = Instant::now();
    drain.await.unwrap().unwrap();
    stable.close_within(Duration::ZERO).await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    drop(leases);
}

pub(crate) async fn ended_in_a_storm_of_launches(on: On) {
    let spec = PoolSpec { min: 0, max: 6, launch_parallelism: 6, ..PoolSpec::default() };
    let stable = Stable::open(on, spec).await;
    let acquires: Vec<_> = (0..12)
        .map(|_| {
            let pool = stable.pool.clone();
            tokio::spawn(async move { pool.acquire().await.map(drop) })
        })
        .collect();
    // Somewhere between the first request to make one and the last that is made.
    tokio::time::sleep(Duration::from_millis(fastrand::u64(..100))).await;
    let begun = Instant::now();
    stable.close().await;
    for acquire in acquires {
        if let Err(error) = acquire.await.unwrap() {
            assert!(matches!(error.kind(), ErrorKind::Closed), "{error:?}");
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}
