//! An engine of a test's own, to be killed, stopped and started again without anybody else's noticing.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bollard::body_full;
use bollard::query_parameters::ImportImageOptionsBuilder;
use futures_util::TryStreamExt as _;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::engine::{Engine, Kind, image, skip};

const PATIENCE: Duration = Duration::from_mins(1);

/// What Podman is told beside its command line. Locks in memory would be one with those of every other Podman here.
const CONTAINERS: &str = "[containers]\ndefault_ulimits = [\"nofile=20000:20000\", \"nproc=32768:32768\"]\n\
    [engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\nlock_type = \"file\"\n";

/// Dropped, it ends with all it has started.
pub(crate) struct Private {
    kind: Kind,
    /// Short, for the paths of sockets.
    directory: TempDir,
    daemon: Child,
    /// More of its command line. Podman listens in one place: here instead of on its unix socket.
    listening: Vec<String>,
    /// A directory that it does not see into.
    hidden: Option<PathBuf>,
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Private {
    /// Starts one like `shared`, with the test's image; it listens on its unix socket and as these arguments say.
    /// None, and a skip, where that can't be done.
    pub(crate) async fn start(shared: &Engine, listening: Vec<String>) -> Option<Self> {
        Self::start_without(shared, listening, None).await
    }

    /// The same, with a directory hidden from it: of what is there it shares no file system with us.
    pub(crate) async fn start_without(
        shared: &Engine,
        listening: Vec<String>,
        hidden: Option<PathBuf>,
    ) -> Option<Self> {
        let directory = tempfile::Builder::new().prefix("eng-").tempdir_in("/tmp").unwrap();
        fs::write(directory.path().join("containers.conf"), CONTAINERS).unwrap();
        let storage = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{0}/root\"\nrunroot = \"{0}/run\"\n",
            directory.path().display()
        );
        fs::write(directory.path().join("storage.conf"), storage).unwrap();
        let Ok(daemon) = command(shared.kind, directory.path(), &listening, hidden.as_deref()).spawn() else {
            skip(&format!("an engine of a test's own on {:?}: it can't be started", shared.kind));
            return None;
        };
        let private = Self { kind: shared.kind, directory, daemon, listening, hidden };
        private.answers().await;
        private.copy_image(shared).await;
        Some(private)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("s")
    }

    pub(crate) fn engine(&self) -> Engine {
        let host = match (self.kind, &self.listening[..]) {
            (Kind::Podman, [address]) => address.clone(),
            _ => format!("unix://{}", self.socket().display()),
        };
        Engine { kind: self.kind, host }
    }

    /// It stops where it is, and goes on with `CONT`.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.daemon.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// It is gone all at once, and its containers are nobody's.
    pub(crate) fn kill(&mut self) {
        self.daemon.kill().unwrap();
        self.daemon.wait().unwrap();
    }

    /// It is asked to end, and has ended.
    pub(crate) async fn end(&mut self) {
        self.signal(Signal::TERM);
        let begun = Instant::now();
        while self.daemon.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < PATIENCE, "{}", self.said());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// After it has ended.
    pub(crate) async fn start_again(&mut self) {
        let mut command = command(self.kind, self.directory.path(), &self.listening, self.hidden.as_deref());
        self.daemon = command.spawn().unwrap();
        self.answers().await;
    }

