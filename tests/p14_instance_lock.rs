//! P14: two live ostlers of one name are kept apart. The second refuses to start and says who has the name; a dead
//! one's is taken over; an ended one leaves no file.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "sandbox/mod.rs"]
mod sandbox;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ostler::config::ConfigBuilder;
use ostler::model::BackendSpec;
use ostler::{Config, Error, Ostler, PoolSpec};

/// Set for the ostler that another process runs: its state directory.
const HOST: &str = "OSTLER_TEST_LOCK_HOST";
const NAME: &str = "shop";

fn config(state: &Path, name: Option<&str>) -> Config {
    let pool = PoolSpec {
        backend: BackendSpec::Process(ostler::model::ProcessSpec::default()),
        min: 1,
        max: 1,
        ..PoolSpec::default()
    };
    let builder = Config::builder().state_dir(state).pool("p", pool);
    let builder = name.into_iter().fold(builder, ConfigBuilder::instance);
    builder.build().unwrap()
}

fn files(state: &Path) -> Vec<PathBuf> {
    fs::read_dir(state).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn why(error: &Error) -> String {
    format!("{error:?}")
}

/// Not a test by itself: the ostler in another process.
#[tokio::test]
async fn host() {
    let Ok(directory) = std::env::var(HOST) else {
        return;
    };
    let _ostler = Ostler::start(config(Path::new(&directory), Some(NAME))).await.unwrap();
    println!("ready");
    std::future::pending::<()>().await;
}

fn start_host(state: &Path) -> Child {
    let mut host = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "host", "--nocapture"])
        .env(HOST, state)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(host.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "ready"));
    host
}

#[tokio::test]
async fn the_second_of_a_name_is_told_who_the_first_is_and_takes_over_when_that_is_dead() {
    let state = sandbox::state_dir();
    let mut host = start_host(state.path());
    let error = Ostler::start(config(state.path(), Some(NAME))).await.expect_err("the name is taken");
    let said = why(&error);
    assert!(said.contains(NAME) && said.contains(&format!("pid {}", host.id())), "{said}");
    assert!(said.contains("shop.lock"), "{said}");
    let other = Ostler::start(config(state.path(), Some("other"))).await.expect("another name");
    other.shutdown().await.unwrap();

    host.kill().unwrap();
    host.wait().unwrap();
    let lock = state.path().join("shop.lock");
    assert!(lock.exists(), "a killed one cannot remove it");
    let next = Ostler::start(config(state.path(), Some(NAME))).await.expect("taken over");
    let held = fs::read_to_string(&lock).unwrap();
    assert!(held.contains(&format!("pid {}\n", std::process::id())), "{held}");
    next.shutdown().await.unwrap();
    assert_eq!(files(state.path()), [] as [PathBuf; 0], "no file is left behind");
}

#[tokio::test]
async fn within_one_process_too_a_name_is_had_once() {
    let state = sandbox::state_dir();
    let first = Ostler::start(config(state.path(), Some(NAME))).await.unwrap();
    let error = Ostler::start(config(state.path(), Some(NAME))).await.expect_err("the name is taken");
    assert!(why(&error).contains(&format!("pid {}", std::process::id())), "{}", why(&error));
    drop(error);
    first.shutdown().await.unwrap();
    let again = Ostler::start(config(state.path(), Some(NAME))).await.expect("it is free again");
    // Without a shutdown it ends in the background.
    drop(again);
    sandbox::eventually(Duration::from_secs(5), || files(state.path()).is_empty()).await;
}

#[tokio::test]
async fn those_without_a_name_live_side_by_side() {
    let state = sandbox::state_dir();
    let first = Ostler::start(config(state.path(), None)).await.unwrap();
    let second = Ostler::start(config(state.path(), None)).await.expect("each has a name of its own");
    first.shutdown().await.unwrap();
    second.shutdown().await.unwrap();
    assert_eq!(files(state.path()), [] as [PathBuf; 0]);
}

/// A hundred take and give back one name: never two at once, and it ends with nobody having it.
#[test]
fn a_name_is_never_had_twice() {
    use std::sync::atomic::{AtomicU32, Ordering};
    let state = sandbox::state_dir();
    let (holders, turns) = (AtomicU32::new(0), AtomicU32::new(0));
    let pool = PoolSpec {
        backend: BackendSpec::Process(ostler::model::ProcessSpec::default()),
        min: 0,
        max: 1,
        ..PoolSpec::default()
    };
    let config = Config::builder().state_dir(state.path()).instance(NAME).pool("p", pool).build().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25 {
                    let Ok(ostler) = ostler::blocking::Ostler::start(config.clone()) else { continue };
                    assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0, "two at once");
                    turns.fetch_add(1, Ordering::SeqCst);
                    holders.fetch_sub(1, Ordering::SeqCst);
                    ostler.shutdown().unwrap();
                }
            });
        }
    });
    assert!(turns.load(Ordering::SeqCst) > 0);
    assert_eq!(files(state.path()), [] as [PathBuf; 0]);
}
