use std::time::Duration;

use crate::protocol::Exited;

/// What a command wrote and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// What it wrote to stdout, up to the limit. From [`ExecStream::wait`](super::ExecStream::wait): what had
    /// not been read before.
    pub stdout: Vec<u8>,
    /// As `stdout`.
    pub stderr: Vec<u8>,
    /// Its exit status, when it exited.
    pub code: Option<i32>,
    /// The signal that ended it, when one did.
    pub signal: Option<i32>,
    /// Whether its timeout ended it.
    pub timed_out: bool,
    /// Whether it wrote more to stdout than was kept.
    pub stdout_truncated: bool,
    /// As `stdout_truncated`.
    pub stderr_truncated: bool,
    /// Bytes it wrote to stdout, kept or not.
    pub stdout_bytes: u64,
    /// Bytes it wrote to stderr, kept or not.
    pub stderr_bytes: u64,
    /// Processor time of it and its children, user and system.
    pub cpu: Duration,
    /// Its largest resident size, bytes.
    pub max_rss: u64,
    /// Time from the request to the answer, as seen from here.
    pub wall: Duration,
}

impl Output {
    /// Whether it exited with status 0 of its own accord.
    #[must_use]
    pub fn success(&self) -> bool {
        self.code == Some(0) && !self.timed_out
    }

    /// Fills in how it ended.
    pub(super) fn ended(mut self, exited: &Exited, delivered: [u64; 2], wall: Duration) -> Self {
        self.code = exited.code.map(u32::cast_signed);
        self.signal = exited.signal.map(u32::cast_signed);
        self.timed_out = exited.timed_out;
        self.stdout_bytes = exited.stdout_bytes;
        self.stderr_bytes = exited.stderr_bytes;
        self.stdout_truncated |= exited.stdout_bytes > delivered[0];
        self.stderr_truncated |= exited.stderr_bytes > delivered[1];
        self.cpu = Duration::from_micros(exited.cpu_us);
        self.max_rss = exited.max_rss;
        self.wall = wall;
        self
    }
}
