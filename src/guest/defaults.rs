use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use tokio::runtime::Handle;

/// What an operation uses that says nothing else. One for all sessions of a pool.
#[derive(Clone)]
pub struct Defaults {
    /// Longest a command may run. Default 60 s.
    pub timeout: Duration,
    /// Longest that a file operation waits for the guest's next word. Default 60 s.
    pub file_timeout: Duration,
    /// Bytes kept of each of a command's output streams. Default 1 MiB.
    pub output_limit: u64,
    /// Environment of every command. Default `PATH` and `LANG`; the guest adds `HOME`, its workspace. In a
    /// container it goes over the image's own: start from [`of_image`](Self::of_image) there.
    pub env: BTreeMap<OsString, OsString>,
    /// Bytes that a read, or a listing, may bring into memory. Default 64 MiB.
    pub read_limit: u64,
    /// Keeps the deadlines of callers that have no tokio runtime of their own; such callers have none on our
    /// side without it, only the guest's. Default none.
    pub home: Option<Handle>,
}

impl Default for Defaults {
    fn default() -> Self {
        let env =
            [("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("LANG", "C.UTF-8")];
        Self {
            timeout: Duration::from_mins(1),
            file_timeout: Duration::from_mins(1),
            output_limit: 1 << 20,
            env: env.map(|(name, value)| (name.into(), value.into())).into(),
            read_limit: 64 << 20,
            home: None,
        }
    }
}

impl Defaults {
    /// The same without an environment, for runtimes that bring their own: an image's.
    #[must_use]
    pub fn of_image() -> Self {
        Self { env: BTreeMap::new(), ..Self::default() }
    }
}

impl fmt::Debug for Defaults {
    /// Without the values of the environment, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Defaults")
            .field("timeout", &self.timeout)
            .field("file_timeout", &self.file_timeout)
            .field("output_limit", &self.output_limit)
            .field("env", &self.env.keys())
            .field("read_limit", &self.read_limit)
            .finish_non_exhaustive()
    }
}
