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

#[derive(Debug, Default)]
struct File {
    suspects: VecDeque<Suspect>,
    /// When something happened to a runtime that may have put a waiter back in the queue.
    troubles: VecDeque<Trouble>,
    /// When the clock moved on at once, and by how much.
    jumps: VecDeque<(Instant, Duration)>,
    /// When something was done that may make any runtime slow.
    strains: VecDeque<Instant>,
    /// When the machine itself was.
    hiccups: VecDeque<Instant>,
    /// Suspects that were let go unjudged.
    excused: u64,
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

#[derive(Clone, Copy, Debug)]
struct Trouble {
    /// When it was heard of.
    stamp: u64,
    /// When the pool knew.
    at: Instant,
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
    excuse: Excuse,
    cause: String,
}

/// How far the way a runtime ended explains that a lease lost it. The better comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Excuse {
    Never,
    /// If something had made runtimes slow by then.
    Strain(Instant),
    Always,
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

/// Answers what is forgotten for it.
fn remember<T>(known: &mut VecDeque<T>, new: T) -> Option<T> {
    let forgotten = if known.len() == REMEMBERED { known.pop_front() } else { None };
    known.push_back(new);
    forgotten
}

impl File {
    fn trouble(&mut self, stamp: u64, at: Instant) {
        if let Some(forgotten) = remember(&mut self.troubles, Trouble { stamp, at }) {
            self.forgotten = forgotten.stamp;
        }
    }

    /// Whether trouble while it waited, and before the other was served, may have cost a waiter its turn.
    fn explains(&self, terms: &Terms, overtaking: &Overtaking) -> bool {
        let Overtaking { queued, granted, at, .. } = *overtaking;
        let before =
            |trouble: &Trouble| trouble.stamp <= granted || self.between(at, trouble.at) <= terms.news;
        queued <= self.forgotten
            || self.troubles.iter().any(|trouble| trouble.stamp >= queued && before(trouble))
    }

    /// How much time went by, without what a clock that jumped passed over.
    fn between(&self, from: Instant, to: Instant) -> Duration {
        let jumps = self.jumps.iter().filter(|(at, _)| (from..=to).contains(at)).map(|(_, by)| *by);
        to.saturating_duration_since(from).saturating_sub(jumps.sum())
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
        let excuse = end.excuse;
        let known = self.ends.entry(runtime).or_insert(end);
        known.excuse = known.excuse.max(excuse);
    }

