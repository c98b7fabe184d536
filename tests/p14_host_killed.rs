//! P14 for sandboxed processes: a host killed with -9 leaves nothing behind for longer than a second, nor does
//! any other sudden end; and what an unlucky one leaves, the next of the same name removes.
//!
//! The host that is killed is this test's own program, started again.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "sandbox/mod.rs"]
mod sandbox;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ostler::backend::{Backend, Launch};
use ostler::model::{IsolationLevel, PoolName, RuntimeId};
use rustix::process::{Pid, Signal, kill_process};
use sandbox::{
    Runtime, again_as_an_ordinary_user, backend, cgroups_of, eventually, exists, limits, parent_of, spec,
};

const BOTH: [IsolationLevel; 2] = [IsolationLevel::Auto, IsolationLevel::Basic];
const SECOND: Duration = Duration::from_secs(1);
const RUNTIMES: u64 = 3;
/// Set for the host that is to be killed: its isolation and its directory.
const HOST: &str = "OSTLER_TEST_HOST";

#[test]
fn the_same_as_an_ordinary_user() {
    again_as_an_ordinary_user("the_same_as_an_ordinary_user");
}

/// Not a test by itself: the host that the tests below start and kill.
#[tokio::test]
async fn host() {
    let Ok(directory) = std::env::var(HOST) else {
        return;
    };
    let isolation = if directory.ends_with("basic") { IsolationLevel::Basic } else { IsolationLevel::Auto };
    let backend = backend(&spec(isolation), &limits(), PathBuf::from(&directory));
    let mut runtimes = Vec::new();
    for runtime in 0..RUNTIMES {
        let launch = Launch { pool: PoolName::new("p"), runtime: RuntimeId(runtime) };
        let launched = backend.launch(launch).await.unwrap();
        println!("runtime {}", launched.instance.handle().strip_prefix("pid ").unwrap());
        runtimes.push(launched);
    }
    println!("ready");
    std::future::pending::<()>().await;
}

/// A host with runtimes, in a process of its own.
struct Host {
    process: Child,
    guests: Vec<u32>,
    keepers: Vec<u32>,
    cgroups: Vec<PathBuf>,
    directory: PathBuf,
}

impl Host {
    fn start(isolation: IsolationLevel, state: &Path) -> Self {
        let directory = state.join(format!("{isolation:?}").to_lowercase());
        fs::create_dir(&directory).unwrap();
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "host", "--nocapture"])
            .env(HOST, &directory)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let guests: Vec<u32> = lines
            .take_while(|line| line != "ready")
            .filter_map(|line| line.split_once("runtime ").map(|(_, pid)| pid.parse().unwrap()))
            .collect();
        assert_eq!(guests.len() as u64, RUNTIMES);
        let keepers = guests.iter().map(|pid| parent_of(*pid)).collect();
        let cgroups = cgroups_of(process.id());
        Self { process, guests, keepers, cgroups, directory }
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn is_gone(&self) -> bool {
        self.left().is_empty()
    }

    /// What is still there.
    fn left(&self) -> Vec<String> {
        let processes = self.guests.iter().chain(&self.keepers).filter(|pid| exists(**pid));
        let parents = self.cgroups.iter().filter_map(|directory| directory.parent());
        let cgroups = self.cgroups.iter().map(PathBuf::as_path).chain(parents).filter(|path| path.exists());
        let files = fs::read_dir(&self.directory).unwrap().map(|entry| entry.unwrap().path());
        let paths = cgroups.map(Path::to_owned).chain(files).map(|path| path.display().to_string());
        processes.map(|pid| format!("process {pid}")).chain(paths).collect()
    }
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

#[tokio::test]
async fn a_killed_host_leaves_nothing() {
    for isolation in BOTH {
        let state = sandbox::state_dir();
        let mut host = Host::start(isolation, state.path());
        host.kill();
        let took = eventually(SECOND, || host.is_gone()).await;
        println!("{isolation:?}: {RUNTIMES} runtimes gone after {took:?}");
    }
}

#[tokio::test]
async fn a_killed_keeper_takes_its_guest_with_it_and_the_host_cleans_up() {
    for isolation in BOTH {
        let runtime = Runtime::start(isolation).await;
        let (guest, keeper) = (runtime.pid, runtime.keeper);
        signal(keeper, Signal::KILL);
        eventually(SECOND, || !exists(guest) && !exists(keeper)).await;
        runtime.end().await;
    }
}

#[tokio::test]
async fn a_host_and_keepers_killed_at_once_are_cleaned_up_after_by_the_next() {
    for isolation in BOTH {
        let state = sandbox::state_dir();
        let mut host = Host::start(isolation, state.path());
        let next = backend(&spec(isolation), &limits(), host.directory.clone());
        assert_eq!(next.sweep().await.unwrap(), 0, "the host lives");
        // Stopped, so that no keeper sees the host's death before its own.
        for keeper in &host.keepers {
            signal(*keeper, Signal::STOP);
        }
        host.kill();
        for keeper in &host.keepers {
            signal(*keeper, Signal::KILL);
        }
        eventually(SECOND, || !host.guests.iter().chain(&host.keepers).any(|pid| exists(*pid))).await;
        let left = !host.is_gone();
        let swept = next.sweep().await.unwrap();
        assert_eq!(swept > 0, left, "{isolation:?}");
        assert!(host.is_gone(), "{:?}", host.left());
        next.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_live_hosts_runtimes_are_not_swept() {
    for isolation in BOTH {
        let state = sandbox::state_dir();
        let mut host = Host::start(isolation, state.path());
        let other = backend(&spec(isolation), &limits(), host.directory.clone());
        other.prepare().await.unwrap();
        assert_eq!(other.sweep().await.unwrap(), 0);
        assert!(host.guests.iter().all(|pid| exists(*pid)));
        assert!(host.cgroups.iter().all(|directory| directory.exists()));
        other.close().await.unwrap();
        host.kill();
        eventually(SECOND, || host.is_gone()).await;
    }
}

#[tokio::test]
async fn a_dropped_instance_ends_by_itself() {
    for isolation in BOTH {
        let runtime = Runtime::start(isolation).await;
        let (guest, keeper) = (runtime.pid, runtime.keeper);
        let cgroups = runtime.cgroups.clone();
        drop(runtime.instance);
        runtime.exit.await;
        assert!(!exists(guest) && !exists(keeper) && !cgroups.iter().any(|directory| directory.exists()));
        runtime.backend.close().await.unwrap();
        assert_eq!(fs::read_dir(runtime.state.path()).unwrap().count(), 0);
    }
}