    async fn answers(&self) {
        let begun = Instant::now();
        while !matches!(self.ping().await, Ok(Ok(_))) {
            assert!(begun.elapsed() < PATIENCE, "{}", self.said());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn said(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    async fn ping(&self) -> Result<Result<String, bollard::errors::Error>, tokio::time::error::Elapsed> {
        // A socket that is not there yet is no client's.
        if self.engine().host.starts_with("unix:") && !self.socket().exists() {
            return Ok(Err(bollard::errors::Error::RequestTimeoutError));
        }
        tokio::time::timeout(Duration::from_secs(5), self.engine().connect(5).ping()).await
    }

    async fn copy_image(&self, from: &Engine) {
        let name = image();
        let pieces: Vec<_> = from.client().await.export_image(&name).try_collect().await.unwrap();
        let client = self.engine().client().await;
        let options = ImportImageOptionsBuilder::new().build();
        let loaded = client.import_image(options, body_full(pieces.concat().into()), None);
        loaded.try_collect::<Vec<_>>().await.unwrap();
    }
}

/// What its containers' cgroups are in.
fn cgroup(directory: &Path) -> String {
    format!("/ostler-{}", directory.file_name().unwrap().to_str().unwrap())
}

/// Removes a tree of cgroups, as far as it is there and nobody is in it.
fn clear(tree: &Path) {
    for entry in fs::read_dir(tree).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            clear(&entry.path());
        }
    }
    drop(fs::remove_dir(tree));
}

fn command(kind: Kind, directory: &Path, listening: &[String], hidden: Option<&Path>) -> Command {
    let start = |program: &str| match hidden {
        None => Command::new(program),
        Some(hidden) => {
            let mut command = Command::new("unshare");
            command.args(["--mount", "--propagation", "slave", "sh", "-c"]);
            command.args(["mount -t tmpfs none \"$0\" && exec \"$@\"".as_ref(), hidden.as_os_str()]);
            command.arg(program);
            command
        }
    };
    let at = |name: &str| directory.join(name).display().to_string();
    let log = File::options().create(true).append(true).open(at("log")).unwrap();
    let mut command = match kind {
        Kind::Docker => {
            let mut command = start("dockerd");
            let places = [("--data-root", "root"), ("--exec-root", "run"), ("--pidfile", "pid")];
            command.args(places.into_iter().flat_map(|(option, place)| [option.to_owned(), at(place)]));
            command.args(["-H".to_owned(), format!("unix://{}", at("s"))]);
            command.args([
                "--storage-driver",
                "vfs",
                "--bridge",
                "none",
                "--cgroup-parent",
                &cgroup(directory),
            ]);
            command.args([
                "--iptables=false",
                "--ip6tables=false",
                "--ip-forward=false",
                "--log-level",
                "warn",
            ]);
            // Beside others on the same containerd, should there be one on this host.
            command.args(["--containerd-namespace", "ostler-private"]);
            command.args(["--containerd-plugins-namespace", "ostler-private-plugins"]).args(listening);
            command
        }
        Kind::Podman => {
            let mut command = start("podman");
            command.env("CONTAINERS_CONF", at("containers.conf"));
            command.env("CONTAINERS_STORAGE_CONF", at("storage.conf"));
            command.args(["--root", &at("root"), "--runroot", &at("run"), "--tmpdir", &at("tmp")]);
            command.args(["--log-level", "warn", "system", "service", "--time=0"]);
            match listening {
                [] => command.arg(format!("unix://{}", at("s"))),
                listening => command.args(listening),
            };
            command
        }
    };
    // What Podman's monitor drops where it runs goes with the rest.
    command.current_dir(directory).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    command
}

impl Drop for Private {
    fn drop(&mut self) {
        self.signal(Signal::CONT);
        self.signal(Signal::TERM);
        let begun = Instant::now();
        while self.daemon.try_wait().unwrap().is_none() && begun.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let own = format!("{}/", self.directory.path().display());
        // What it has started, and it itself if it will not end: whatever names the directory on its command line.
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) =
                process.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw)
            else {
                continue;
            };
            let words = fs::read(process.path().join("cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&words).contains(&own) {
                // It may have ended by now.
                let _: Result<(), _> = kill_process(pid, Signal::KILL);
            }
        }
        drop(self.daemon.wait());
        let top = Path::new("/sys/fs/cgroup");
        let controllers = fs::read_dir(top).into_iter().flatten().flatten().map(|entry| entry.path());
        for parent in controllers.chain([top.to_owned()]) {
            clear(&parent.join(cgroup(self.directory.path()).trim_start_matches('/')));
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        for place in mounts.lines().rev().filter_map(|line| line.split(' ').nth(4)) {
            if place.starts_with(&own) {
                drop(Command::new("umount").args(["-l", place]).status());
            }
        }
    }
}
