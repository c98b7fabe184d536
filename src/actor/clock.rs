use std::time::Duration;

use tokio::time::Instant;

use crate::decide::Moment;

/// How often the coarse clock of the handoffs moves. A lease sees time this late at most, and
/// `test_after_idle` is the only knob that shows it.
pub(super) const CLOCK_INTERVAL: Duration = Duration::from_millis(50);

/// Time since ostler started. Follows tokio's clock, so a test can stop it.
#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Since ostler started.
    pub(crate) fn now(&self) -> Moment {
        self.started.elapsed()
    }
}

/// Whole milliseconds, saturating.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
