use std::sync::Arc;

use slog::Logger;

#[cfg(feature = "docker")]
use crate::backend::docker::{Docker, Flavor};
use crate::backend::fake::Fake;
use crate::backend::process::Process;
use crate::backend::{Backend, BackendError, Owner};
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
        #[cfg(feature = "docker")]
        BackendSpec::Docker(container) | BackendSpec::Podman(container) => {
            let flavor = match spec.backend {
                BackendSpec::Podman(_) => Flavor::Podman,
                _ => Flavor::Docker,
            };
            let owner = Owner { instance: config.instance.clone(), state_dir: config.state_dir.clone() };
            Ok(Docker::new(flavor, container, &spec.limits, &spec.env, owner, log.clone()))
        }
        #[cfg(not(feature = "docker"))]
        BackendSpec::Docker(_) | BackendSpec::Podman(_) => {
            Err(BackendError::lasting("this ostler was built without the feature `docker`"))
        }
        BackendSpec::Fake(fake) => Ok(Arc::new(Fake::new(fake))),
        BackendSpec::Custom => {
            Err(BackendError::lasting("backend = \"custom\" needs one handed to Builder::backend"))
        }
    }
}
