//! P14: a host killed with -9 at any moment, again and again, leaves no process; what else it leaves, the next of its
//! name removes; and nothing of anybody else's is touched.
//!
//! The host is this test's own program, started again. It says what it has done in lines, and is killed in the midst of
//! what follows one of them. The kernel gives its orphans to this process, so that none can hide. 20 kills, or as
//! many as `OSTLER_KILLS` says: `scripts/kills` has 200.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "sandbox/mod.rs"]
mod sandbox;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ostler::model::{BackendSpec, IsolationLevel, ProcessSpec};
use ostler::{Config, Exec, Ostler, PoolSpec};
use rustix::process::{Pid, WaitOptions, getpid, set_child_subreaper, waitpid};
use sandbox::eventually;

/// Set for the host that is to be killed: its state directory.
const HOST: &str = "OSTLER_TEST_KILLED_HOST";
const NAME: &str = "killed";
const BYSTANDER: &str = "bystander";
/// The promise is a second; a machine that is busy with other things is given more.
const LIMIT: Duration = Duration::from_secs(10);

fn config(state: &Path, name: &str, isolation: IsolationLevel, (min, max): (usize, usize)) -> Config {
    let backend = BackendSpec::Process(ProcessSpec { isolation, ..ProcessSpec::default() });
    let pool = PoolSpec { backend, min, max, max_uses: Some(2), ..PoolSpec::default() };
    Config::builder().instance(name).state_dir(state).pool("p", pool).build().unwrap()
}

fn say(word: &str) {
    let mut out = std::io::stdout();
    // Whoever listens may have gone.
    let _ = writeln!(out, "{word}").and_then(|()| out.flush());
}

/// Not a test by itself: the host.
#[tokio::test]
async fn host() {
    let Ok(directory) = std::env::var(HOST) else {
        return;
    };
    let isolation = if directory.ends_with("basic") { IsolationLevel::Basic } else { IsolationLevel::Auto };
    let ostler = Ostler::start(config(Path::new(&directory), NAME, isolation, (2, 4))).await.unwrap();
    say("started");
    let pool = ostler.pool("p").unwrap();
    loop {
        let lease = pool.acquire().await.unwrap();
        say("leased");
        lease.write("file", "content").await.unwrap();
        let shell = "setsid sleep 3600 & echo done";
        lease.exec(Exec::shell(shell).timeout(Duration::from_secs(20))).await.unwrap();
        say("worked");
        if lease.uses() == 1 {
            lease.discard();
        } else {
            drop(lease);
        }
        say("released");
    }
}

/// Processes whose parent this one is, zombies aside, which are reaped.
fn orphans() -> BTreeSet<u32> {
    let own = getpid().as_raw_nonzero().get().cast_unsigned();
    let mut orphans = BTreeSet::new();
    for task in fs::read_dir(format!("/proc/{own}/task")).unwrap() {
        // A thread that has just ended has no children either.
        let children = fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default();
        orphans.extend(children.split_whitespace().map(|pid| pid.parse::<u32>().unwrap()));
    }
    orphans.retain(|pid| {
        let pid = Pid::from_raw(pid.cast_signed()).unwrap();
        !matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(Some(_)))
    });
    orphans
}

/// Directories of the control groups that bear a name.
fn cgroups(name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().starts_with(&format!("{name}-")) {
                    found.push(entry.path());
                }
                open.push(entry.path());
            }
        }
    }
    found
}

#[tokio::test]
async fn a_host_killed_at_random_moments_leaves_nothing_and_touches_nobody() {
    if std::env::var(HOST).is_ok() {
        return;
    }
    let kills: u64 = std::env::var("OSTLER_KILLS").map_or(20, |kills| kills.parse().unwrap());
    set_child_subreaper(Some(getpid())).unwrap();
    let mut worst = Duration::ZERO;
    for (isolation, word) in [(IsolationLevel::Auto, "auto"), (IsolationLevel::Basic, "basic")] {
        let state = sandbox::state_dir();
        let directory = state.path().join(word);
        fs::create_dir(&directory).unwrap();
        // Shares the directory, and the host's parent in the control groups.
        let bystander = Ostler::start(config(&directory, BYSTANDER, isolation, (1, 1))).await.unwrap();
        let lease = bystander.pool("p").unwrap().acquire().await.unwrap();
        lease.write("mine", "untouched").await.unwrap();
        let keepers_of_ours = orphans();

        for kill in 0..kills / 2 {
            let mut rng = fastrand::Rng::with_seed(kill);
            let mut host = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "host", "--nocapture"])
                .env(HOST, &directory)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let own: BTreeSet<u32> = keepers_of_ours.iter().copied().chain([host.id()]).collect();
            let lines = BufReader::new(host.stdout.take().unwrap()).lines();
            let words = ["started", "leased", "worked", "released"];
            let said = |line: &String| words.contains(&line.as_str());
            let seen = lines.map(Result::unwrap).filter(said).take(rng.usize(..12)).count();
            tokio::time::sleep(Duration::from_micros(rng.u64(..20_000))).await;
            host.kill().unwrap();
            host.wait().unwrap();
            let begun = Instant::now();
            let left = || orphans().difference(&own).copied().collect::<Vec<_>>();
            while !left().is_empty() {
                assert!(begun.elapsed() < LIMIT, "{word}, kill {kill} after {seen} words: {:?} live", left());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            worst = worst.max(begun.elapsed());
        }
        // The next of its name finds and removes what no process was left to remove.
        let next = Ostler::start(config(&directory, NAME, isolation, (1, 1))).await.unwrap();
        next.shutdown().await.unwrap();
        assert_eq!(cgroups(NAME), [] as [PathBuf; 0]);
        assert_eq!(lease.read("mine").await.unwrap(), b"untouched");
        assert_eq!(bystander.pool("p").unwrap().status().launched, 1, "the bystander's was replaced");
        drop(lease);
        bystander.shutdown().await.unwrap();
        assert_eq!(cgroups(BYSTANDER), [] as [PathBuf; 0]);
        let files: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files, [] as [PathBuf; 0]);
        eventually(LIMIT, || orphans().is_empty()).await;
    }
    println!("{kills} kills, 0 survivors, the slowest was gone after {worst:?}");
}
