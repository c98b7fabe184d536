//! Clearing away what a lease left: for the next one, or before the guest ends.
//!
//! ```text
//!  Killing ──no process but the guest is left──▶ Wiping ──every writable place is empty──▶ answered
//!     │ (ends here when the guest ends)            │
//!     └───────────anything unexpected──────────────┴──▶ Failed; nothing is served any more
//! ```

use std::time::{Duration, Instant};

use crate::files::Removal;
use crate::guest::Guest;
use crate::place::{Place, Walls};
use crate::processes;
use crate::progress::Progress;
use crate::protocol::{Done, RefusalKind};
use crate::refusal;
use crate::stream::Side;
use crate::sys::{Errno, Result as SysResult, mount, process, signal};

/// Longest until all processes must be gone. What survives SIGKILL for so long hangs in the kernel.
const LONGEST: Duration = Duration::from_secs(2);

/// Between two rounds of killing, when no child's end comes first.
const PAUSE: Duration = Duration::from_millis(1);

/// Children taken leave of per round.
const REAPED: usize = 4096;

/// A clearing under way.
#[derive(Debug)]
pub(crate) struct Clearing {
    goal: Goal,
    phase: Phase,
    began: Instant,
    killed: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    /// Answer this operation and serve on.
    Reset(Side, u64),
    /// Answer this operation and end.
    Shutdown(Side, u64),
    /// End.
    Leave,
}

#[derive(Debug)]
enum Phase {
    Killing {
        next: Instant,
    },
    /// What is left to empty, where the guest must mount nothing.
    Wiping(Vec<Removal>),
}

/// Whether the guest goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cleared {
    Serving,
    ToLeave,
}

impl Clearing {
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Killing { next } => Some(next),
            Phase::Wiping(_) => None,
        }
    }
}

impl Guest {
    /// Begins a reset: from here on nothing of the epochs up to `fence` is served.
    pub(crate) fn reset(&mut self, side: Side, op: u64, fence: u64) {
        if self.clearing.is_some() {
            self.reply(
                side,
                op,
                Err(refusal::rule(RefusalKind::Failed, "the guest is being cleared already")),
            );
            return;
        }
        self.fence = self.fence.max(Some(fence));
        self.begin(Goal::Reset(side, op));
    }

    /// Begins the end, with an answer. A service is asked to end first.
    pub(crate) fn shut_down(&mut self, side: Side, op: u64) {
        if !self.stop_service(Some((side, op))) {
            self.begin(Goal::Shutdown(side, op));
        }
    }

    /// The service has ended, or has taken too long to.
    pub(crate) fn end_with_service(&mut self, asked: Option<(Side, u64)>) {
        self.begin(asked.map_or(Goal::Leave, |(side, op)| Goal::Shutdown(side, op)));
    }

    /// Begins the end.
    pub(crate) fn leave(&mut self) {
        self.begin(Goal::Leave);
    }

    /// Whether it ends without having been asked to by the host, which then is listened to no more.
    pub(crate) fn is_leaving(&self) -> bool {
        self.clearing.as_ref().is_some_and(|clearing| clearing.goal == Goal::Leave)
    }

    pub(crate) fn is_wiping(&self) -> bool {
        self.clearing.as_ref().is_some_and(|clearing| matches!(clearing.phase, Phase::Wiping(_)))
    }

    fn begin(&mut self, goal: Goal) {
        if let Some(Clearing { goal: Goal::Reset(side, op) | Goal::Shutdown(side, op), .. }) = self.clearing {
            self.reply(side, op, Err(refusal::rule(RefusalKind::Failed, "the guest is ending")));
        }
        for side in Side::BOTH {
            for key in self.table.keys_of(side) {
                if let Some(operation) = self.table.remove(key)
                    // Told to end by others, it knows of no lease's end: the end of the stream says what there is to say.
                    && goal != Goal::Leave
                {
                    let stale = refusal::rule(RefusalKind::Stale, "the lease has ended");
                    self.reply(side, operation.id, Err(stale));
                }
            }
        }
        for waiter in self.hunts.clear() {
            self.tell(waiter);
        }
        if let Some(service) = &mut self.service {
            service.doom();
        }
        self.leaders.clear();
        self.leftovers.clear();
        let phase = Phase::Killing { next: self.now };
        self.clearing = Some(Clearing { goal, phase, began: self.now, killed: 0 });
    }

