//! Health of containers: by a server behind a published port, and by the image's own check, which runs through the guest.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use ostler::model::{ContainerMode, ContainerNetwork, ContainerSpec, HealthSpec, HttpProbe, Probe};
use ostler::{Change, Exec, PoolSpec, Reason};

use crate::engine::{Engine, Kind, Stable, skip, spec};

#[tokio::test]
async fn what_the_image_calls_unhealthy_is_replaced() {
    for engine in
        Engine::all("the image's own check").into_iter().filter(|engine| engine.kind == Kind::Docker)
    {
        // `scripts/engines` makes it: its check fails once /state/sick is there.
        let images =
            std::env::var("OSTLER_TEST_IMAGES").unwrap_or_else(|_| "localhost/ostler-test".to_owned());
        let state = tempfile::tempdir().unwrap();
        fs::set_permissions(state.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let sick = state.path().join("sick");
        let volume = format!("{}:/state:ro", state.path().display()).parse().unwrap();
        let container =
            ContainerSpec { image: format!("{images}/checked:latest"), volumes: vec![volume], ..spec() };
        let interval = Duration::from_millis(100);
        let health = HealthSpec { probe: Probe::Image, interval, ..HealthSpec::default() };
        let stable =
            Stable::open(&engine, &container, PoolSpec { min: 1, max: 1, health, ..PoolSpec::default() })
                .await;
        let first = stable.pool.acquire().await.unwrap().runtime();
        fs::write(&sick, "").unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while !stable.pool.status().retired.contains_key(&Reason::Unhealthy) {
            assert!(Instant::now() < deadline, "{}", stable.pool.status());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        fs::remove_file(&sick).unwrap();
        assert_ne!(stable.pool.acquire().await.unwrap().runtime(), first);
        stable.close().await;
    }
}

#[tokio::test]
async fn a_service_is_leasable_once_it_answers() {
    let images = std::env::var("OSTLER_TEST_IMAGES").unwrap_or_else(|_| "localhost/ostler-test".to_owned());
    let bridged = std::env::var("OSTLER_TEST_BRIDGE").unwrap_or_default();
    for engine in Engine::all("a service's health") {
        let name = format!("{:?}", engine.kind).to_lowercase();
        if !bridged.split(' ').any(|engine| engine == name) {
            skip(&format!("a service's health on {name}: it has no bridge"));
            continue;
        }
        let container = ContainerSpec {
            image: format!("{images}/service:latest"),
            mode: ContainerMode::Service,
            network: ContainerNetwork::Bridge,
            ports: vec![":8080".parse().unwrap()],
            ..spec()
        };
        let http = HttpProbe { port: 8080, body: Some("ostler-test".to_owned()), ..HttpProbe::default() };
        let health = HealthSpec {
            probe: Probe::Http(http),
            start_period: Duration::from_mins(1),
            ..HealthSpec::default()
        };
        let stable =
            Stable::open(&engine, &container, PoolSpec { min: 1, max: 1, health, ..PoolSpec::default() })
                .await;
        let lease = stable.pool.acquire().await.unwrap_or_else(|error| panic!("{engine:?}: {error}"));
        let fetched = lease.exec(Exec::shell("wget -qO- http://127.0.0.1:8080/")).await.unwrap();
        assert_eq!(fetched.stdout, b"ostler-test\n", "{fetched:?}");
        assert!(stable.pool.status().retired.is_empty(), "{}", stable.pool.status());
        drop(lease);
        // An engine takes its time over a network.
        stable.pool.drain().await.unwrap();
        stable.close().await;
    }
}

#[tokio::test]
async fn one_that_somebody_pauses_is_replaced_at_once() {
    for engine in Engine::all("a paused container") {
        let (interval, timeout) = (Duration::from_millis(100), Duration::from_millis(500));
        let health = HealthSpec { interval, timeout, ..HealthSpec::default() };
        let stable =
            Stable::open(&engine, &spec(), PoolSpec { min: 1, max: 1, health, ..PoolSpec::default() }).await;
        let mut events = stable.ostler.events(64);
        stable.pool.ready(Duration::from_mins(1)).await.unwrap();
        let snapshot = stable.pool.snapshot().await.unwrap();
        let (victim, handle) = (snapshot.runtimes[0].id, snapshot.runtimes[0].handle.clone());
        engine.client().await.pause_container(&handle).await.unwrap();
        let mut seen = Vec::new();
        while !matches!(seen.last(), Some(Change::Gone { runtime }) if *runtime == victim) {
            let event = tokio::time::timeout(Duration::from_mins(1), events.next()).await;
            seen.push(event.unwrap().unwrap().change);
        }
        assert!(seen.contains(&Change::Retiring { runtime: victim, reason: Reason::Unhealthy }), "{seen:?}");
        let survived = seen.iter().any(|change| matches!(change, Change::Survived { .. }));
        assert!(!survived, "{:?}: {seen:?}", engine.kind);
        stable.close().await;
    }
}
