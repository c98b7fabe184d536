use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ostler::{Change, Reason, RuntimeId};
use tokio::time::Instant;

use super::breach::Breach;
use super::order::Overtaking;

/// Of each kind of thing, how many are remembered.
const REMEMBERED: usize = 512;

/// Suspects of one pool, until it is known whether something excuses them. A pool tells what it did after it did
/// it, so nobody is judged at once.
#[derive(Debug)]
pub(in super::super) struct Docket {
    patience: Duration,
    file: Mutex<File>,
}

#[derive(Debug, Default)]
struct File {
    suspects: VecDeque<Suspect>,
    /// When something happened to a runtime that may have put a waiter back in the queue.
    troubles: VecDeque<u64>,
    /// Troubles up to here may be forgotten.
    forgotten: u64,
    /// Runtimes that harm was done to, by handle, and when.
    hurt: VecDeque<(String, u64)>,
    /// From when to when whoever was being made may have been hurt, without having been there to be named.
    upheavals: VecDeque<Span>,
    /// When runtimes were made.
    launches: BTreeMap<RuntimeId, Span>,
    /// Why runtimes went that went unplanned.
    ends: BTreeMap<RuntimeId, End>,
}

/// From, and to, or until now.
#[derive(Clone, Copy, Debug)]
struct Span(u64, Option<u64>);

impl Span {
    fn meets(self, other: Self) -> bool {
        let before = |at: u64, end: Option<u64>| end.is_none_or(|end| at <= end);
        before(self.0, other.1) && before(other.0, self.1)
    }
}

#[derive(Clone, Debug)]
struct End {
    excuses: bool,
    cause: String,
}

#[derive(Debug)]
struct Suspect {
    due: Instant,
    /// When it was brought.
    now: u64,
    charge: Charge,
}

#[derive(Debug)]
enum Charge {
    Overtaken(Overtaking),
    Disturbed(Loss),
}

/// An operation whose runtime was lost under it.
#[derive(Clone, Debug)]
pub(in super::super) struct Loss {
    pub(in super::super) runtime: RuntimeId,
    pub(in super::super) handle: String,
    pub(in super::super) error: String,
}

impl Docket {
    /// Judges after `patience`.
    pub(in super::super) fn new(patience: Duration) -> Self {
        Self { patience, file: Mutex::default() }
    }

    /// Harm is about to be done to a runtime.
    pub(in super::super) fn hurt(&self, handle: String, now: u64) {
        let mut file = self.lock();
        file.trouble(now);
        remember(&mut file.hurt, (handle, now));
    }

    /// Until [`calm`](Self::calm), harm is done to whatever there is and to whatever is made meanwhile.
    pub(in super::super) fn upheaval(&self, now: u64) {
        let mut file = self.lock();
        file.trouble(now);
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
        self.lock().trouble(now);
    }

    /// What the pool said may have been missed: whoever is suspected by now, or was in the queue, is excused.
    pub(in super::super) fn deafened(&self, now: u64) {
        let mut file = self.lock();
        file.suspects.clear();
        file.forgotten = now;
    }

