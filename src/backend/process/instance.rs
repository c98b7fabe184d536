use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::keeper::Keeper;
use super::verify::Inspector;
use crate::backend::{BackendError, BoxFuture, Instance, Residue};

/// One sandboxed process tree. Dropped, its keeper ends it.
#[derive(Debug)]
pub(super) struct Sandbox {
    pub(super) keeper: Keeper,
    /// Shared with verifications under way on a blocking thread.
    pub(super) inspector: Arc<Inspector>,
}

impl Instance for Sandbox {
    fn handle(&self) -> String {
        format!("pid {}", self.inspector.pid())
    }

    fn verify(&self) -> BoxFuture<Result<(), Residue>> {
        let inspector = Arc::clone(&self.inspector);
        Box::pin(async move {
            spawn_blocking(move || inspector.verify())
                .await
                .unwrap_or_else(|failed| Err(Residue { what: format!("unknown: {failed}") }))
        })
    }

    fn destroy(&mut self) -> BoxFuture<Result<(), BackendError>> {
        let mut ending = self.keeper.ending();
        let step = format!("end {}", self.handle());
        Box::pin(async move {
            let ended = ending.finish().await.map_err(|error| BackendError::passing(step.clone(), error))?;
            // What was busy when it was tried last need not be now.
            let Some(remains) = ended.left else { return Ok(()) };
            let left = spawn_blocking(move || remains.remove()).await;
            match left.map_err(|failed| BackendError::passing(step.clone(), failed))? {
                left if left.is_empty() => Ok(()),
                left => Err(BackendError::passing(step, format!("left behind: {}", left.join(", ")))),
            }
        })
    }
}
