//! Starts the command, speaks to it, and looks what it leaves.

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Once;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, set_child_subreaper};
use tempfile::TempDir;

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

const OSTLER: &str = env!("CARGO_BIN_EXE_ostler");

/// A directory with a config in it.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::Builder::new().prefix("ostler-cli-").tempdir().unwrap())
    }

    /// With one pool `p` of the fake backend.
    pub(crate) fn fake() -> (Self, PathBuf) {
        let place = Self::new();
        let config = place.config("[pools.p]\nbackend = \"fake\"\nmin = 2\nmax = 4\n");
        (place, config)
    }

    /// With one pool `p` of the process backend.
    pub(crate) fn process() -> (Self, PathBuf) {
        let place = Self::new();
        let config = place.config("[pools.p]\nbackend = \"process\"\nmin = 1\nmax = 2\n");
        (place, config)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes `pools.toml`, with a state directory in this place.
    pub(crate) fn config(&self, pools: &str) -> PathBuf {
        self.file("pools.toml", format!("state_dir = \"state\"\n{pools}"))
    }

    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Whether anything that runs has been here.
    pub(crate) fn is_untouched(&self) -> bool {
        !self.path().join("state").exists()
    }
}

/// The command with these arguments, in an environment that says nothing to it.
pub(crate) fn ostler<A: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = A>) -> Command {
    // Whatever loses its parent becomes ours, and can be found.
    static REAPER: Once = Once::new();
    REAPER.call_once(|| set_child_subreaper(Some(rustix::process::getpid())).unwrap());
    let mut command = Command::new(OSTLER);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().to_ascii_uppercase().starts_with("OSTLER__") {
            command.env_remove(name);
        }
    }
    command
}

/// What it came to.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Done {
    #[track_caller]
    pub(crate) fn expect(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "{self:#?}");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        self
    }
}

/// Runs it to its end.
#[track_caller]
pub(crate) fn run<A: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = A>) -> Done {
    Running::start(ostler(args)).end()
}

/// One that runs. Dropped, it is killed.
pub(crate) struct Running {
    child: Child,
    stdout: Stream,
    stderr: Stream,
    started: Instant,
}

/// Lines as they come.
struct Stream {
    lines: Option<Receiver<String>>,
    seen: String,
}

impl Stream {
    fn of(stream: Option<impl Read + Send + 'static>) -> Self {
        let lines = stream.map(|stream| {
            let (sender, lines) = channel();
            thread::spawn(move || {
                let mut stream = BufReader::new(stream);
                let mut line = Vec::new();
                while stream.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                    if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                        return;
                    }
                    line.clear();
                }
            });
            lines
        });
        Self { lines, seen: String::new() }
    }

    #[track_caller]
    fn wait_for(&mut self, words: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        while let Some(lines) = &self.lines {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen += &line;
                    if line.contains(words) {
                        return line;
                    }
                }
                Err(why) => panic!("no {words:?} ({why}); there was:\n{}", self.seen),
            }
        }
        panic!("nobody reads that stream");
    }

    /// All there was, now that nothing more can come from the command itself.
    fn finish(mut self) -> String {
        let deadline = Instant::now() + PATIENCE;
        while let Some(lines) = &self.lines {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen += &line,
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("somebody holds the stream open"),
            }
        }
        self.seen
    }
}

impl Running {
    #[track_caller]
    pub(crate) fn start(mut command: Command) -> Self {
        let started = Instant::now();
        let mut child = command.spawn().unwrap();
        let (stdout, stderr) = (Stream::of(child.stdout.take()), Stream::of(child.stderr.take()));
        Self { child, stdout, stderr, started }
    }

    /// The next line of stdout with these words.
    #[track_caller]
    pub(crate) fn out(&mut self, words: &str) -> String {
        self.stdout.wait_for(words)
    }

    /// The next line of stderr with these words.
    #[track_caller]
    pub(crate) fn err(&mut self, words: &str) -> String {
        self.stderr.wait_for(words)
    }

    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().unwrap()
    }

    /// Writes all of its stdin, and ends it.
    pub(crate) fn feed(&mut self, bytes: Vec<u8>) {
        let mut stdin = self.stdin();
        thread::spawn(move || stdin.write_all(&bytes));
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    #[track_caller]
    pub(crate) fn end(mut self) -> Done {
        eventually("it ends", || !self.is_running());
        let status = self.child.wait().unwrap().code();
        let took = self.started.elapsed();
        let take = |stream: &mut Stream| {
            std::mem::replace(stream, Stream { lines: None, seen: String::new() }).finish()
        };
        Done { status, took, stdout: take(&mut self.stdout), stderr: take(&mut self.stderr) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails when it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until no process is left whose `ostler` is gone.
#[track_caller]
pub(crate) fn no_orphans() {
    eventually("no process is left over", || orphans().is_empty());
}

/// Children of ours that we did not start.
fn orphans() -> Vec<u32> {
    let own_program = fs::read_link("/proc/self/exe").unwrap();
    children(std::process::id())
        .into_iter()
        .filter(|pid| match fs::read_link(format!("/proc/{pid}/exe")) {
            // Not yet become what it was started as, or one we started.
            Ok(program) => program != own_program && program != Path::new(OSTLER),
            // Ended, and waits for us to look.
            Err(_) => false,
        })
        .collect()
}

pub(crate) fn children(parent: u32) -> Vec<u32> {
    let pids =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| parent_of(*pid) == Some(parent)).collect()
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let after = stat.iter().rposition(|byte| *byte == b')')? + 1;
    std::str::from_utf8(&stat[after..]).ok()?.split_ascii_whitespace().nth(1)?.parse().ok()
}
