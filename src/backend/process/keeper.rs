use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Signal, pidfd_send_signal};
use tokio::sync::watch;
use tokio::time::timeout;

use super::abandoned::Doorstep;
use super::remains::Remains;
use crate::protocol::{EXIT_NO_GUEST, EXIT_OUT_OF_MEMORY, EXIT_SIGNAL};

/// How long a keeper may take to end its guest and clean up, before it is killed as well. Mostly that is a
/// millisecond; a large workspace on a slow disk takes longer.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// A keeper that was started. Dropped, it is told to end, which ends its runtime; whoever started it kills it should it
/// not listen, and reaps it.
#[derive(Debug)]
pub(super) struct Keeper {
    pidfd: Arc<OwnedFd>,
    doorstep: Arc<Doorstep>,
    ended: watch::Receiver<Option<Ended>>,
}

/// How a keeper ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) cause: String,
    /// Last lines of the keeper's and the guest's error stream.
    pub(super) said: String,
    /// What of the runtime could not be removed so far.
    pub(super) left: Option<Arc<Remains>>,
}

impl Keeper {
    pub(super) fn new(
        pidfd: Arc<OwnedFd>,
        ended: watch::Receiver<Option<Ended>>,
        doorstep: Arc<Doorstep>,
    ) -> Self {
        Self { pidfd, doorstep, ended }
    }

    /// A way to wait for its end that outlives it.
    pub(super) fn end(&self) -> End {
        End(self.ended.clone())
    }

    /// A way to end it and see that it did.
    pub(super) fn ending(&self) -> Ending {
        Ending { pidfd: Arc::clone(&self.pidfd), end: self.end() }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if self.ended.borrow().is_some() {
            return;
        }
        // Both fail when it has ended, which is what is wanted. A stopped one hears of nothing before it goes on.
        let _ = pidfd_send_signal(&*self.pidfd, Signal::TERM);
        let _ = pidfd_send_signal(&*self.pidfd, Signal::CONT);
        self.doorstep.leave(&self.pidfd);
    }
}

/// The end of a keeper, to wait for.
#[derive(Debug)]
pub(super) struct End(watch::Receiver<Option<Ended>>);

impl End {
    /// Waits for it. Cancel-safe.
    pub(super) async fn wait(&mut self) -> Ended {
        let ended = self.0.wait_for(Option::is_some).await;
        ended.ok().and_then(|ended| ended.clone()).unwrap_or_else(|| Ended {
            cause: "lost sight of".to_owned(),
            said: String::new(),
            left: None,
        })
    }
}

/// Ends a keeper.
#[derive(Debug)]
pub(super) struct Ending {
    pidfd: Arc<OwnedFd>,
    end: End,
}

impl Ending {
    /// Tells it to end and waits until it has, killing it when that takes too long. Cancel-safe: once begun,
    /// it ends whether or not anybody waits.
    ///
    /// # Errors
    /// When it cannot even be killed.
    pub(super) async fn finish(&mut self) -> io::Result<Ended> {
        for signal in [Signal::TERM, Signal::KILL] {
            // Fails when it has ended, which shows below.
            let _ = pidfd_send_signal(&*self.pidfd, signal);
            // A stopped one hears of nothing before it goes on.
            let _ = pidfd_send_signal(&*self.pidfd, Signal::CONT);
            if let Ok(ended) = timeout(PATIENCE, self.end.wait()).await {
                return Ok(ended);
            }
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "the keeper does not end"))
    }
}

/// A keeper's exit status in words.
pub(super) fn cause(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code().and_then(|code| u8::try_from(code).ok()), status.signal()) {
        (Some(EXIT_OUT_OF_MEMORY), _) => "out of memory".to_owned(),
        (Some(EXIT_NO_GUEST), _) => "no guest".to_owned(),
        (Some(code), _) if code > EXIT_SIGNAL => format!("signal {}", code - EXIT_SIGNAL),
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("keeper ended by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn causes_are_in_words() {
        let exited = |code: i32| cause(ExitStatus::from_raw(code << 8));
        assert_eq!(exited(0), "exit status 0");
        assert_eq!(exited(137), "signal 9");
        assert_eq!(exited(125), "out of memory");
        assert_eq!(cause(ExitStatus::from_raw(9)), "keeper ended by signal 9");
    }
}