    /// Does a piece of the clearing, if there is one.
    pub(crate) fn clear(&mut self) -> Cleared {
        let Some(mut clearing) = self.clearing.take() else {
            return Cleared::Serving;
        };
        let result = match self.clear_some(&mut clearing) {
            Ok(Progress::More | Progress::Waiting) => {
                self.clearing = Some(clearing);
                return Cleared::Serving;
            }
            Ok(Progress::Ended(result)) => result,
            Err((step, errno)) => Err(refusal::system(step, b"", errno)),
        };
        match clearing.goal {
            Goal::Reset(side, op) => {
                if result.is_err() {
                    self.fence = Some(u64::MAX);
                }
                self.reply(side, op, result);
                Cleared::Serving
            }
            Goal::Shutdown(side, op) => {
                self.reply(side, op, result.map(|_| Done::Unit));
                Cleared::ToLeave
            }
            Goal::Leave => Cleared::ToLeave,
        }
    }

    fn clear_some(&mut self, clearing: &mut Clearing) -> Result<Progress, (&'static str, Errno)> {
        if let Phase::Killing { next } = &mut clearing.phase {
            let mut left = self.kill_all().map_err(|errno| ("kill", errno))?;
            let reaping = self.reap(REAPED).map_err(|errno| ("reap", errno))?;
            clearing.killed += reaping.count;
            if left == Left::Some && reaping.childless {
                // Those that were there are reaped by now; look whether there are others.
                left = self.kill_all().map_err(|errno| ("kill", errno))?;
            }
            if left == Left::Some || !reaping.childless {
                if self.now >= clearing.began + LONGEST {
                    let refusal = refusal::rule(RefusalKind::Failed, "some processes don't die");
                    return Ok(Progress::Ended(Err(refusal)));
                }
                *next = self.now + PAUSE;
                return Ok(Progress::Waiting);
            }
            if !matches!(clearing.goal, Goal::Reset(..)) {
                return Ok(Progress::Ended(Ok(Done::Unit)));
            }
            clearing.phase = Phase::Wiping(begin_wiping(&mut self.place)?);
        }
        if let Phase::Wiping(removals) = &mut clearing.phase
            && let Some(removal) = removals.last_mut()
        {
            match removal.advance() {
                Progress::Ended(Ok(_)) => drop(removals.pop()),
                Progress::Ended(Err(refusal)) => return Ok(Progress::Ended(Err(refusal))),
                Progress::More | Progress::Waiting => {}
            }
            if !removals.is_empty() {
                return Ok(Progress::More);
            }
        }
        self.place.confinement.refresh()?;
        if let Err(refusal) = self.renew() {
            return Ok(Progress::Ended(Err(refusal)));
        }
        let killed = u32::try_from(clearing.killed).unwrap_or(u32::MAX);
        Ok(Progress::Ended(Ok(Done::Reset { killed })))
    }

    fn kill_all(&self) -> SysResult<Left> {
        if self.place.walls.hold_processes() {
            // PID 1, so this reaches all there are in the namespace and nobody else.
            return match process::kill(-1, signal::KILL) {
                Ok(()) => Ok(Left::Some),
                Err(Errno::SRCH) => Ok(Left::None),
                Err(errno) => Err(errno),
            };
        }
        // Orphans come to the guest, so whoever is further down is a child a round later.
        let children = processes::children()?;
        for child in &children {
            match process::kill(*child, signal::KILL) {
                Ok(()) | Err(Errno::SRCH) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(if children.is_empty() { Left::None } else { Left::Some })
    }
}

/// Whether there was anybody to kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Some,
    None,
}

/// Empties all places at once where they are file systems of their own, or answers what is to be removed.
fn begin_wiping(place: &mut Place) -> Result<Vec<Removal>, (&'static str, Errno)> {
    match place.walls {
        Walls::Private => {
            for writable in &mut place.writable {
                writable.renew().map_err(|errno| ("renew a place", errno))?;
            }
            mount::renew_ipc().map_err(|errno| ("renew the ipc namespace", errno))?;
            Ok(Vec::new())
        }
        Walls::Shared | Walls::Container { .. } => place
            .writable
            .iter()
            .map(|writable| Removal::of_contents(&writable.path, writable.mode, &place.kept))
            .collect::<SysResult<_>>()
            .map_err(|errno| ("open a writable place", errno)),
    }
}
