use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ostler::{Change, Reason, RuntimeId};
use tokio::time::Instant;

/// Of each kind of thing, how many are remembered.
const REMEMBERED: usize = 4096;
/// With fewer, a median says nothing.
const ENOUGH: usize = 10;

/// How soon a pool notices that one of its runtimes was killed (P9).
#[derive(Debug, Default)]
pub(in super::super) struct Notices(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    /// Runtimes that are there, by handle.
    known: BTreeMap<String, RuntimeId>,
    /// Those that were killed, and when, if that can be timed.
    killed: BTreeMap<RuntimeId, Option<Instant>>,
    took: Vec<Duration>,
}

impl Notices {
    /// A runtime is about to be killed; it is a matter of another pool where it is not known.
    pub(in super::super) fn killed(&self, handle: &str) {
        let mut book = self.lock();
        if let Some(runtime) = book.known.get(handle).copied() {
            book.killed.entry(runtime).or_insert(Some(Instant::now()));
        }
    }

    /// It was not, after all.
    pub(in super::super) fn spared(&self, handle: &str) {
        let mut book = self.lock();
        if let Some(runtime) = book.known.get(handle).copied() {
            book.killed.remove(&runtime);
        }
    }

    /// The pool says what it did; answers how long it took it to notice.
    pub(in super::super) fn hear(&self, change: &Change, at: Instant) -> Option<Duration> {
        let mut book = self.lock();
        match change {
            Change::Ready { runtime, handle, .. } => {
                if book.known.len() == REMEMBERED {
                    book.known.pop_first();
                }
                book.known.insert(handle.clone(), *runtime);
                None
            }
            Change::Exited { runtime, .. }
            | Change::Retiring {
                runtime,
                reason: Reason::Quarantined | Reason::Unhealthy | Reason::Exited,
            } => {
                let took = at.saturating_duration_since(book.noticed(*runtime)?);
                if book.took.len() < REMEMBERED {
                    book.took.push(took);
                }
                Some(took)
            }
            // It was on its way out.
            Change::Retiring { runtime, .. } | Change::Gone { runtime } => {
                book.noticed(*runtime);
                None
            }
            _ => None,
        }
    }

    /// The clock has moved on at once: what is under way can't be timed.
    pub(in super::super) fn jumped(&self) {
        self.lock().killed.values_mut().for_each(|at| *at = None);
    }

    /// What was to be heard may have been missed.
    pub(in super::super) fn forget(&self) {
        self.lock().killed.clear();
    }

    /// What is wrong, once nothing more is to be heard: one that nobody noticed, or a median beyond `ceiling`.
    pub(in super::super) fn judge(&self, ceiling: Duration) -> Vec<String> {
        let mut book = self.lock();
        let killed = book.killed.keys();
        let mut wrong: Vec<_> =
            killed.map(|runtime| format!("{runtime} was killed, and nothing came of it")).collect();
        book.took.sort_unstable();
        let median = book.took.get(book.took.len() / 2).copied().unwrap_or_default();
        if book.took.len() >= ENOUGH && median > ceiling {
            let many = book.took.len();
            wrong.push(format!(
                "half of {many} runtimes that were killed were noticed after {median:?} or more, and {ceiling:?} may be"
            ));
        }
        wrong
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// It is known to have ended, or to be about to. Answers when it was killed.
    fn noticed(&mut self, runtime: RuntimeId) -> Option<Instant> {
        self.known.retain(|_, known| *known != runtime);
        self.killed.remove(&runtime).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CEILING: Duration = Duration::from_millis(50);

    fn ready(runtime: u64) -> Change {
        let (runtime, handle) = (RuntimeId(runtime), format!("pid {runtime}"));
        Change::Ready { runtime, handle, took: Duration::ZERO }
    }

    fn exited(runtime: u64) -> Change {
        Change::Exited { runtime: RuntimeId(runtime), cause: "signal 9".to_owned() }
    }

    /// So many are killed, and noticed so much later.
    fn judge(kills: u64, took: Duration) -> Vec<String> {
        let notices = Notices::default();
        for runtime in 0..kills {
            notices.hear(&ready(runtime), Instant::now());
            notices.killed(&format!("pid {runtime}"));
            notices.hear(&exited(runtime), Instant::now() + took);
        }
        notices.judge(CEILING)
    }

    #[test]
    fn a_median_beyond_what_may_be_is_wrong() {
        assert_eq!(judge(20, Duration::from_millis(10)), Vec::<String>::new());
        assert!(judge(20, Duration::from_millis(100))[0].starts_with("half of 20"));
        assert_eq!(judge(5, Duration::from_millis(100)), Vec::<String>::new(), "too few to say");
    }

    #[test]
    fn one_that_nobody_noticed_is_wrong() {
        let notices = Notices::default();
        notices.hear(&ready(1), Instant::now());
        notices.killed("pid 2");
        assert_eq!(notices.judge(CEILING), Vec::<String>::new(), "another pool's");
        notices.killed("pid 1");
        assert!(notices.judge(CEILING)[0].contains("nothing came of it"));
        notices.hear(&Change::Gone { runtime: RuntimeId(1) }, Instant::now());
        assert_eq!(notices.judge(CEILING), Vec::<String>::new(), "it went in another way");
        notices.killed("pid 1");
        assert_eq!(notices.judge(CEILING), Vec::<String>::new(), "it was gone by then");
    }

    #[test]
    fn one_that_could_not_be_killed_need_not_be_noticed() {
        let notices = Notices::default();
        notices.hear(&ready(1), Instant::now());
        notices.killed("pid 1");
        notices.spared("pid 1");
        assert_eq!(notices.judge(CEILING), Vec::<String>::new());
    }

    #[test]
    fn a_clock_that_jumps_times_nothing() {
        let notices = Notices::default();
        notices.hear(&ready(1), Instant::now());
        notices.killed("pid 1");
        notices.jumped();
        assert_eq!(notices.hear(&exited(1), Instant::now()), None);
        assert_eq!(notices.judge(CEILING), Vec::<String>::new());
    }
}
