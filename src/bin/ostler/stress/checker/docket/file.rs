use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ostler::RuntimeId;
use tokio::time::Instant;

use super::super::breach::Breach;
use super::super::order::Overtaking;
use super::{Judged, Loss, Terms};

/// Of each kind of thing, how many are remembered.
const REMEMBERED: usize = 512;

/// What has happened that may excuse somebody, and who is suspected.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) suspects: VecDeque<Suspect>,
    /// When something happened to a runtime that may have put a waiter back in the queue.
    troubles: VecDeque<Trouble>,
    /// When the clock moved on at once, and by how much.
    pub(super) jumps: VecDeque<(Instant, Duration)>,
    /// When something was done that may make any runtime slow.
    pub(super) strains: VecDeque<Instant>,
    /// When the machine itself was.
    pub(super) hiccups: VecDeque<Instant>,
    /// Suspects that were let go unjudged.
    pub(super) excused: u64,
    /// Troubles up to here may be forgotten.
    pub(super) forgotten: u64,
    /// Runtimes that harm was done to, by handle, and when.
    pub(super) hurt: VecDeque<(String, u64)>,
    /// From when to when whoever was being made may have been hurt, without having been there to be named.
    pub(super) upheavals: VecDeque<Span>,
    /// When runtimes were made.
    pub(super) launches: BTreeMap<RuntimeId, Span>,
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
pub(super) struct Span(pub(super) u64, pub(super) Option<u64>);

impl Span {
    fn meets(self, other: Self) -> bool {
        let before = |at: u64, end: Option<u64>| end.is_none_or(|end| at <= end);
        before(self.0, other.1) && before(other.0, self.1)
    }
}

/// How a runtime ended.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) excuse: Excuse,
    pub(super) cause: String,
}

/// How far the way a runtime ended explains that a lease lost it. The better comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Excuse {
    Never,
    /// If something had made runtimes slow by then.
    Strain(Instant),
    Always,
}

#[derive(Debug)]
pub(super) struct Suspect {
    pub(super) due: Instant,
    /// When it was brought.
    pub(super) now: u64,
    pub(super) charge: Charge,
}

#[derive(Debug)]
pub(super) enum Charge {
    Overtaken(Overtaking),
    Disturbed(Loss),
}

/// Answers what is forgotten for it.
pub(super) fn remember<T>(known: &mut VecDeque<T>, new: T) -> Option<T> {
    let forgotten = if known.len() == REMEMBERED { known.pop_front() } else { None };
    known.push_back(new);
    forgotten
}

impl File {
    pub(super) fn trouble(&mut self, stamp: u64, at: Instant) {
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

    pub(super) fn launching(&mut self, runtime: RuntimeId, now: u64) {
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
    pub(super) fn ended(&mut self, runtime: RuntimeId, end: End) {
        if self.ends.len() == REMEMBERED {
            self.ends.pop_first();
        }
        let excuse = end.excuse;
        let known = self.ends.entry(runtime).or_insert(end);
        known.excuse = known.excuse.max(excuse);
    }

    pub(super) fn judge(&self, terms: &Terms, suspect: &Suspect, judged: &mut Judged) {
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
