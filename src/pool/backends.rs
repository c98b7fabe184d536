use std::sync::Arc;

use slog::Logger;

use crate::backend::fake::Fake;
use crate::backend::process::{Owner, Process};
use crate::backend::{Backend, BackendError};
use crate::config::Config;
use crate::model::{BackendSpec, PoolSpec};

/// The backend that a pool's settings name.
///
/// # Errors
/// When they name one that the application must bring.
pub(super) fn build(
    config: &Config,
    spec: &PoolSpec,
    log: &Logger,
) -> Result<Arc<dyn Backend>, BackendError> {
    match &spec.backend {
        BackendSpec::Process(process) => {
            let owner = Owner { instance: config.instance.clone(), state_dir: config.state_dir.clone() };
            Ok(Process::new(process, &spec.limits, owner, log.clone()))
        }
        BackendSpec::Docker(_) | BackendSpec::Podman(_) => {
            Err(BackendError::lasting("this ostler was built without the feature `docker`"))
        }
        BackendSpec::Fake(fake) => Ok(Arc::new(Fake::new(fake))),
        BackendSpec::Custom => {
            Err(BackendError::lasting("backend = \"custom\" needs one handed to Builder::backend"))
        }
    }
}
