//! One sandboxed runtime to try things on, for the tests of the `process` backend.
#![expect(dead_code, reason = "each test file uses a part of it")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ostler::backend::Owner;
use ostler::backend::process::Process;
use ostler::backend::{Backend, BoxFuture, Exit, Instance, Launch, Residue};
use ostler::guest::{Defaults, Exec, Output, Session, Wire, WireError};
use ostler::model::{Epoch, IsolationLevel, Limits, PoolName, ProcessSpec, RuntimeId};
use rustix::process::geteuid;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(10);

/// Limits small enough to be hit.
pub(crate) fn limits() -> Limits {
    Limits {
        memory: Some(96 << 20),
        pids: Some(32),
        cpus: Some(1.0),
        file_size: Some(1 << 20),
        open_files: Some(64),
    }
}

pub(crate) fn spec(isolation: IsolationLevel) -> ProcessSpec {
    ProcessSpec { isolation, ..ProcessSpec::default() }
}

/// A directory that the sandbox's user can pass through.
pub(crate) fn state_dir() -> TempDir {
    tempfile::Builder::new()
        .prefix("ostler-test-")
        .permissions(Permissions::from_mode(0o711))
        .tempdir()
        .unwrap()
}

pub(crate) fn backend(spec: &ProcessSpec, limits: &Limits, state_dir: PathBuf) -> Arc<Process> {
    // Tests run side by side and sweep; each directory stands for an instance of its own.
    let instance = state_dir.display().to_string();
    let owner = Owner { instance, state_dir };
    Process::new(spec, limits, owner, slog::Logger::root(slog::Discard, slog::o!()))
}

/// A runtime, leased. [`end`](Runtime::end) it, so that what it leaves can be seen to be nothing.
pub(crate) struct Runtime {
    pub(crate) backend: Arc<Process>,
    pub(crate) instance: Box<dyn Instance>,
    pub(crate) exit: BoxFuture<Exit>,
    pub(crate) control: Session,
    data: Arc<dyn Wire>,
    epoch: Epoch,
    pub(crate) state: TempDir,
    pub(crate) cgroups: Vec<PathBuf>,
    /// The guest's.
    pub(crate) pid: u32,
    pub(crate) keeper: u32,
}

impl Runtime {
    pub(crate) async fn start(isolation: IsolationLevel) -> Self {
        Self::with(&spec(isolation), &limits()).await
    }

    pub(crate) async fn with(spec: &ProcessSpec, limits: &Limits) -> Self {
        let state = state_dir();
        let backend = backend(spec, limits, state.path().to_owned());
        let launch = Launch { pool: PoolName::new("p"), runtime: RuntimeId(1) };
        let launched = backend.launch(launch).await.unwrap_or_else(|error| {
            panic!("{error}: {}", error.source.as_ref().map_or(String::new(), ToString::to_string))
        });
        let epoch = Epoch(1);
        launched.data.begin(epoch);
        let control = Session::new(launched.control, Epoch(0), Arc::new(Defaults::default()));
        let (instance, exit, data) = (launched.instance, launched.exit, launched.data);
        let pid: u32 = instance.handle().strip_prefix("pid ").unwrap().parse().unwrap();
        let cgroups = cgroups_of(std::process::id())
            .into_iter()
            .filter(|directory| members(directory).contains(&pid.to_string()))
            .collect();
        Self { backend, instance, exit, control, data, epoch, state, cgroups, pid, keeper: parent_of(pid) }
    }

    pub(crate) fn session(&self) -> Session {
        Session::new(Arc::clone(&self.data), self.epoch, Arc::new(Defaults::default()))
    }

    pub(crate) async fn run(&self, exec: Exec) -> Result<Output, WireError> {
        self.session().exec(exec.timeout(PATIENCE)).await
    }