    /// The pool says what it did.
    pub(in super::super) fn hear(&self, change: &Change, now: u64) {
        match change {
            Change::Launching { runtime } => self.lock().launching(*runtime, now),
            Change::Ready { runtime, .. } => {
                if let Some(Span(_, end)) = self.lock().launches.get_mut(runtime) {
                    end.get_or_insert(now);
                }
            }
            Change::Exited { runtime, cause } => {
                let mut file = self.lock();
                file.trouble(now);
                // How a fake runtime ends when it is told to end by itself.
                let excuses = cause == "exit status 1";
                file.ended(*runtime, End { excuses, cause: format!("exited: {cause}") });
            }
            Change::Retiring { runtime, reason } => {
                let planned = matches!(reason, Reason::UsedUp | Reason::Idle | Reason::Aged);
                let mut file = self.lock();
                if !planned {
                    file.trouble(now);
                }
                // Health may be wrong about a runtime on a busy machine; then it says so.
                let excuses = !matches!(reason, Reason::Exited | Reason::Quarantined) && !planned;
                file.ended(*runtime, End { excuses, cause: format!("retired: {reason}") });
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
        let due = Instant::now() + self.patience;
        self.lock().suspects.push_back(Suspect { due, now, charge });
    }

    /// Those whose time has come and whom nothing excuses; all, when nothing more is to be heard.
    pub(in super::super) fn judge(&self, all: bool) -> Vec<(Breach, String)> {
        let now = Instant::now();
        let mut file = self.lock();
        let mut guilty = Vec::new();
        while file.suspects.front().is_some_and(|suspect| all || suspect.due <= now) {
            let Some(suspect) = file.suspects.pop_front() else { break };
            guilty.extend(file.judge(&suspect));
        }
        guilty
    }

    fn lock(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers what is forgotten for it.
fn remember<T>(known: &mut VecDeque<T>, new: T) -> Option<T> {
    let forgotten = if known.len() == REMEMBERED { known.pop_front() } else { None };
    known.push_back(new);
    forgotten
}

impl File {
    fn trouble(&mut self, now: u64) {
        if let Some(forgotten) = remember(&mut self.troubles, now) {
            self.forgotten = forgotten;
        }
    }

    fn launching(&mut self, runtime: RuntimeId, now: u64) {
        if self.launches.len() == REMEMBERED {
            self.launches.pop_first();
        }
        self.launches.insert(runtime, Span(now, None));
    }

    /// Whether it was being made during an upheaval.
    fn was_shaken(&self, runtime: RuntimeId) -> bool {
        let launch = self.launches.get(&runtime);
        launch.is_some_and(|launch| self.upheavals.iter().any(|upheaval| upheaval.meets(*launch)))
    }

    /// An end is often told twice: how it came, and what was done about it. Either may excuse.
    fn ended(&mut self, runtime: RuntimeId, end: End) {
        if self.ends.len() == REMEMBERED {
            self.ends.pop_first();
        }
        let excuses = end.excuses;
        let known = self.ends.entry(runtime).or_insert(end);
        known.excuses |= excuses;
    }

    fn judge(&self, suspect: &Suspect) -> Option<(Breach, String)> {
        match &suspect.charge {
            Charge::Overtaken(Overtaking { queued, began, granted, busy }) => {
                let excused =
                    *queued <= self.forgotten || self.troubles.iter().any(|trouble| trouble >= queued);
                (!excused).then(|| {
                    let words = format!(
                        "one who waited from {queued} on was served after {busy}, one who began at {began} before {granted}"
                    );
                    (Breach::Overtaken, words)
                })
            }
            Charge::Disturbed(Loss { runtime, handle, error }) => {
                let hurt = self.hurt.iter().any(|(hurt, at)| hurt == handle && *at <= suspect.now);
                let end = self.ends.get(runtime);
                if hurt || self.was_shaken(*runtime) || end.is_some_and(|end| end.excuses) {
                    return None;
                }
                let end = end.map_or("and is still there", |end| &end.cause);
                Some((
                    Breach::Disturbed,
                    format!("{runtime} ({handle}) was lost to its lease: {error}; {end}"),
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNTIME: RuntimeId = RuntimeId(7);

    fn docket() -> Docket {
        Docket::new(Duration::from_secs(1))
    }

    fn loss() -> Loss {
        Loss { runtime: RUNTIME, handle: "pid 1".to_owned(), error: "gone".to_owned() }
    }

    fn overtaking() -> Overtaking {
        Overtaking { queued: 10, began: 11, granted: 12, busy: 13 }
    }

    fn breaches(docket: &Docket) -> Vec<Breach> {
        docket.judge(true).into_iter().map(|(breach, _)| breach).collect()
    }

    #[test]
    fn a_loss_that_nothing_explains_is_a_breach() {
        let docket = docket();
        docket.lost(loss(), 5);
        docket.hear(&Change::Exited { runtime: RUNTIME, cause: "signal 9".to_owned() }, 6);
        assert_eq!(breaches(&docket), [Breach::Disturbed]);
        assert_eq!(breaches(&docket), [], "judged once");
    }

    #[test]
    fn one_that_was_hurt_before_or_found_unhealthy_is_none() {
        let docket = docket();
        docket.hurt("pid 1".to_owned(), 4);
        docket.lost(loss(), 5);
        assert_eq!(breaches(&docket), []);
        let docket = self::docket();
        docket.lost(loss(), 5);
        docket.hear(&Change::Retiring { runtime: RUNTIME, reason: Reason::Unhealthy }, 6);
        assert_eq!(breaches(&docket), []);
    }

    #[test]
    fn harm_done_to_others_or_later_is_no_excuse() {
        let docket = docket();
        docket.hurt("pid 2".to_owned(), 4);
        docket.lost(loss(), 5);
        docket.hurt("pid 1".to_owned(), 6);
        assert_eq!(breaches(&docket), [Breach::Disturbed]);
    }

    #[test]
    fn whoever_was_being_made_in_an_upheaval_may_be_lost_to_it() {
        let launching = Change::Launching { runtime: RUNTIME };
        let ready =
            Change::Ready { runtime: RUNTIME, handle: "pid 1".to_owned(), took: Duration::from_secs(1) };
        // From when to when it was made; the upheaval is from 10 to 20.
        for (from, to, breached) in [(5, 15, 0), (12, 15, 0), (12, 25, 0), (5, 25, 0), (5, 8, 1), (22, 25, 1)]
        {
            let docket = docket();
            for now in 0..30 {
                match now {
                    10 => docket.upheaval(now),
                    20 => docket.calm(now),
                    _ if now == from => docket.hear(&launching, now),
                    _ if now == to => docket.hear(&ready, now),
                    _ => {}
                }
            }
            docket.lost(loss(), 30);
            assert_eq!(breaches(&docket).len(), breached, "made from {from} to {to}");
        }
        let docket = docket();
        docket.upheaval(10);
        docket.hear(&launching, 11);
        docket.lost(loss(), 12);
        assert_eq!(breaches(&docket), [], "it may be judged while it lasts");
    }

    #[test]
    fn an_overtaking_is_excused_by_trouble_while_it_waited() {
        let docket = docket();
        docket.trouble(9);
        docket.overtaken(overtaking(), 14);
        assert_eq!(breaches(&docket), [Breach::Overtaken], "trouble before it waited is none of its own");
        docket.overtaken(overtaking(), 14);
        docket.hear(&Change::Retiring { runtime: RUNTIME, reason: Reason::Exited }, 15);
        assert_eq!(breaches(&docket), []);
    }

    #[test]
    fn planned_ends_are_no_trouble() {
        let docket = docket();
        docket.overtaken(overtaking(), 14);
        docket.hear(&Change::Retiring { runtime: RUNTIME, reason: Reason::UsedUp }, 15);
        assert_eq!(breaches(&docket), [Breach::Overtaken]);
    }

    #[test]
    fn nobody_is_judged_before_the_time() {
        let docket = docket();
        docket.lost(loss(), 5);
        assert!(docket.judge(false).is_empty());
        assert_eq!(docket.judge(true).len(), 1);
    }
}
