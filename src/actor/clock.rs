use std::time::Duration;

use tokio::time::Instant;

use crate::decide::Moment;

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
