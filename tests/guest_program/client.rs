//! A guest in a directory of its own, and a synchronous end of its streams.

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use ostler::protocol::{
    Done, ExecRequest, Exited, FrameBuffer, Hello, Input, Refusal, RefusalKind, Reply, Request, Reset,
    Stream, VERSION, Vitals, Welcome,
};

use crate::program::install;

/// Far longer than anything here takes, so that only a hang is cut off.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The guest program on disk, once for all tests of this process. `OSTLER_TEST_GUEST` names another build of it to be
/// tested in its place (`scripts/sanitize`).
pub(crate) fn program() -> &'static Path {
    static OTHER: OnceLock<Option<PathBuf>> = OnceLock::new();
    static PROGRAM: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    if let Some(other) = OTHER.get_or_init(|| std::env::var_os("OSTLER_TEST_GUEST").map(PathBuf::from)) {
        return other;
    }
    let (_, path) = PROGRAM.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("ostler-guest");
        install(&path);
        (directory, path)
    });
    path
}

/// A guest that runs. Dropped, it is ended, with everything below it.
pub(crate) struct Guest {
    pub(crate) control: Client,
    pub(crate) data: Client,
    pub(crate) child: Child,
    pub(crate) directory: tempfile::TempDir,
}

impl Guest {
    /// One whose streams are greeted.
    pub(crate) fn start() -> Self {
        let mut guest = Self::start_silent();
        guest.control.greet();
        guest.data.greet();
        guest
    }

    /// One that waits to be greeted.
    pub(crate) fn start_silent() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let (control, control_end) = UnixStream::pair().expect("a socket pair");
        let (data, data_end) = UnixStream::pair().expect("a socket pair");
        let child = Command::new(program())
            .arg("init")
            .arg("--workspace")
            .arg(directory.path())
            .args(["--parent", &std::process::id().to_string()])
            .stdin(Stdio::from(OwnedFd::from(control_end)))
            .stdout(Stdio::from(OwnedFd::from(data_end)))
            .spawn()
            .expect("start the guest");
        Self { control: Client::new(control), data: Client::new(data), child, directory }
    }

    pub(crate) fn workspace(&self) -> &Path {
        self.directory.path()
    }

    /// Waits for the guest to end by itself.
    pub(crate) fn wait(&mut self) -> std::process::ExitStatus {
        let mut status = None;
        eventually("the guest ends", || {
            status = self.child.try_wait().expect("wait for the guest");
            status.is_some()
        });
        status.expect("it has ended")
    }

    /// Resident memory, KiB.
    pub(crate) fn memory(&self) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the guest's status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a size");
        line.split_whitespace().nth(1).and_then(|size| size.parse().ok()).expect("a number")
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // The guest clears away what it started once its control stream ends.
        let _gone = self.control.socket.shutdown(std::net::Shutdown::Both);
        let end = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// One end of one stream. Credits what it reads, unless told not to.
pub(crate) struct Client {
    pub(crate) socket: UnixStream,
    input: FrameBuffer,
    next: u64,
    /// Whether `Data` is credited as it comes.
    pub(crate) credits: bool,
    /// Replies that came while another operation's were wanted.
    waiting: HashMap<u64, Vec<Reply>>,
}

/// Everything an operation answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) out: Vec<u8>,
    pub(crate) err: Vec<u8>,
    pub(crate) result: Result<Done, Refusal>,
}

