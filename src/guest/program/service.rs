//! The image's own program, run beside the operations.
//!
//! ```text
//!  Stopped ──start──▶ Running ──ended by itself──▶ Stopped, and the guest ends with its status
//!     ▲                │   └──told to stop──▶ Stopping ──ended, or out of grace──▶ the guest ends
//!     └──dead── Doomed ◀──clearing
//! ```

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::exec::Program;
use crate::guest::Guest;
use crate::protocol;
use crate::protocol::Refusal;
use crate::stream::Side;
use crate::sys::process::{self, Ended};
use crate::sys::signal;

/// The signals that a guest in a container takes: what an engine's `stop` and `kill` send, for the service.
pub(crate) const SIGNALS: [i32; 8] = [
    signal::CHLD,
    signal::TERM,
    signal::INT,
    signal::QUIT,
    signal::HUP,
    signal::USR1,
    signal::USR2,
    signal::WINCH,
];

/// A program that is to run as long as the guest does.
#[derive(Debug)]
pub(crate) struct Service {
    plan: protocol::Service,
    stdout: OwnedFd,
    stderr: OwnedFd,
    state: State,
    last: Option<Ended>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Stopped,
    Running {
        pid: i32,
        since: Instant,
    },
    Stopping {
        pid: i32,
        since: Instant,
        until: Instant,
        /// The operation that is answered by its end.
        asked: Option<(Side, u64)>,
    },
    /// Killed by a clearing, with everybody else.
    Doomed {
        pid: i32,
    },
}

impl Service {
    pub(crate) fn new(plan: protocol::Service, stdout: OwnedFd, stderr: OwnedFd) -> Self {
        Self { plan, stdout, stderr, state: State::Stopped, last: None }
    }

    /// How it last ended, as an exit status; 0 if it never did.
    pub(crate) fn status(&self) -> u8 {
        self.last.as_ref().map_or(0, Ended::status)
    }

    /// Milliseconds since it was started, if it runs.
    pub(crate) fn age(&self, now: Instant) -> Option<u64> {
        let (_, since) = self.running()?;
        Some(u64::try_from(now.saturating_duration_since(since).as_millis()).unwrap_or(u64::MAX))
    }

    /// When its grace is over, if it has been asked to end.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        match self.state {
            State::Stopping { until, .. } => Some(until),
            State::Stopped | State::Running { .. } | State::Doomed { .. } => None,
        }
    }

    fn running(&self) -> Option<(i32, Instant)> {
        match self.state {
            State::Running { pid, since } | State::Stopping { pid, since, .. } => Some((pid, since)),
            State::Stopped | State::Doomed { .. } => None,
        }
    }

    /// A clearing begins.
    pub(crate) fn doom(&mut self) {
        if let Some((pid, _)) = self.running() {
            self.state = State::Doomed { pid };
        }
    }

    fn signal(&self, number: i32) {
        if let Some((pid, _)) = self.running() {
            // Not yet reaped, so the pid is its own; one that has just ended is as good as signalled.
            let _gone = process::kill(pid, number);
        }
    }
}

impl Guest {
    /// Starts the service, if there is one; its program runs when this comes back.
    ///
    /// # Errors
    /// Why it does not run.
    pub(crate) fn start_service(&mut self) -> Result<(), Refusal> {
        let Some(service) = &mut self.service else {
            return Ok(());
        };
        let plan = &service.plan;
        let program = Program { argv: &plan.argv, env: &plan.env, cwd: &plan.cwd };
        let streams = [None, Some(service.stdout.as_fd()), Some(service.stderr.as_fd())];
        let prey = self.launcher.start(&program, streams, &self.place).map_err(|refusal| Refusal {
            message: format!("start the service: {}", refusal.message),
            ..refusal
        })?;
        service.last = None;
        if let Some(pid) = prey.leader {
            service.state = State::Running { pid, since: Instant::now() };
        }
        Ok(())
    }

    /// Asks the service to end, and then the guest does; answers whether there is one to ask that has not been
    /// asked before.
    pub(crate) fn stop_service(&mut self, asked: Option<(Side, u64)>) -> bool {
        let Some(service) = &mut self.service else {
            return false;
        };
        let State::Running { pid, since } = service.state else {
            return false;
        };
        let grace = Duration::from_millis(service.plan.grace_ms);
        let number =
            i32::try_from(service.plan.stop_signal).ok().filter(|it| (1..=signal::LAST).contains(it));
        service.signal(number.unwrap_or(signal::TERM));
        let until = self.now.checked_add(grace).unwrap_or(self.now);
        service.state = State::Stopping { pid, since, until, asked };
        true
    }

    /// The engine has sent the guest a signal.
    pub(crate) fn told_by_engine(&mut self, number: i32) {
        match (&self.service, number) {
            // Told again, it waits for nothing any more.
            (_, signal::TERM) => {
                if !self.stop_service(None) {
                    self.leave();
                }
            }
            (Some(service), _) => service.signal(number),
            (None, signal::INT | signal::QUIT) => self.leave(),
            (None, _) => {}
        }
    }

    pub(crate) fn lose_patience_with_service(&mut self) {
        let now = self.now;
        if let Some(Service { state: State::Stopping { until, asked, .. }, .. }) = self.service
            && now >= until
        {
            self.end_with_service(asked);
        }
    }

    /// Notes the end of a child that may be the service. Unless a clearing killed it, it ends the guest.
    pub(crate) fn note_end_of_service(&mut self, ended: Ended) {
        let Some(service) = self.service.as_mut() else {
            return;
        };
        let (pid, end) = match service.state {
            State::Stopped => return,
            State::Running { pid, .. } => (pid, Some(None)),
            State::Stopping { pid, asked, .. } => (pid, Some(asked)),
            State::Doomed { pid } => (pid, None),
        };
        if pid == ended.pid {
            service.state = State::Stopped;
            service.last = Some(ended);
            if let Some(asked) = end {
                self.end_with_service(asked);
            }
        }
    }
}
