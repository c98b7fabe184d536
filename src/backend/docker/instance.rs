use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

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
use crate::guest::{Session, Wire, WireError};
use crate::model::{Epoch, Meter, Port};

/// What a guest does not need to end its service, and we to see it done.
const LAST_WORD: Duration = Duration::from_millis(300);

/// How a service is asked to end.
#[derive(Debug)]
pub(super) struct Farewell {
    pub(super) control: Arc<dyn Wire>,
    /// How long it has for that.
    pub(super) grace: Duration,
}

impl Farewell {
    /// Ready when it has ended, or had its time.
    async fn say(self) -> Result<(), WireError> {
        let session = Session::new(self.control, Epoch::default(), Arc::default());
        session.shutdown(self.grace + LAST_WORD).await
    }
}

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
    /// To be asked to end before it is made to.
    pub(super) service: Option<Farewell>,
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
        let service = self.service.take();
        Box::pin(async move {
            // One that can't be asked is ended all the same.
            if let Some(farewell) = service
                && let Err(error) = farewell.say().await
            {
                debug!(log, "a service could not be asked to end"; "cause" => with_causes(&error));
            }
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
