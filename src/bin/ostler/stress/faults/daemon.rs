use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// What may be done to an engine, which is not ours: only what the user has said.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Daemon {
    /// Its process, to be stopped and let go on.
    pub(in super::super) pid: Option<DaemonPid>,
    /// A command that starts it again.
    pub(in super::super) restart: Option<String>,
}

/// Where an engine's process is to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DaemonPid {
    Number(i32),
    /// Read each time, for an engine that is started again has another.
    File(PathBuf),
}

impl FromStr for DaemonPid {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.parse().map_or_else(|_| Self::File(text.into()), Self::Number))
    }
}

impl DaemonPid {
    fn read(&self) -> anyhow::Result<Pid> {
        let number = match self {
            Self::Number(number) => *number,
            Self::File(path) => {
                let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
                text.trim().parse().with_context(|| format!("{}: not a pid", path.display()))?
            }
        };
        // The first is everybody's.
        let number = Some(number).filter(|number| *number > 1);
        number.and_then(Pid::from_raw).context("--daemon-pid: not a pid")
    }
}

impl Daemon {
    /// Stops its process for so long; answers whether the user has named it.
    pub(super) async fn stop_for(&self, pause: Duration) -> anyhow::Result<bool> {
        let Some(pid) = &self.pid else { return Ok(false) };
        // From here on the number can't come to mean another process.
        let daemon = pidfd_open(pid.read()?, PidfdFlags::empty())?;
        pidfd_send_signal(&daemon, Signal::STOP)?;
        let stopped = Stopped(daemon);
        sleep(pause).await;
        drop(stopped);
        Ok(true)
    }

    /// Answers whether the user has said how.
    pub(super) async fn start_again(&self) -> anyhow::Result<bool> {
        let Some(command) = self.restart.clone() else { return Ok(false) };
        let run = move || std::process::Command::new("sh").arg("-c").arg(command).status();
        let status = spawn_blocking(run).await??;
        anyhow::ensure!(status.success(), "--daemon-restart: {status}");
        Ok(true)
    }
}

/// An engine that goes on when this is dropped, whenever that is.
struct Stopped(OwnedFd);

impl Drop for Stopped {
    fn drop(&mut self) {
        // It fails where the engine has ended.
        let _: rustix::io::Result<()> = pidfd_send_signal(&self.0, Signal::CONT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_named_by_number_or_by_a_file_that_may_change() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let named: DaemonPid = file.path().to_str().unwrap().parse().unwrap();
        for pid in [4711, 4712] {
            std::fs::write(file.path(), format!("{pid}\n")).unwrap();
            assert_eq!(named.read().unwrap().as_raw_nonzero().get(), pid);
        }
        assert_eq!("4711".parse(), Ok(DaemonPid::Number(4711)));
        for bad in ["1", "0", "-5", "/nonexistent"] {
            assert!(bad.parse::<DaemonPid>().unwrap().read().is_err(), "{bad}");
        }
    }

    /// As a run is that ends meanwhile.
    #[tokio::test]
    async fn an_engine_goes_on_when_whoever_stopped_it_is_gone() {
        let mut engine = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let daemon = Daemon { pid: Some(DaemonPid::Number(engine.id().try_into().unwrap())), restart: None };
        let state = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", engine.id())).unwrap();
            stat.rsplit(") ").next().and_then(|rest| rest.chars().next())
        };
        let stop = tokio::time::timeout(Duration::from_millis(300), daemon.stop_for(Duration::from_mins(10)));
        let (stopped, seen) = tokio::join!(stop, async {
            sleep(Duration::from_millis(100)).await;
            state()
        });
        assert!(stopped.is_err() && seen == Some('T'), "{seen:?}");
        for _ in 0..1000 {
            if state() != Some('T') {
                break;
            }
            sleep(Duration::from_millis(2)).await;
        }
        assert_ne!(state(), Some('T'));
        engine.kill().unwrap();
        engine.wait().unwrap();
    }
}