impl Client {
    pub(crate) fn new(socket: UnixStream) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        socket.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        Self { socket, input: FrameBuffer::new(), next: 1, credits: true, waiting: HashMap::new() }
    }

    pub(crate) fn greet(&mut self) -> Welcome {
        match self.call(&Request::Hello(Hello { version: VERSION })).result {
            Ok(Done::Welcome(welcome)) => welcome,
            other => panic!("not a welcome: {other:?}"),
        }
    }

    /// Opens an operation.
    pub(crate) fn open(&mut self, request: &Request) -> u64 {
        let op = self.next;
        self.next += 1;
        let mut bytes = Vec::new();
        request.encode(op, &mut bytes).expect("a request that fits");
        self.socket.write_all(&bytes).expect("send a request");
        op
    }

    /// Says something about an operation.
    pub(crate) fn say(&mut self, op: u64, input: &Input) {
        let mut bytes = Vec::new();
        input.encode(op, &mut bytes).expect("an input that fits");
        self.socket.write_all(&bytes).expect("send input");
    }

    /// The next reply to an operation.
    pub(crate) fn reply(&mut self, op: u64) -> Reply {
        loop {
            if let Some(replies) = self.waiting.get_mut(&op)
                && !replies.is_empty()
            {
                return replies.remove(0);
            }
            let (of, reply) = self.next().expect("a reply before the end of the stream");
            self.waiting.entry(of).or_default().push(reply);
        }
    }

    /// The next reply to whichever operation; `None` at the end of the stream.
    pub(crate) fn next(&mut self) -> Option<(u64, Reply)> {
        loop {
            if let Some(frame) = self.input.cut().expect("a frame") {
                let (op, reply) = (frame.op, Reply::decode(&frame).expect("a reply"));
                if let (Reply::Data(_, data), true) = (&reply, self.credits) {
                    let used = u32::try_from(data.len()).expect("a frame's length");
                    self.say_if_open(op, &Input::Credit(used));
                }
                return Some((op, reply));
            }
            let mut bytes = vec![0; 64 << 10];
            match self.socket.read(&mut bytes) {
                Ok(0) => return None,
                Ok(count) => self.input.extend(&bytes[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("the guest says nothing: {error}"),
            }
        }
    }

    fn say_if_open(&mut self, op: u64, input: &Input) {
        let mut bytes = Vec::new();
        input.encode(op, &mut bytes).expect("an input that fits");
        // The guest may have ended the stream after what it sent last.
        let _sent = self.socket.write_all(&bytes);
    }

    /// Everything an operation answers, up to its end.
    pub(crate) fn finish(&mut self, op: u64) -> Answer {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let result = loop {
            match self.reply(op) {
                Reply::Data(Stream::Out, data) => out.extend(data),
                Reply::Data(Stream::Err, data) => err.extend(data),
                Reply::Credit(_) => {}
                Reply::Done(done) => break Ok(done),
                Reply::Failed(refusal) => break Err(refusal),
            }
        };
        Answer { out, err, result }
    }

    pub(crate) fn call(&mut self, request: &Request) -> Answer {
        let op = self.open(request);
        self.finish(op)
    }

    pub(crate) fn ping(&mut self) -> Vitals {
        match self.call(&Request::Ping).result {
            Ok(Done::Vitals(vitals)) => vitals,
            other => panic!("not vitals: {other:?}"),
        }
    }

    /// Runs a shell script to its end.
    pub(crate) fn shell(&mut self, script: &str) -> Answer {
        self.call(&Request::Exec(shell(script)))
    }

    pub(crate) fn reset(&mut self, fence: u64) -> u32 {
        match self.call(&Request::Reset(Reset { fence })).result {
            Ok(Done::Reset { killed }) => killed,
            other => panic!("not reset: {other:?}"),
        }
    }
}

impl Answer {
    pub(crate) fn exited(&self) -> &Exited {
        match &self.result {
            Ok(Done::Exited(exited)) => exited,
            other => panic!("no exit: {other:?}"),
        }
    }

    pub(crate) fn refused(&self) -> RefusalKind {
        match &self.result {
            Err(refusal) => refusal.kind,
            other => panic!("not refused: {other:?}"),
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }
}

/// The epoch most tests use.
pub(crate) const EPOCH: u64 = 1;

/// A request to run a program.
pub(crate) fn program_of(argv: &[&str]) -> ExecRequest {
    ExecRequest {
        epoch: EPOCH,
        argv: argv.iter().map(|arg| arg.as_bytes().to_vec()).collect(),
        env: vec![(b"PATH".to_vec(), b"/usr/local/bin:/usr/bin:/bin".to_vec())],
        cwd: Vec::new(),
        timeout_ms: None,
        stdin: false,
        output_cap: None,
    }
}

pub(crate) fn shell(script: &str) -> ExecRequest {
    program_of(&["sh", "-c", script])
}

/// Waits for something that must come true soon.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether a process runs, zombies not counted.
pub(crate) fn is_alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|line| !line.rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(" Z")))
}
