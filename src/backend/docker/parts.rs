use std::io;
use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::image::Image;
use super::journal::{Journal, Journals};
use super::site::Site;
use super::{Shared, secrets, setup};
use crate::backend::owner::plain;
use crate::backend::{BackendError, Launch};
use crate::model::Seccomp;
use crate::protocol::ContainerSetup;

/// All that one container is made from, fetched.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) name: String,
    pub(super) image: Arc<Image>,
    pub(super) setup: ContainerSetup,
    /// The content of `seccomp`'s file.
    pub(super) profile: Option<String>,
    pub(super) journal: Arc<Journal>,
    pub(super) journals: Journals,
}

impl Parts {
    /// What is done with it, for an error.
    pub(super) fn step(&self, what: &str) -> String {
        format!("{what} container {}", self.name)
    }
}

impl Shared {
    pub(super) async fn fetch(&self, site: &Site, launch: &Launch) -> Result<Parts, BackendError> {
        let image = self.images.get(&site.engine).await?;
        let mut env = secrets::environment(&self.spec.env_files).await?;
        env.extend(self.env.clone());
        let secrets = secrets::fetch(&self.spec.secrets).await?;
        let setup = setup::setup(self.flavor, &self.spec, &self.limits, &image, env, secrets)?;
        let suffix = fastrand::u64(..);
        let name = plain(&format!("ostler-{}-{}-{suffix:016x}", launch.pool, launch.runtime));
        let journals = Journals::new(&self.spec.logs, &self.owner.state_dir, &launch.pool);
        Ok(Parts {
            journal: journals.of(&name),
            journals,
            name,
            image,
            setup,
            profile: self.profile().await?,
        })
    }

    async fn profile(&self) -> Result<Option<String>, BackendError> {
        let Seccomp::Profile(path) = &self.spec.seccomp else { return Ok(None) };
        let file = path.clone();
        let read = spawn_blocking(move || std::fs::read_to_string(file)).await.map_err(io::Error::other);
        let step = || format!("read seccomp profile {}", path.display());
        read.flatten().map(Some).map_err(|error| BackendError::passing(step(), error))
    }
}
