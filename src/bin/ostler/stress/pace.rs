use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::board::Board;

/// Longest that a client sleeps without looking whether all is over.
const LOOK: Duration = Duration::from_millis(200);

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
/// busy is timed from when it should have begun: what users feel when the pool is slow. Without, clients take
/// turns as fast as they can, and what is timed is the service alone.
#[derive(Debug)]
pub(super) struct Pace {
    started: Instant,
    length: Length,
    arrivals: Option<f64>,
    next: AtomicU64,
}

impl Pace {
    pub(super) fn new(length: Length, arrivals: Option<f64>) -> Self {
        Self { started: Instant::now(), length, arrivals, next: AtomicU64::new(0) }
    }

    /// When the next turn should begin, which is now or has been; nothing when the run is over.
    pub(super) async fn next(&self, board: &Board) -> Option<Instant> {
        let begins = match self.arrivals {
            None => Instant::now(),
            Some(rate) => {
                // A count of turns is far below what a float can hold.
                #[expect(clippy::cast_precision_loss, reason = "as said above")]
                let turn = self.next.fetch_add(1, Ordering::Relaxed) as f64;
                let after = Duration::try_from_secs_f64(turn / rate).unwrap_or(Duration::MAX);
                self.started.checked_add(after)?
            }
        };
        loop {
            let now = Instant::now();
            if self.is_over(begins.max(now), board) {
                return None;
            }
            if begins <= now {
                return Some(begins);
            }
            sleep_until(begins.min(now + LOOK)).await;
        }
    }

    fn is_over(&self, at: Instant, board: &Board) -> bool {
        board.is_stopped()
            || match self.length {
                Length::For(length) => at.duration_since(self.started) >= length,
                Length::Ops(operations) => board.tally.operations.get() >= operations,
            }
    }
}
