//! P9: whatever a pool's probe is, a runtime is leasable once it succeeds, and replaced when it fails.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use ostler::backend::fake::{Act, Fake, Point};
use ostler::model::{
    BackendSpec, ExecProbe, FileProbe, Health, HealthSpec, HttpProbe, NetworkAccess, Probe, ProcessSpec,
    TcpProbe,
};
use ostler::{Change, Config, Exec, Ostler, Pool, PoolSpec, Reason};
use support::eventually;
use support::sim::{simulate, start};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// A directory that sandboxes see, read-only; not in one that they have of their own.
fn shown() -> TempDir {
    let permissions = fs::Permissions::from_mode(0o755);
    tempfile::Builder::new().permissions(permissions).tempdir_in("/var/tmp").expect("a directory")
}

/// A pool of one sandbox on the host's network that sees `shown`.
fn spec(probe: Probe, shown: &Path) -> PoolSpec {
    let mut process = ProcessSpec { network: NetworkAccess::Host, ..ProcessSpec::default() };
    process.read_only.push(shown.to_owned());
    let interval = Duration::from_millis(20);
    PoolSpec {
        backend: BackendSpec::Process(process),
        min: 1,
        max: 1,
        health: HealthSpec { probe, interval, ..HealthSpec::default() },
        ..PoolSpec::default()
    }
}

async fn run(spec: PoolSpec) -> (Ostler, Pool, TempDir) {
    let state = tempfile::tempdir().expect("a directory");
    let config = Config::builder().instance("test").state_dir(state.path()).pool("real", spec).build();
    let ostler = Ostler::start(config.expect("good")).await.expect("starts");
    let pool = ostler.pool("real").expect("the pool").clone();
    (ostler, pool, state)
}

fn unhealthy(pool: &Pool) -> u64 {
    pool.status().retired.get(&Reason::Unhealthy).copied().unwrap_or(0)
}

fn launching(pool: &Pool) -> bool {
    let status = pool.status();
    status.ready == 0 && !status.retired.contains_key(&Reason::LaunchFailed)
}

#[tokio::test]
async fn a_command() {
    let shown = shown();
    let sick = shown.path().join("sick");
    let command =
        ["test", "!", "-e"].map(str::to_owned).into_iter().chain([sick.display().to_string()]).collect();
    let (ostler, pool, _state) = run(spec(Probe::Exec(ExecProbe { command }), shown.path())).await;
    let first = pool.acquire().await.expect("healthy").runtime();
    fs::write(&sick, "").expect("written");
    eventually("it is unhealthy", || unhealthy(&pool) > 0).await;
    fs::remove_file(&sick).expect("removed");
    assert_ne!(pool.acquire().await.expect("healthy again").runtime(), first);
    ostler.shutdown().await.expect("ends");
}

#[tokio::test]
async fn a_file() {
    let shown = shown();
    let ready = shown.path().join("ready");
    let mut spec = spec(Probe::File(FileProbe { path: ready.display().to_string() }), shown.path());
    spec.health.start_period = Duration::from_mins(1);
    let (ostler, pool, _state) = run(spec).await;
    pool.ready(Duration::from_millis(300)).await.expect_err("there is no such file yet");
    assert!(launching(&pool), "{}", pool.status());
    fs::write(&ready, "").expect("written");
    drop(pool.acquire().await.expect("there it is"));
    fs::remove_file(&ready).expect("removed");
    eventually("it is unhealthy", || unhealthy(&pool) > 0).await;
    ostler.shutdown().await.expect("ends");
}

/// Answers each request with what `answers` holds then.
async fn serve(listener: TcpListener, answers: watch::Receiver<&'static str>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let answers = answers.clone();
        tokio::spawn(async move {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n")
                && stream.read_buf(&mut request).await.is_ok_and(|read| read > 0)
            {}
            assert!(request.starts_with(b"GET /healthz?full HTTP/1.1\r\nHost: 127.0.0.1:"), "{request:?}");
            let answer = *answers.borrow();
            // The prober may have seen enough.
            stream.write_all(answer.as_bytes()).await.ok();
        });
    }
}

#[tokio::test]
async fn a_server_of_http() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (answer, answers) = watch::channel("HTTP/1.1 503 Starting\r\n\r\n");
    let server = tokio::spawn(serve(listener, answers));
    let http = HttpProbe {
        port,
        path: "/healthz?full".to_owned(),
        body: Some("fine".to_owned()),
        ..HttpProbe::default()
    };
    let mut spec = spec(Probe::Http(http), Path::new("/usr"));
    spec.health.start_period = Duration::from_mins(1);
    let (ostler, pool, _state) = run(spec).await;
    pool.ready(Duration::from_millis(300)).await.expect_err("it is starting");
    assert!(launching(&pool), "{}", pool.status());
    answer.send_replace("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nall fine");
    drop(pool.acquire().await.expect("it has started"));
    answer.send_replace("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nall wrong");
    eventually("it is unhealthy", || unhealthy(&pool) > 0).await;
    ostler.shutdown().await.expect("ends");
    server.abort();
}