    /// Runs a script and answers what it said, both streams together, and whether it succeeded.
    pub(crate) async fn sh(&self, script: &str) -> (bool, String) {
        let output = self.run(Exec::shell(format!("exec 2>&1; {script}"))).await.unwrap();
        (output.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What a script says that must succeed.
    pub(crate) async fn says(&self, script: &str) -> String {
        let (success, said) = self.sh(script).await;
        assert!(success, "{script}: {said}");
        said.trim().to_owned()
    }

    /// A script that must not succeed.
    pub(crate) async fn refuses(&self, script: &str) -> String {
        let (success, said) = self.sh(script).await;
        assert!(!success, "{script} was allowed: {said}");
        said
    }

    /// Ends the lease, cleans, looks, and begins the next lease.
    pub(crate) async fn reset(&mut self) -> Result<(), Residue> {
        self.clean().await;
        let verdict = self.instance.verify().await;
        self.epoch = Epoch(self.epoch.0 + 1);
        self.data.begin(self.epoch);
        verdict
    }

    /// Ends the lease and cleans, without looking.
    pub(crate) async fn clean(&mut self) {
        self.data.end();
        self.control.reset(self.epoch, PATIENCE).await.unwrap();
    }

    pub(crate) async fn end(mut self) {
        self.instance.destroy().await.unwrap();
        self.exit.await;
        self.backend.close().await.unwrap();
        assert!(!exists(self.pid) && !exists(self.keeper), "a process is left");
        let left: Vec<_> = fs::read_dir(self.state.path()).unwrap().collect();
        assert!(left.is_empty(), "left behind: {left:?}");
        let left: Vec<_> = self.cgroups.iter().filter(|directory| directory.exists()).collect();
        assert!(left.is_empty(), "left behind: {left:?}");
    }
}

/// Whether a process runs. One that has ended and waits for its parent to notice does not.
pub(crate) fn exists(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| fields[0] != "Z")
}

/// 0 when there is no such process.
pub(crate) fn parent_of(pid: u32) -> u32 {
    stat(pid).map_or(0, |fields| fields[1].parse().unwrap())
}

/// What comes behind the name in a process's `stat`.
fn stat(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(") ")?.1.split(' ').map(str::to_owned).collect())
}

/// Directories of runtimes in any cgroup hierarchy that belong to an ostler of this pid.
pub(crate) fn cgroups_of(pid: u32) -> Vec<PathBuf> {
    cgroups_like(&format!("*/ostler/*-{pid}-*/*"))
}

/// These, and the directories around them that are of this ostler alone.
pub(crate) fn lives_of(pid: u32) -> Vec<PathBuf> {
    cgroups_like(&format!("*/ostler/*-{pid}-*"))
}

fn cgroups_like(pattern: &str) -> Vec<PathBuf> {
    let find = ["/sys/fs/cgroup", "-type", "d", "-path", pattern];
    let output = Command::new("find").args(find).output().unwrap();
    String::from_utf8_lossy(&output.stdout).lines().map(PathBuf::from).collect()
}

fn members(cgroup: &Path) -> Vec<String> {
    let list = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    list.lines().map(str::to_owned).collect()
}

/// Waits until `done`, at most so long, and answers how long it took.
pub(crate) async fn eventually(longest: Duration, mut done: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < longest, "not done after {longest:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    start.elapsed()
}

pub(crate) fn is_root() -> bool {
    geteuid().is_root()
}

/// Runs the other tests of this file again, as an ordinary user. Does nothing when run as one.
pub(crate) fn again_as_an_ordinary_user(this_test: &str) {
    some_as_an_ordinary_user(&["--skip", this_test]);
}

/// The tests that these arguments choose.
pub(crate) fn some_as_an_ordinary_user(chosen: &[&str]) {
    if !is_root() {
        return;
    }
    let place = state_dir();
    fs::set_permissions(place.path(), Permissions::from_mode(0o1777)).unwrap();
    let copy = place.path().join("test");
    // Not by this process: a keeper forked meanwhile would hold it open for writing, and it could not be executed.
    let copied = Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&copy).status().unwrap();
    assert!(copied.success(), "{copied}");
    let status = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&copy)
        .args(chosen)
        .env("TMPDIR", place.path())
        .current_dir("/")
        .status()
        .unwrap();
    assert!(status.success(), "as an ordinary user: {status}");
}

/// The keepers of a process: children of the threads that start them, and nobody else's.
pub(crate) fn keepers_of(pid: u32) -> Vec<u32> {
    let is_spawner = |task: &Path| {
        fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim_end() == "ostler-spawner")
    };
    children(tasks_of(pid).filter(|task| is_spawner(task)))
}

pub(crate) fn children_of(pid: u32) -> Vec<u32> {
    children(tasks_of(pid))
}

fn tasks_of(pid: u32) -> impl Iterator<Item = PathBuf> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks.map(|task| task.path())
}

fn children(tasks: impl Iterator<Item = PathBuf>) -> Vec<u32> {
    let lists = tasks.filter_map(|task| fs::read_to_string(task.join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}
