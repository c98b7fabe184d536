//! Orphans of an application's own backend. The others sweep by themselves.

use std::sync::{Arc, Weak};
use std::time::Duration;

use slog::{Logger, info, warn};
use tokio::time::sleep;

use crate::backend::{Backend, BackendError, with_causes};

/// Between two sweeps.
const AGAIN: Duration = Duration::from_mins(1);

/// What earlier ostlers left goes.
///
/// # Errors
/// As the backend's.
pub(super) async fn once(backend: Arc<dyn Backend>, log: Logger) -> Result<(), BackendError> {
    let count = backend.sweep().await?;
    if count > 0 {
        info!(log, "orphans removed"; "count" => count);
    }
    Ok(())
}

/// The same now and again. Does not hold on to the backend.
pub(super) async fn again(backend: Weak<dyn Backend>, log: Logger) {
    loop {
        sleep(AGAIN).await;
        let Some(backend) = backend.upgrade() else { return };
        // A task of its own, so that one that panics is not the last.
        let cause = match tokio::spawn(once(backend, log.clone())).await {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => with_causes(&error),
            Err(error) => error.to_string(),
        };
        warn!(log, "sweep failed"; "cause" => cause);
    }
}