#[tokio::test]
async fn a_port() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (ostler, pool, _state) = run(spec(Probe::Tcp(TcpProbe { port }), Path::new("/usr"))).await;
    drop(pool.acquire().await.expect("it connects"));
    drop(listener);
    eventually("it is unhealthy", || unhealthy(&pool) > 0).await;
    ostler.shutdown().await.expect("ends");
}

#[tokio::test]
async fn what_is_never_healthy_is_a_failed_launch_that_says_why() {
    let shown = shown();
    let missing = shown.path().join("missing").display().to_string();
    let spec = spec(Probe::File(FileProbe { path: missing.clone() }), shown.path());
    let state = tempfile::tempdir().expect("a directory");
    let config = Config::builder().instance("test").state_dir(state.path()).pool("real", spec).build();
    let ostler = Ostler::start(config.expect("good")).await.expect("starts");
    let mut events = ostler.events(1000);
    let failed = async {
        loop {
            if let Change::LaunchFailed { cause, .. } = events.next().await.expect("goes on").change {
                return cause;
            }
        }
    };
    let cause = tokio::time::timeout(Duration::from_secs(20), failed).await.expect("it fails");
    assert_eq!(cause, format!("never healthy: there is no {missing}"));
    ostler.shutdown().await.expect("ends");
}

/// Probes of a runtime that is being cleaned are killed with everything else in it.
#[tokio::test]
async fn a_reset_is_no_failure() {
    let command = ["sh", "-c", "sleep 0.01"].map(str::to_owned).into();
    let mut spec = spec(Probe::Exec(ExecProbe { command }), Path::new("/usr"));
    spec.health.interval = Duration::from_millis(10);
    spec.health.retries = 1;
    let (ostler, pool, _state) = run(spec).await;
    let first = pool.acquire().await.expect("healthy").runtime();
    for _ in 0..50 {
        let lease = pool.acquire().await.expect("a lease");
        assert_eq!(lease.runtime(), first, "{}", pool.status());
        assert!(lease.exec(Exec::new("true")).await.expect("runs").success());
    }
    ostler.shutdown().await.expect("ends");
}

#[test]
fn without_a_health_check_of_its_own_no_image_is_healthy() {
    simulate(async {
        let health = HealthSpec { probe: Probe::Image, ..HealthSpec::default() };
        let spec = PoolSpec { min: 1, max: 1, health, ..PoolSpec::default() };
        let (ostler, _pool) = start(spec, Fake::scripted(|_| Act::Work), 1).await;
        let mut events = ostler.events(1000);
        let cause = loop {
            if let Change::LaunchFailed { cause, .. } = events.next().await.expect("goes on").change {
                break cause;
            }
        };
        assert_eq!(cause, "never healthy: the image has no health check of its own");
        ostler.shutdown().await.expect("ends");
    });
}

#[test]
fn how_healthy_a_runtime_is_shows_until_it_is_gone() {
    simulate(async {
        let (sick, fails) = watch::channel(false);
        let act = move |point| match point {
            Point::Ping if *fails.borrow() => Act::Fail,
            // So that it is there to be seen.
            Point::Destroy => Act::Slow(Duration::from_secs(5)),
            _ => Act::Work,
        };
        let health = HealthSpec { interval: Duration::from_secs(1), ..HealthSpec::default() };
        let spec = PoolSpec { min: 1, max: 1, health, ..PoolSpec::default() };
        let (ostler, pool) = start(spec, Fake::scripted(act), 1).await;
        pool.ready(Duration::from_secs(1)).await.expect("ready");
        let seen = || pool.status().runtimes.iter().map(|it| (it.id.0, it.health)).collect::<Vec<_>>();
        assert_eq!(seen(), [(1, Health::Healthy)]);
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(seen(), [(1, Health::Healthy)]);
        sick.send_replace(true);
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(seen(), [(1, Health::Unhealthy)], "{}", pool.status());
        sick.send_replace(false);
        pool.ready(Duration::from_secs(30)).await.expect("ready");
        assert_eq!(seen(), [(2, Health::Healthy)]);
        ostler.shutdown().await.expect("ends");
    });
}