    fn judge(&self, terms: &Terms, suspect: &Suspect, judged: &mut Judged) {
        match &suspect.charge {
            Charge::Overtaken(overtaking) if self.explains(terms, overtaking) => judged.excused += 1,
            Charge::Overtaken(Overtaking { queued, began, granted, busy, .. }) => {
                let words = format!(
                    "one who waited from {queued} on was served after {busy}, one who began at {began} before {granted}"
                );
                judged.guilty.push((Breach::Overtaken, words));
            }
            Charge::Disturbed(Loss { runtime, handle, error }) => {
                let hurt = self.hurt.iter().any(|(hurt, at)| hurt == handle && *at <= suspect.now);
                if hurt || self.was_shaken(*runtime) {
                    return;
                }
                let end = self.ends.get(runtime);
                let recently = |moments: &VecDeque<Instant>, by: Instant| {
                    moments.iter().any(|at| *at <= by && self.between(*at, by) <= terms.strain)
                };
                match end.map_or(Excuse::Never, |end| end.excuse) {
                    Excuse::Always => return,
                    Excuse::Strain(by) if recently(&self.strains, by) => return,
                    Excuse::Strain(by) if recently(&self.hiccups, by) => {
                        judged.unexplained += 1;
                        return;
                    }
                    _ => {}
                }
                let end = end.map_or("and is still there", |end| &end.cause);
                let words = format!("{runtime} ({handle}) was lost to its lease: {error}; {end}");
                judged.guilty.push((Breach::Disturbed, words));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNTIME: RuntimeId = RuntimeId(7);

    const TERMS: Terms = Terms {
        patience: Duration::from_secs(1),
        news: Duration::from_millis(100),
        strain: Duration::from_secs(10),
        staged: false,
    };

    fn docket() -> Docket {
        Docket::new(TERMS)
    }

    fn loss() -> Loss {
        Loss { runtime: RUNTIME, handle: "pid 1".to_owned(), error: "gone".to_owned() }
    }

    /// The other was served now.
    fn overtaking() -> Overtaking {
        Overtaking { queued: 10, began: 11, granted: 12, busy: 13, at: Instant::now() }
    }

    fn retiring(reason: Reason) -> Change {
        Change::Retiring { runtime: RUNTIME, reason }
    }

    fn exited(cause: &str) -> Change {
        Change::Exited { runtime: RUNTIME, cause: cause.to_owned() }
    }

    fn hear(docket: &Docket, change: &Change, now: u64) {
        docket.hear(change, now, Instant::now(), false);
    }

    fn breaches(docket: &Docket) -> Vec<Breach> {
        docket.judge(true).guilty.into_iter().map(|(breach, _)| breach).collect()
    }

    #[test]
    fn a_loss_that_nothing_explains_is_a_breach() {
        let docket = docket();
        docket.lost(loss(), 5);
        hear(&docket, &exited("signal 9"), 6);
        assert_eq!(breaches(&docket), [Breach::Disturbed]);
        assert_eq!(breaches(&docket), [], "judged once");
    }

    #[test]
    fn one_that_was_hurt_before_is_none() {
        let docket = docket();
        docket.hurt("pid 1".to_owned(), 4);
        docket.lost(loss(), 5);
        assert_eq!(breaches(&docket), []);
    }

    #[test]
    fn only_a_fake_runtime_is_told_to_end_by_itself() {
        for staged in [false, true] {
            let docket = Docket::new(Terms { staged, ..TERMS });
            docket.lost(loss(), 5);
            hear(&docket, &exited("exit status 1"), 6);
            hear(&docket, &retiring(Reason::Exited), 7);
            assert_eq!(breaches(&docket).is_empty(), staged);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_found_unhealthy_is_none_if_something_had_made_runtimes_slow() {
        let second = Duration::from_secs(1);
        // When the strain was, from the verdict, and what that comes to.
        for (strained, breached) in [(None, 1), (Some(9 * second), 0), (Some(11 * second), 1)] {
            let docket = docket();
            if let Some(before) = strained {
                docket.strained(Instant::now());
                tokio::time::sleep(before).await;
            }
            docket.lost(loss(), 5);
            hear(&docket, &retiring(Reason::Unhealthy), 6);
            assert_eq!(breaches(&docket).len(), breached, "{strained:?}");
        }
        let docket = docket();
        hear(&docket, &retiring(Reason::Unhealthy), 6);
        tokio::time::sleep(second).await;
        docket.strained(Instant::now());
        docket.lost(loss(), 7);
        assert_eq!(breaches(&docket), [Breach::Disturbed], "what comes later explains nothing");
    }

    #[test]
    fn one_found_unhealthy_on_a_slow_machine_is_counted_apart() {
        let docket = docket();
        docket.hiccup(Instant::now());
        docket.lost(loss(), 5);
        hear(&docket, &retiring(Reason::Unhealthy), 6);
        let judged = docket.judge(true);
        assert_eq!((judged.guilty.len(), judged.unexplained), (0, 1));
        docket.lost(loss(), 7);
        hear(&docket, &exited("signal 9"), 8);
        assert_eq!(docket.judge(true).unexplained, 1, "what was told first is still known");
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
                    _ if now == from => hear(&docket, &launching, now),
                    _ if now == to => hear(&docket, &ready, now),
                    _ => {}
                }
            }
            docket.lost(loss(), 30);
            assert_eq!(breaches(&docket).len(), breached, "made from {from} to {to}");
        }
        let docket = docket();
        docket.upheaval(10);
        hear(&docket, &launching, 11);
        docket.lost(loss(), 12);
        assert_eq!(breaches(&docket), [], "it may be judged while it lasts");
    }

    #[tokio::test(start_paused = true)]
    async fn an_overtaking_is_excused_by_trouble_while_it_waited() {
        let docket = docket();
        docket.trouble(9);
        docket.overtaken(overtaking(), 14);
        assert_eq!(breaches(&docket), [Breach::Overtaken], "trouble before it waited is none of its own");
        docket.trouble(11);
        docket.overtaken(overtaking(), 14);
        let judged = docket.judge(true);
        assert_eq!((judged.guilty.len(), judged.excused), (0, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_after_the_other_was_served_excuses_only_if_it_is_late_news() {
        for (later, breached) in [(90, 0), (110, 1)] {
            let docket = docket();
            docket.overtaken(overtaking(), 14);
            tokio::time::sleep(Duration::from_millis(later)).await;
            hear(&docket, &retiring(Reason::Exited), 15);
            assert_eq!(breaches(&docket).len(), breached, "{later} ms later");
        }
        let docket = docket();
        docket.overtaken(overtaking(), 14);
        tokio::time::advance(Duration::from_mins(1)).await;
        docket.jumped(Duration::from_mins(1));
        hear(&docket, &retiring(Reason::Exited), 15);
        assert_eq!(breaches(&docket), [], "a clock that jumps makes nothing late");
    }

    #[test]
    fn ends_that_keep_nobody_waiting_are_no_trouble() {
        for reason in [Reason::UsedUp, Reason::LaunchFailed, Reason::ResetFailed, Reason::Quarantined] {
            let docket = docket();
            docket.overtaken(overtaking(), 14);
            hear(&docket, &retiring(reason), 15);
            docket.hurt("pid 1".to_owned(), 16);
            assert_eq!(breaches(&docket), [Breach::Overtaken], "{reason}");
        }
        let docket = docket();
        docket.overtaken(overtaking(), 14);
        docket.hear(&retiring(Reason::Quarantined), 15, Instant::now(), true);
        assert_eq!(breaches(&docket), [], "it was tested before it was to be leased");
    }

    #[test]
    fn nobody_is_judged_before_the_time() {
        let docket = docket();
        docket.lost(loss(), 5);
        assert!(docket.judge(false).guilty.is_empty());
        assert_eq!(docket.judge(true).guilty.len(), 1);
    }
}
