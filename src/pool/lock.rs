use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, OFlags, flock};
use slog::{Logger, warn};
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, spawn_blocking};

use crate::config::can_trust;

/// How often the holder says that it is alive. Nobody acts on it: the kernel drops the lock of a dead one.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// How often a file that was removed while it was being locked is looked for anew.
const TRIES: usize = 100;

/// The right to an instance's name, as long as it is held: a locked file in the state directory that says by whom.
/// It goes with the process, however that ends; what it leaves is a file that the next one takes over.
#[derive(Debug)]
pub(super) struct InstanceLock {
    path: PathBuf,
    file: Arc<File>,
    holder: Holder,
    beats: Option<AbortHandle>,
}

/// Who holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Holder {
    pid: u32,
    /// The kernel's boot id.
    boot: String,
    /// Seconds since 1970, as the next two.
    started: u64,
    heartbeat: u64,
}

/// Somebody else holds it.
#[derive(Debug, thiserror::Error)]
#[error("another ostler has the name {instance:?}: {holder}; it is locked by {}", path.display())]
pub(super) struct Held {
    instance: String,
    holder: String,
    path: PathBuf,
}

impl InstanceLock {
    /// Takes the name. Blocks for a moment.
    ///
    /// # Errors
    /// [`Held`], as the error's source, when somebody has it; else the system's.
    pub(super) fn take(state_dir: &Path, instance: &str) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o755).create(state_dir)?;
        // Somebody may have been faster, in a directory where everybody may make some.
        can_trust(state_dir).map_err(|why| {
            io::Error::new(io::ErrorKind::PermissionDenied, format!("{} {why}", state_dir.display()))
        })?;
        let path = state_dir.join(format!("{instance}.lock"));
        for _ in 0..TRIES {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o644)
                .custom_flags((OFlags::NOFOLLOW | OFlags::CLOEXEC).bits().cast_signed())
                .open(&path)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    let holder = Holder::read(&mut file)?;
                    let holder = holder.map_or_else(|| "it has just started".to_owned(), |by| by.to_string());
                    let held = Held { instance: instance.to_owned(), holder, path };
                    return Err(io::Error::new(io::ErrorKind::AddrInUse, held));
                }
                Err(error) => return Err(error.into()),
            }
            // Whoever had it may have removed the file between our opening and our locking it.
            let ours = file.metadata()?;
            if fs::metadata(&path).is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
                let holder = Holder::own()?;
                holder.write(&file)?;
                return Ok(Self { path, file: Arc::new(file), holder, beats: None });
            }
        }
        Err(io::Error::other(format!("{} is removed again and again", path.display())))
    }

    /// Says now and again that the holder is alive, for as long as it has the name.
    pub(super) fn beat(&mut self, home: &Handle, log: Logger) {
        let (file, holder) = (Arc::downgrade(&self.file), self.holder.clone());
        self.beats = Some(home.spawn(beat(file, holder, log)).abort_handle());
    }
}

async fn beat(file: Weak<File>, mut holder: Holder, log: Logger) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        let Some(file) = file.upgrade() else { return };
        holder.heartbeat = seconds(SystemTime::now());
        let beat = holder.clone();
        let written = spawn_blocking(move || beat.write(&file)).await;
        if let Err(error) = written.map_err(io::Error::other).flatten() {
            warn!(log, "no heartbeat in the lock file"; "cause" => %error);
        }
    }
}

impl Drop for InstanceLock {
    fn drop(&mut self) {
        if let Some(beats) = &self.beats {
            beats.abort();
        }
        // Before it is unlocked. What cannot be removed is taken over by the next.
        let _ = fs::remove_file(&self.path);
    }
}

impl Holder {
    fn own() -> io::Result<Self> {
        let now = seconds(SystemTime::now());
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
        Ok(Self { pid: std::process::id(), boot, started: now, heartbeat: now })
    }

    /// Over what is there, which a reader may be reading.
    fn write(&self, file: &File) -> io::Result<()> {
        let text = self.to_text();
        file.write_all_at(text.as_bytes(), 0)?;
        file.set_len(text.len() as u64)
    }

    fn to_text(&self) -> String {
        let Self { pid, boot, started, heartbeat } = self;
        format!("pid {pid}\nboot {boot}\nstarted {started}\nheartbeat {heartbeat}\n")
    }

    /// `None` when it has not been written yet, or not by one of ours.
    fn read(file: &mut File) -> io::Result<Option<Self>> {
        let mut text = String::new();
        file.take(4096).read_to_string(&mut text)?;
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Option<Self> {
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Some(Self {
            pid: value("pid")?.parse().ok()?,
            boot: value("boot")?.to_owned(),
            started: value("started")?.parse().ok()?,
            heartbeat: value("heartbeat")?.parse().ok()?,
        })
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now = seconds(SystemTime::now());
        let ago = |then: u64| humantime::format_duration(Duration::from_secs(now.saturating_sub(then)));
        write!(f, "pid {}, started {} ago, heard of {} ago", self.pid, ago(self.started), ago(self.heartbeat))
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
