//! Running a program.
//!
//! ```text
//!  Running ──deadline──▶ Overdue ──tree gone──▶ Settled ──pipes drained, or time up──▶ over
//!     │                     └────────time up────────────────────────────────────────▶ over
//!     └──main process ended, what it left in its pipes drained────────────────────────▶ over
//! ```
//!
//! What others still write to its pipes after it is over goes to [`Leftovers`].

mod input;
mod launch;
mod leftovers;
mod output;

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use crate::outlet::Outlet;
use crate::processes::Prey;
use crate::progress::Progress;
use crate::protocol::{Done, Exited};
use crate::stream::Over;
use crate::sys::poll::{Event, Interest, Poll};
use crate::sys::{Errno, process};

pub(crate) use input::CREDIT_STEP;
use input::Input;
pub(crate) use launch::{Launcher, Program};
pub(crate) use leftovers::Leftovers;
use output::{Output, Pumped};

/// Longest after its deadline that an operation waits for its processes to be gone and its output to be sent.
const GRACE: Duration = Duration::from_millis(80);

/// A program that runs, with its pipes.
#[derive(Debug)]
pub(crate) struct Exec {
    prey: Prey,
    input: Input,
    outputs: [Output; 2],
    deadline: Option<Instant>,
    course: Course,
    /// How its main process ended, once it has.
    ended: Option<process::Ended>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    Running,
    /// Its processes are being killed.
    Overdue {
        until: Instant,
    },
    /// Its processes are gone.
    Settled {
        until: Instant,
    },
}

/// One of an operation's pipes, as the poll's tokens name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Stdin,
    Stdout,
    Stderr,
}

impl Exec {
    /// Its processes.
    pub(crate) fn prey(&self) -> Prey {
        self.prey
    }

    /// Has `poll` report its pipes, under the token `token` gives each.
    pub(crate) fn watch(&self, poll: &Poll, token: impl Fn(Part) -> u64) -> Result<(), Errno> {
        if let Some(pipe) = self.input.pipe() {
            poll.add(pipe, token(Part::Stdin), Interest::Write)?;
        }
        for (output, part) in self.outputs.iter().zip([Part::Stdout, Part::Stderr]) {
            if let Some(pipe) = output.pipe() {
                poll.add(pipe, token(part), Interest::Read)?;
            }
        }
        Ok(())
    }

    /// One of its pipes changed.
    pub(crate) fn note(&mut self, part: Part, event: Event) {
        match part {
            Part::Stdin => self.input.note(),
            Part::Stdout => self.outputs[0].note(event),
            Part::Stderr => self.outputs[1].note(event),
        }
    }

    /// Its main process ended.
    pub(crate) fn end(&mut self, ended: process::Ended) {
        self.prey.leader = None;
        self.ended = Some(ended);
    }

    pub(crate) fn input(&mut self, bytes: &[u8]) -> Result<(), Over> {
        self.input.take(bytes)
    }

    pub(crate) fn end_input(&mut self) {
        self.input.end();
    }

    /// Sends a signal to its process group, while that is surely its own.
    pub(crate) fn signal(&self, signal: i32) {
        if let Some(leader) = self.prey.leader {
            // A group that has just ended is as good as signalled.
            let _gone = process::kill(-leader, signal);
        }
    }

    /// When something happens to it though nothing else does.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        match self.course {
            Course::Running => self.deadline,
            Course::Overdue { until } | Course::Settled { until } => Some(until),
        }
    }

    /// Whether its time is up. From then on its processes are to be hunted.
    pub(crate) fn is_overdue(&mut self, now: Instant) -> bool {
        match (self.course, self.deadline) {
            (Course::Running, Some(deadline)) if now >= deadline => {
                self.course = Course::Overdue { until: deadline + GRACE };
                true
            }
            _ => false,
        }
    }

    /// Its processes are gone.
    pub(crate) fn settle(&mut self) {
        if let Course::Overdue { until } = self.course {
            self.course = Course::Settled { until };
        }
    }

    pub(crate) fn advance(&mut self, outlet: &mut Outlet<'_>, now: Instant) -> Progress {
        if let Err(refusal) = self.input.pump(outlet) {
            return Progress::Ended(Err(refusal));
        }
        let gone = self.ended.is_some() || matches!(self.course, Course::Settled { .. });
        let mut more = false;
        for output in &mut self.outputs {
            if gone {
                output.cut();
            }
            more |= output.pump(outlet) == Pumped::More;
        }
        let late = match self.course {
            Course::Running => false,
            Course::Overdue { until } | Course::Settled { until } => now >= until,
        };
        if late || (gone && self.outputs.iter().all(Output::is_done)) {
            Progress::Ended(Ok(Done::Exited(self.exited())))
        } else if more {
            Progress::More
        } else {
            Progress::Waiting
        }
    }

    fn exited(&self) -> Exited {
        Exited {
            code: self.ended.and_then(|ended| ended.code),
            signal: self.ended.and_then(|ended| ended.signal),
            timed_out: self.course != Course::Running,
            stdout_bytes: self.outputs[0].total(),
            stderr_bytes: self.outputs[1].total(),
            cpu_us: self.ended.map_or(0, |ended| ended.cpu_us),
            max_rss: self.ended.map_or(0, |ended| ended.max_rss),
        }
    }

    /// The pipes that somebody may still write to.
    pub(crate) fn into_open_pipes(self) -> impl Iterator<Item = OwnedFd> {
        self.outputs.into_iter().filter_map(Output::into_pipe)
    }
}
