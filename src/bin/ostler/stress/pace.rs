use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::board::Board;

/// Longest that a client sleeps without looking whether all is over.
const LOOK: Duration = Duration::from_millis(200);
/// Turns that were missed are told apart in so many groups at most.
const GROUPS: u64 = 10_000;

/// When a run ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Length {
    For(Duration),
    /// Operations in all.
    Ops(u64),
}

/// Says when the next turn begins.
///
/// With a rate of arrivals the moments are fixed beforehand, and a turn that begins late because all clients were
/// busy is timed from when it should have begun: what users feel when the pool is slow. One that was due and never
/// began is [`missed`](Self::missed). Without a rate, clients take turns as fast as they can, and what is timed is the
/// service alone.
#[derive(Debug)]
pub(super) struct Pace {
    started: Instant,
    length: Length,
    arrivals: Option<f64>,
    next: AtomicU64,
    /// When it was first seen that there are to be no more turns, unless that is a matter of time alone.
    stopped: OnceLock<Instant>,
    /// Turns that somebody was to begin when it was over: one a client.
    dropped: Mutex<Vec<u64>>,
}

/// Turns that were due and had not begun in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Missed {
    pub(super) turns: u64,
    /// How long they had waited by then.
    pub(super) waited: Duration,
}

impl Pace {
    pub(super) fn new(length: Length, arrivals: Option<f64>) -> Self {
        Self {
            started: Instant::now(),
            length,
            arrivals,
            next: AtomicU64::new(0),
            stopped: OnceLock::new(),
            dropped: Mutex::default(),
        }
    }

    /// When the next turn should begin, which is now or has been; nothing when the run is over.
    pub(super) async fn next(&self, board: &Board) -> Option<Instant> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let begins = match self.arrivals {
            None => Instant::now(),
            Some(rate) => self.moment(turn, rate)?,
        };
        loop {
            let now = Instant::now();
            if self.end(board).is_some_and(|end| begins.max(now) >= end) {
                self.dropped.lock().unwrap_or_else(PoisonError::into_inner).push(turn);
                return None;
            }
            if begins <= now {
                return Some(begins);
            }
            sleep_until(begins.min(now + LOOK)).await;
        }
    }

    /// Turns that were due in the end and had not begun. To be asked when no client takes any more.
    pub(super) fn missed(&self, board: &Board) -> Vec<Missed> {
        let (Some(rate), Some(end)) = (self.arrivals, self.end(board)) else { return Vec::new() };
        let missed = |turns: u64, turn: u64| {
            let waited = end.checked_duration_since(self.moment(turn, rate)?)?;
            (!waited.is_zero()).then_some(Missed { turns, waited })
        };
        let dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        let dropped = dropped.iter().filter_map(|turn| missed(1, *turn));
        let next = self.next.load(Ordering::Relaxed);
        // The last one that is due may be due at the very end, and then it has not waited.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "counts are far below what a float can hold"
        )]
        let due = (end.duration_since(self.started).as_secs_f64() * rate).ceil() as u64;
        let group = due.saturating_sub(next).div_ceil(GROUPS).max(1);
        let groups = (next..due).step_by(usize::try_from(group).unwrap_or(usize::MAX));
        dropped.chain(groups.filter_map(|turn| missed(group.min(due - turn), turn))).collect()
    }

    /// When a turn should begin.
    fn moment(&self, turn: u64, rate: f64) -> Option<Instant> {
        // A count of turns is far below what a float can hold.
        #[expect(clippy::cast_precision_loss, reason = "as said above")]
        let after = Duration::try_from_secs_f64(turn as f64 / rate).unwrap_or(Duration::MAX);
        self.started.checked_add(after)
    }

    /// From when on no turn begins, as soon as that is known.
    fn end(&self, board: &Board) -> Option<Instant> {
        let (by_time, stopped) = match self.length {
            Length::For(length) => (self.started.checked_add(length), board.is_stopped()),
            Length::Ops(operations) => {
                (None, board.is_stopped() || board.tally.operations.get() >= operations)
            }
        };
        let stopped = stopped.then(|| *self.stopped.get_or_init(Instant::now));
        by_time.into_iter().chain(stopped).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: f64 = 10.0;

    /// Turns that were begun, by how late, and those that were not, by how long they had waited; milliseconds.
    async fn play(length: Length, busy: &[u64], stop: Option<u64>) -> (Vec<u64>, Vec<(u64, u64)>) {
        let (pace, board) = (Pace::new(length, Some(RATE)), Board::new());
        let (mut begun, mut busy) = (Vec::new(), busy.iter());
        let ms = |duration: Duration| u64::try_from(duration.as_micros().div_ceil(1000)).unwrap();
        while let Some(begins) = pace.next(&board).await {
            begun.push(ms(begins.elapsed()));
            tokio::time::sleep(Duration::from_millis(busy.next().copied().unwrap_or(1))).await;
            if stop.is_some_and(|at| pace.started.elapsed() >= Duration::from_millis(at)) {
                board.stop();
            }
        }
        let missed = pace.missed(&board);
        (begun, missed.into_iter().map(|Missed { turns, waited }| (turns, ms(waited))).collect())
    }

    const SECOND: Length = Length::For(Duration::from_secs(1));

    #[tokio::test(start_paused = true)]
    async fn a_load_that_keeps_up_misses_nothing() {
        assert_eq!(play(SECOND, &[], None).await, (vec![0; 10], vec![]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_turn_counts_from_when_it_should_have_begun() {
        let (begun, missed) = play(SECOND, &[250], None).await;
        assert_eq!((&begun[..4], missed.len()), (&[0, 150, 51, 0][..], 0));
    }

    #[tokio::test(start_paused = true)]
    async fn turns_that_were_due_and_never_begun_have_waited_until_the_end() {
        let (begun, missed) = play(SECOND, &[10, 5000], None).await;
        assert_eq!(begun, [0, 0]);
        let waited: Vec<_> = (2..10).map(|turn| (1, 1000 - 100 * turn)).collect();
        assert_eq!(missed, waited, "the first is the one that the client was about to begin");
    }

    #[tokio::test(start_paused = true)]
    async fn a_load_that_is_stopped_ends_there() {
        let (begun, missed) = play(Length::For(Duration::from_hours(1)), &[450], Some(440)).await;
        assert_eq!((begun, missed), (vec![0], vec![(1, 350), (1, 250), (1, 150), (1, 50)]));
    }

    #[tokio::test(start_paused = true)]
    async fn very_many_are_told_apart_in_groups() {
        let pace = Pace::new(Length::For(Duration::from_secs(10)), Some(1e6));
        let board = Board::new();
        sleep_until(pace.started + Duration::from_secs(11)).await;
        let missed = pace.missed(&board);
        assert!(missed.len() <= 10_000, "{}", missed.len());
        assert_eq!(missed.iter().map(|missed| missed.turns).sum::<u64>(), 10_000_000);
        assert_eq!(missed[0].waited, Duration::from_secs(10));
    }
}
