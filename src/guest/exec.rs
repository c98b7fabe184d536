use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;

use super::session::bytes;
use super::{ExecStream, Output, Session, WireError};
use crate::protocol::{ExecRequest, Request};

/// A command to run in a runtime.
///
/// ```
/// use ostler::guest::Exec;
/// use std::time::Duration;
///
/// let sort = Exec::new("sort").arg("-n").stdin("3\n1\n2\n").timeout(Duration::from_secs(5));
/// let count = Exec::shell("ls | wc -l").env("LC_ALL", "C").cwd("src");
/// # drop((sort, count));
/// ```
#[derive(Clone)]
#[must_use = "a command does nothing until it is handed to a lease"]
pub struct Exec {
    argv: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    cwd: PathBuf,
    pub(super) timeout: Option<Duration>,
    pub(super) stdin: Source,
    pub(super) output_limit: Option<u64>,
}

/// Where a command's stdin comes from.
#[derive(Clone)]
pub(super) enum Source {
    /// `/dev/null`.
    Null,
    /// These bytes, then the end.
    Bytes(Bytes),
    /// Whatever is written while it runs.
    Piped,
}

impl Exec {
    /// Runs `program`, looked up in the command's `PATH` when it has no slash.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            argv: vec![program.as_ref().to_owned()],
            env: BTreeMap::new(),
            cwd: PathBuf::new(),
            timeout: None,
            stdin: Source::Null,
            output_limit: None,
        }
    }

    /// Runs a script with the runtime's `sh -c`.
    pub fn shell(script: impl AsRef<OsStr>) -> Self {
        Self::new("sh").arg("-c").arg(script)
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.argv.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.argv.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable, over the pool's.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.as_ref().to_owned(), value.as_ref().to_owned());
        self
    }

    /// Sets environment variables, over the pool's.
    pub fn envs(self, vars: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>) -> Self {
        vars.into_iter().fold(self, |exec, (name, value)| exec.env(name, value))
    }

    /// Where it runs; relative to the workspace, which is also the default.
    pub fn cwd(mut self, path: impl AsRef<Path>) -> Self {
        path.as_ref().clone_into(&mut self.cwd);
        self
    }

    /// After this its whole process tree is killed, and what it has written so far is kept. Default: the
    /// pool's `exec_timeout`. Counted in whole milliseconds, at least one.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Bytes for its stdin, which is `/dev/null` otherwise.
    pub fn stdin(mut self, bytes: impl Into<Bytes>) -> Self {
        self.stdin = Source::Bytes(bytes.into());
        self
    }

    /// Its stdin is what is written to the [`ExecStream`] while it runs. With [`Session::exec`], which has
    /// nobody to write, the same as no bytes.
    pub fn stdin_piped(mut self) -> Self {
        self.stdin = Source::Piped;
        self
    }

    /// Bytes kept of each output stream; the rest is read, counted and dropped. Default: the pool's
    /// `output_limit`, but all of it where the output is streamed.
    pub fn output_limit(mut self, bytes: u64) -> Self {
        self.output_limit = Some(bytes);
        self
    }

    /// The request for the guest.
    pub(super) fn request(&self, session: &Session, output_cap: Option<u64>) -> Request {
        let mut env: BTreeMap<&OsStr, &OsStr> = BTreeMap::new();
        for (name, value) in session.defaults.env.iter().chain(&self.env) {
            env.insert(name, value);
        }
        let millis = u64::try_from(self.effective_timeout(session).as_millis()).unwrap_or(u64::MAX);
        Request::Exec(ExecRequest {
            epoch: session.epoch.0,
            argv: self.argv.iter().map(|arg| arg.clone().into_vec()).collect(),
            env: env
                .iter()
                .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
                .collect(),
            cwd: bytes(&self.cwd),
            timeout_ms: Some(millis.max(1)),
            stdin: !matches!(self.stdin, Source::Null),
            output_cap,
        })
    }

    pub(super) fn effective_timeout(&self, session: &Session) -> Duration {
        self.timeout.unwrap_or(session.defaults.timeout)
    }
}

impl fmt::Debug for Exec {
    /// Without the values of the environment and the bytes of stdin, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exec")
            .field("argv", &self.argv)
            .field("env", &self.env.keys())
            .field("cwd", &self.cwd)
            .field("timeout", &self.timeout)
            .field("stdin", &self.stdin)
            .field("output_limit", &self.output_limit)
            .finish()
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Piped => f.write_str("piped"),
        }
    }
}

impl Session {
    /// Runs a command to its end and answers what it wrote and how it ended. A status other than 0, and a
    /// command that its timeout ended, are outputs, not errors.
    ///
    /// Dropped before its end, the command's whole process tree is killed.
    ///
    /// # Errors
    /// A refusal when it could not be started; [`WireError::Silent`] when the guest says nothing for more than
    /// a second beyond the timeout.
    pub async fn exec(&self, exec: Exec) -> Result<Output, WireError> {
        let limit = exec.output_limit.unwrap_or(self.defaults.output_limit);
        let mut stream = ExecStream::start(self, exec, Some(limit))?;
        stream.close_stdin()?;
        stream.wait_hard().await
    }

    /// Starts a command whose output is read while it runs, and which can be written to and signalled.
    ///
    /// A slow reader slows the command down and nobody else; a megabyte of its output is read ahead.
    ///
    /// # Errors
    /// When the request could not be sent. That the command could not be started is the first thing the
    /// stream says.
    pub fn exec_stream(&self, exec: Exec) -> Result<ExecStream, WireError> {
        let cap = exec.output_limit;
        ExecStream::start(self, exec, cap)
    }
}
