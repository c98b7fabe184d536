mod file;
#[cfg(test)]
mod tests;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ostler::{Change, Reason, RuntimeId};
use tokio::time::Instant;

use self::file::{Charge, End, Excuse, File, Span, Suspect, remember};
use super::breach::Breach;
use super::order::Overtaking;

/// Suspects of one pool, until it is known whether something excuses them. A pool tells what it did after it did
/// it, so nobody is judged at once.
#[derive(Debug)]
pub(in super::super) struct Docket {
    terms: Terms,
    file: Mutex<File>,
}

/// What may have to do with what.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Terms {
    /// Nobody is judged before.
    pub(in super::super) patience: Duration,
    /// How long after it happened a pool may tell of what put a waiter back in the queue.
    pub(in super::super) news: Duration,
    /// How long after something made runtimes slow, health may find one unhealthy for it.
    pub(in super::super) strain: Duration,
    /// Whether runtimes end by themselves because they were told to.
    pub(in super::super) staged: bool,
}

/// What became of suspects.
#[derive(Debug, Default)]
pub(in super::super) struct Judged {
    pub(in super::super) guilty: Vec<(Breach, String)>,
    /// Waiters that were overtaken, and something had happened that explains it.
    pub(in super::super) excused: u64,
    /// Runtimes found unhealthy with nothing done to them, while the machine was slow.
    pub(in super::super) unexplained: u64,
}

/// An operation whose runtime was lost under it.
#[derive(Clone, Debug)]
pub(in super::super) struct Loss {
    pub(in super::super) runtime: RuntimeId,
    pub(in super::super) handle: String,
    pub(in super::super) error: String,
}

impl Docket {
    pub(in super::super) fn new(terms: Terms) -> Self {
        Self { terms, file: Mutex::default() }
    }

    /// Harm is about to be done to a runtime.
    pub(in super::super) fn hurt(&self, handle: String, now: u64) {
        remember(&mut self.lock().hurt, (handle, now));
    }

    /// Something was done that may make any runtime slow.
    pub(in super::super) fn strained(&self, at: Instant) {
        remember(&mut self.lock().strains, at);
    }

    /// The machine was slow.
    pub(in super::super) fn hiccup(&self, at: Instant) {
        remember(&mut self.lock().hiccups, at);
    }

    /// The clock has moved on at once.
    pub(in super::super) fn jumped(&self, by: Duration) {
        remember(&mut self.lock().jumps, (Instant::now(), by));
    }

    /// Until [`calm`](Self::calm), harm is done to whatever there is and to whatever is made meanwhile.
    pub(in super::super) fn upheaval(&self, now: u64) {
        let mut file = self.lock();
        file.trouble(now, Instant::now());
        remember(&mut file.upheavals, Span(now, None));
    }

    /// The last upheaval is over.
    pub(in super::super) fn calm(&self, now: u64) {
        if let Some(Span(_, end)) = self.lock().upheavals.back_mut() {
            end.get_or_insert(now);
        }
    }

    /// Something is about to happen that may hit any runtime.
    pub(in super::super) fn trouble(&self, now: u64) {
        self.lock().trouble(now, Instant::now());
    }

    /// What the pool said may have been missed: whoever is suspected by now, or was in the queue, is excused.
    pub(in super::super) fn deafened(&self, now: u64) {
        let mut file = self.lock();
        file.excused += file.suspects.len() as u64;
        file.suspects.clear();
        file.forgotten = now;
    }

    /// The pool says what it did, and knew of `at`. `tested` when the runtime has been idle for so long that it is
    /// tested before it is leased.
    pub(in super::super) fn hear(&self, change: &Change, now: u64, at: Instant, tested: bool) {
        match change {
            Change::Launching { runtime } => self.lock().launching(*runtime, now),
            Change::Ready { runtime, .. } => {
                if let Some(Span(_, end)) = self.lock().launches.get_mut(runtime) {
                    end.get_or_insert(now);
                }
            }
            Change::Exited { runtime, cause } => {
                let mut file = self.lock();
                file.trouble(now, at);
                // How a fake runtime ends when it is told to end by itself.
                let told = self.terms.staged && cause == "exit status 1";
                let excuse = if told { Excuse::Always } else { Excuse::Never };
                file.ended(*runtime, End { excuse, cause: format!("exited: {cause}") });
            }
            Change::Retiring { runtime, reason } => {
                let mut file = self.lock();
                let puts_back = match reason {
                    Reason::Unhealthy
                    | Reason::Exited
                    | Reason::SpecChanged
                    | Reason::Drained
                    | Reason::Orphaned => true,
                    // By the test before a lease, and not by its holder, who keeps nobody waiting.
                    Reason::Quarantined => tested,
                    // Planned, or never to be had by a waiter.
                    _ => false,
                };
                if puts_back {
                    file.trouble(now, at);
                }
                let excuse = match reason {
                    Reason::Unhealthy => Excuse::Strain(at),
                    Reason::LeaseExpired | Reason::SpecChanged | Reason::Drained | Reason::Orphaned => {
                        Excuse::Always
                    }
                    _ => Excuse::Never,
                };
                file.ended(*runtime, End { excuse, cause: format!("retired: {reason}") });
            }
            _ => {}
        }
    }

    pub(in super::super) fn overtaken(&self, overtaking: Overtaking, now: u64) {
        self.bring(Charge::Overtaken(overtaking), now);
    }

    pub(in super::super) fn lost(&self, loss: Loss, now: u64) {
        self.bring(Charge::Disturbed(loss), now);
    }

    fn bring(&self, charge: Charge, now: u64) {
        let due = Instant::now() + self.terms.patience;
        self.lock().suspects.push_back(Suspect { due, now, charge });
    }

    /// Those whose time has come and whom nothing excuses; all, when nothing more is to be heard.
    pub(in super::super) fn judge(&self, all: bool) -> Judged {
        let now = Instant::now();
        let mut file = self.lock();
        let mut judged = Judged { excused: std::mem::take(&mut file.excused), ..Judged::default() };
        while file.suspects.front().is_some_and(|suspect| all || suspect.due <= now) {
            let Some(suspect) = file.suspects.pop_front() else { break };
            file.judge(&self.terms, &suspect, &mut judged);
        }
        judged
    }

    fn lock(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
