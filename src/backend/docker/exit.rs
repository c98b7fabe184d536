//! How the end of a container is noticed, and what is said of it.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bollard::models::ContainerState;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::cgroup;
use super::client::{Engine, EngineError, QUICK};
use crate::backend::Exit;

/// How long the engine may go on calling a container running whose first process has ended, before the end is
/// reported without what the engine says of it.
const ENGINE_LAG: Duration = Duration::from_millis(300);
/// Between two looks meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(15);
/// What a process ended by SIGKILL has for an exit status.
const KILLED: i64 = 137;

/// Watches one container until it ends.
#[derive(Debug)]
pub(super) struct Watch {
    engine: Arc<Engine>,
    id: String,
    /// The guest's process, where it is one of this host's: sees its end at once, engine or not.
    process: Option<AsyncFd<OwnedFd>>,
    /// Counts what was killed in it for want of memory. Not all engines look there.
    oom: Option<PathBuf>,
    /// Somebody has heard something: the event stream, the polling, the transport.
    news: Arc<Notify>,
}

impl Watch {
    /// `pid` is the guest's where it can be seen from here.
    pub(super) fn new(engine: Arc<Engine>, id: String, pid: Option<i32>, news: Arc<Notify>) -> Self {
        // One that is gone already shows as such to the engine.
        let process = pid
            .and_then(Pid::from_raw)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
            .and_then(|fd| watched(fd).ok());
        if pid.is_some() && process.is_none() {
            news.notify_one();
        }
        let oom = pid.and_then(|pid| cgroup::oom_counter(pid.unsigned_abs()));
        Self { engine, id, process, oom, news }
    }

    /// Waits for the end.
    pub(super) async fn end(self) -> Exit {
        loop {
            let process_ended = tokio::select! {
                () = ended(self.process.as_ref()) => true,
                () = self.news.notified() => false,
            };
            // At once, since the engine takes the cgroup away.
            let oom_kills = self.oom.as_deref().and_then(cgroup::oom_kills).unwrap_or(0);
            if let Some(cause) = self.ask(process_ended, oom_kills > 0).await {
                return Exit { cause };
            }
        }
    }

    /// What the engine says of the end; `None` when there is none. That the process has ended is beyond doubt,
    /// the engine just may not know it yet.
    async fn ask(&self, process_ended: bool, oom: bool) -> Option<String> {
        let until = Instant::now() + ENGINE_LAG;
        loop {
            match inspect(&self.engine, &self.id).await {
                Ok(state) if !is_running(&state) => return Some(cause(&state, oom)),
                Err(EngineError::Missing(_)) => return Some("removed by somebody else".to_owned()),
                _ if !process_ended => return None,
                // Podman has a state on the way to its end that is in nobody's books.
                Ok(_) | Err(EngineError::Strange { .. }) if Instant::now() < until => sleep(LOOK_AGAIN).await,
                Ok(_) | Err(EngineError::Strange { .. }) => {
                    return Some("its first process has ended".to_owned());
                }
                Err(error) => return Some(format!("its first process has ended; {error}")),
            }
        }
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe, for descriptors that may be closed early; this one is owned"
)]
fn watched(process: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(process, Interest::READABLE)
}

/// Ready when the process has ended; never without one.
async fn ended(process: Option<&AsyncFd<OwnedFd>>) {
    match process {
        // An error is no reason to call it ended: the other signs remain.
        Some(process) => match process.readable().await {
            Ok(_) => {}
            Err(_) => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

/// A container's state.
pub(super) async fn inspect(engine: &Engine, id: &str) -> Result<ContainerState, EngineError> {
    let client = engine.client().await?;
    let found = engine.within(QUICK, client.inspect_container(id, None)).await?;
    Ok(found.state.unwrap_or_default())
}

pub(super) fn is_running(state: &ContainerState) -> bool {
    state.running == Some(true) && state.dead != Some(true)
}

/// How it ended, in words.
pub(super) fn cause(state: &ContainerState, oom: bool) -> String {
    let code = state.exit_code.unwrap_or_default();
    let said = state.error.as_deref().unwrap_or_default();
    let how = match code {
        // Both are of anything in it that was killed for want of memory.
        KILLED if oom || state.oom_killed == Some(true) => "out of memory".to_owned(),
        code if code > 128 && code < 128 + 65 => format!("signal {}", code - 128),
        code => format!("exit status {code}"),
    };
    if said.is_empty() { how } else { format!("{how}: {said}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_in_words() {
        let ended = |code, oom| {
            let state =
                ContainerState { exit_code: Some(code), oom_killed: Some(oom), ..ContainerState::default() };
            cause(&state, false)
        };
        assert_eq!(ended(0, false), "exit status 0");
        assert_eq!(ended(3, true), "exit status 3");
        assert_eq!(ended(137, false), "signal 9");
        assert_eq!(ended(137, true), "out of memory");
        assert_eq!(ended(143, false), "signal 15");
        let unnoticed = ContainerState { exit_code: Some(137), ..ContainerState::default() };
        assert_eq!(cause(&unnoticed, true), "out of memory");
        let failed = ContainerState {
            exit_code: Some(127),
            error: Some("no such file".to_owned()),
            ..ContainerState::default()
        };
        assert_eq!(cause(&failed, false), "exit status 127: no such file");
    }
}
