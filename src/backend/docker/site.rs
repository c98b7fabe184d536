use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use super::Flavor;
use super::address::Address;
use super::client::Engine;
use super::ground::Ground;
use super::label::Mark;
use super::register::Running;
use super::sweep::Sightings;
use crate::backend::BackendError;
use crate::backend::owner::{Life, Owner};
use crate::model::ContainerSpec;

/// What all containers of one backend share. Made when the first of them is, or at
/// [`prepare`](crate::backend::Backend::prepare).
#[derive(Debug)]
pub(super) struct Site {
    pub(super) engine: Arc<Engine>,
    pub(super) mark: Mark,
    pub(super) ground: Ground,
    pub(super) running: Arc<Running>,
    pub(super) sightings: Sightings,
    /// Why the engine can't be worked with, as far as its caretaker knows.
    pub(super) trouble: watch::Sender<Option<String>>,
}

impl Site {
    /// Blocks for some milliseconds, and asks the engine nothing.
    ///
    /// # Errors
    /// When no engine can be found, or there is no room for what is kept in files.
    pub(super) fn new(
        spec: &ContainerSpec,
        flavor: Flavor,
        owner: &Owner,
        made_from: &str,
    ) -> Result<Self, BackendError> {
        let step = || format!("prepare {flavor}");
        let address = Address::find(spec, flavor).map_err(|why| BackendError::passing(step(), why))?;
        let life = Life::own(owner).map_err(|error| BackendError::passing(step(), error))?;
        let ground = Ground::new(&life, Path::new(&owner.state_dir))
            .map_err(|error| BackendError::passing(step(), error))?;
        Ok(Self {
            engine: Arc::new(Engine::new(address, flavor)),
            mark: Mark::new(&owner.instance, life, made_from),
            ground,
            running: Arc::default(),
            sightings: Sightings::default(),
            trouble: watch::Sender::default(),
        })
    }
}
