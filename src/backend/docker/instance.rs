use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::container::Container;
use super::ports::Reserved;
use super::verify::Inspector;
use crate::backend::{BackendError, BoxFuture, Instance, Residue};
use crate::model::Port;

/// One container that serves.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) container: Container,
    /// Shared with verifications under way.
    pub(super) inspector: Arc<Inspector>,
    pub(super) endpoints: BTreeMap<Port, SocketAddr>,
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

    fn verify(&self) -> BoxFuture<Result<(), Residue>> {
        let inspector = Arc::clone(&self.inspector);
        Box::pin(async move { inspector.verify().await })
    }

    fn destroy(&mut self) -> BoxFuture<Result<(), BackendError>> {
        let removal = self.container.removal();
        let step = format!("remove container {}", self.container.short());
        Box::pin(async move { removal.await.map_err(|error| error.at(step)) })
    }
}
