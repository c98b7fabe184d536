use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use slog::{Logger, debug};
use tokio::task::spawn_blocking;

use super::container::Container;
use super::entry::Way;
use super::image::Image;
use super::journal::{Journal, Journals};
use super::output;
use super::ports::Reserved;
use super::stats::Sampling;
use super::verify::Inspector;
use crate::backend::{BackendError, BoxFuture, Instance, Residue, with_causes};
use crate::model::{Meter, Port};

/// One container that serves.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) log: Logger,
    pub(super) container: Container,
    /// Shared with verifications under way.
    pub(super) inspector: Arc<Inspector>,
    pub(super) endpoints: BTreeMap<Port, SocketAddr>,
    pub(super) image: Arc<Image>,
    /// Where the engine's log of it goes in the end; none where it is read all along.
    pub(super) unread: Option<Arc<Journal>>,
    pub(super) journals: Journals,
    pub(super) way: Way,
    /// Of what it uses, where that is wanted.
    pub(super) sampling: Option<Sampling>,
    /// Freed with the container.
    pub(super) _ports: Reserved,
}

impl Instance for Kept {
    fn handle(&self) -> String {
        self.container.short().to_owned()
    }

    fn endpoints(&self) -> BTreeMap<Port, SocketAddr> {
        self.endpoints.clone()
    }

    fn health_check(&self) -> Option<Vec<String>> {
        self.image.health_check.clone()
    }

    fn transport(&self) -> Option<&'static str> {
        Some(self.way.name())
    }

    fn meter(&self) -> Option<Meter> {
        self.sampling.as_ref().map(Sampling::meter)
    }

    fn verify(&self) -> BoxFuture<Result<(), Residue>> {
        let inspector = Arc::clone(&self.inspector);
        Box::pin(async move { inspector.verify().await })
    }

    fn destroy(&mut self) -> BoxFuture<Result<(), BackendError>> {
        if let Some(sampling) = &mut self.sampling {
            sampling.end();
        }
        let removal = self.container.removal();
        let step = format!("remove container {}", self.container.short());
        let unread = self.unread.take();
        let (engine, id) = (Arc::clone(self.container.engine()), self.container.id().to_owned());
        let (log, journals) = (self.log.clone(), self.journals.clone());
        Box::pin(async move {
            if let Some(journal) = unread
                && let Err(error) = output::collect(&engine, &id, &journal).await
            {
                // What it said is lost with it; it must go all the same.
                debug!(log, "{}", with_causes(&error));
            }
            removal.await.map_err(|error| error.at(step))?;
            if let Err(error) =
                spawn_blocking(move || journals.prune()).await.map_err(io::Error::other).flatten()
            {
                debug!(log, "old logs are still there: {error}");
            }
            Ok(())
        })
    }
}
