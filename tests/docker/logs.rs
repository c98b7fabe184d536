//! P19: what a container's main process wrote outlives it, and a failed launch says where.

use std::time::Duration;

use ostler::model::{ContainerLogs, ContainerMode, ContainerSpec};
use ostler::{Change, Exec, PoolSpec};

use crate::engine::{Engine, Stable, spec};

fn service(script: &str) -> ContainerSpec {
    ContainerSpec {
        mode: ContainerMode::Service,
        entrypoint: Some(["/bin/sh", "-c", script].map(str::to_owned).into()),
        ..spec()
    }
}

/// All that is in the files of a directory, by name.
fn logs(directory: &std::path::Path) -> Vec<(String, String)> {
    let mut all: Vec<_> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap())
        })
        .collect();
    all.sort();
    all
}

#[tokio::test]
async fn a_services_output_is_kept_in_files_of_bounded_size() {
    for engine in Engine::all("a service's output") {
        let directory = tempfile::tempdir().unwrap();
        let limits = ContainerLogs { dir: Some(directory.path().to_owned()), size: 4096, files: 2, kept: 10 };
        let script = "echo begun; i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; sleep 1000";
        let container = ContainerSpec { logs: limits, ..service(script) };
        let stable =
            Stable::open(&engine, &container, PoolSpec { min: 1, max: 1, ..PoolSpec::default() }).await;
        let lease = stable.pool.acquire().await.unwrap();
        assert!(lease.exec(Exec::new("/bin/true")).await.unwrap().success());
        drop(lease);
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while !logs(directory.path()).iter().any(|(_, text)| text.ends_with("line 1999\n")) {
            assert!(std::time::Instant::now() < deadline, "{:?}", logs(directory.path()));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stable.close().await;
        let files = logs(directory.path());
        assert!(files.len() >= 2, "{files:?}");
        assert!(files.iter().all(|(_, text)| text.len() <= 4096), "{files:?}");
    }
}

#[tokio::test]
async fn a_service_that_ends_leaves_its_last_words() {
    for engine in Engine::all("a service that ends") {
        let container = service("echo the reason >&2; sleep 0.2; exit 3");
        let stable =
            Stable::open(&engine, &container, PoolSpec { min: 0, max: 1, ..PoolSpec::default() }).await;
        let mut events = stable.ostler.events(64);
        drop(stable.pool.acquire().await);
        let cause = loop {
            if let Change::Exited { cause, .. } = events.next().await.unwrap().change {
                break cause;
            }
        };
        assert_eq!(cause, "exit status 3");
        let directory = stable.state.path().join("logs/p");
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        // The reset at the lease's end may have started it once more.
        let said = |text: &str| !text.is_empty() && text.lines().all(|line| line == "the reason");
        while !logs(&directory).iter().any(|(_, text)| said(text)) {
            assert!(std::time::Instant::now() < deadline, "{:?}", logs(&directory));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stable.close().await;
    }
}

#[tokio::test]
async fn a_launch_that_fails_says_why_and_what_was_said() {
    for engine in Engine::all("a failing launch") {
        let container = ContainerSpec { entrypoint: Some(vec!["/no/such".to_owned()]), ..service("") };
        let pool =
            PoolSpec { min: 0, max: 1, acquire_timeout: Duration::from_secs(10), ..PoolSpec::default() };
        let stable = Stable::open(&engine, &container, pool).await;
        let error = stable.pool.acquire().await.map(drop).unwrap_err().to_string();
        println!("{:?}: {error}", engine.kind);
        assert!(error.contains("/no/such"), "{error}");
        stable.close().await;
    }
}
