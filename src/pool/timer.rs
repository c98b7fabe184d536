use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep};

/// What is as good as never.
const FAR: Duration = Duration::from_hours(30 * 365 * 24);

/// So long after that, or as far in the future as a timer goes.
pub(super) fn after(start: Instant, limit: Duration) -> Instant {
    start.checked_add(limit.min(FAR)).unwrap_or(start)
}

/// A sleep on the caller's tokio runtime, or on ostler's own when the caller has none.
pub(super) fn sleep_until(home: &Handle, deadline: Instant) -> Sleep {
    let _context = match Handle::try_current() {
        Ok(_) => None,
        Err(_) => Some(home.enter()),
    };
    tokio::time::sleep_until(deadline)
}

/// The future's output, or `None` when it is not there by then. The future wins a tie.
pub(super) async fn by<F: Future>(home: &Handle, deadline: Instant, future: F) -> Option<F::Output> {
    let alarm = pin!(sleep_until(home, deadline));
    tokio::select! {
        biased;
        output = future => Some(output),
        () = alarm => None,
    }
}

/// As [`by`], counted from now.
pub(super) async fn within<F: Future>(home: &Handle, limit: Duration, future: F) -> Option<F::Output> {
    by(home, after(Instant::now(), limit), future).await
}
