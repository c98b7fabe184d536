use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bollard::errors::Error as ApiError;
use bollard::{API_DEFAULT_VERSION, Docker};
use tokio::runtime::{Handle, Id};
use tokio::time::timeout;

use super::address::Address;
use super::{Flavor, podman};
use crate::backend::BackendError;

/// Longest an engine may take for what costs it nothing: a look, a list, a signal.
pub(super) const QUICK: Duration = Duration::from_secs(10);
/// Longest it may take to make, start or remove a container. A pool's own timeouts are usually shorter.
pub(super) const WORK: Duration = Duration::from_mins(2);

/// One engine, as far as it is ours to speak to.
#[derive(Debug)]
pub(super) struct Engine {
    address: Address,
    flavor: Flavor,
    /// One for each tokio runtime that has asked: a connection belongs to the runtime that made it.
    clients: Mutex<Vec<(Id, Docker)>>,
}

/// Why an engine did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum EngineError {
    /// It is not there, or the connection broke.
    #[error("the engine at {address} can't be reached")]
    Unreachable { address: String, source: Box<ApiError> },
    /// It is there, perhaps, and says nothing.
    #[error("the engine at {address} did not answer within {limit:?}")]
    Silent { address: String, limit: Duration },
    /// There is no such thing.
    #[error("{0}")]
    Missing(String),
    /// Not in the state that thing is in.
    #[error("{0}")]
    Conflict(String),
    /// It said no.
    #[error("{message}")]
    Refused { status: u16, message: String },
    /// It does not have what was asked for, or makes no use of it.
    #[error("{0}")]
    Lacking(String),
    /// It said something that cannot be understood.
    #[error("the engine at {address} answers strangely")]
    Strange { address: String, source: Box<ApiError> },
}

impl EngineError {
    /// Whether the engine itself is the trouble, and not what it was asked.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Silent { .. })
    }

    /// The same as a backend's, with what was being done.
    pub(super) fn at(self, step: impl Into<String>) -> BackendError {
        BackendError::passing(step, self)
    }
}

impl Engine {
    pub(super) fn new(address: Address, flavor: Flavor) -> Self {
        Self { address, flavor, clients: Mutex::default() }
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// The current tokio runtime's client, which speaks the newest version that both ends know, and with Podman one
    /// that any of it knows: Podman asks half its tools for theirs before it says its own, which takes a second.
    ///
    /// # Errors
    /// When the engine can't be reached.
    pub(super) async fn client(&self) -> Result<Docker, EngineError> {
        let runtime = Handle::current().id();
        if let Some(client) =
            self.with(|all| all.iter().find(|(id, _)| *id == runtime).map(|(_, c)| c.clone()))
        {
            return Ok(client);
        }
        let client = self.connect().map_err(|source| self.unreachable(source))?;
        let client = match self.flavor {
            Flavor::Docker => self.within(QUICK, client.negotiate_version()).await?,
            Flavor::Podman => self.within(QUICK, client.ping()).await.map(|_| client)?,
        };
        self.with(|all| {
            all.retain(|(id, _)| *id != runtime);
            all.push((runtime, client.clone()));
        });
        Ok(client)
    }

    /// What an engine comes to, but not for longer than `limit`, the body of its answer included.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, EngineError> {
        match timeout(limit, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.explain(error)),
            Err(_) => Err(EngineError::Silent { address: self.address.to_string(), limit }),
        }
    }

    /// An error of the library's in our terms. An engine that went away may come back as another version.
    pub(super) fn explain(&self, error: ApiError) -> EngineError {
        let address = || self.address.to_string();
        match error {
            ApiError::DockerResponseServerError { status_code, message } => match status_code {
                404 => EngineError::Missing(message),
                409 => EngineError::Conflict(message),
                status => EngineError::Refused { status, message },
            },
            ApiError::RequestTimeoutError => EngineError::Silent { address: address(), limit: WORK },
            ApiError::JsonDataError { .. } | ApiError::JsonSerdeError { .. } => {
                EngineError::Strange { address: address(), source: Box::new(error) }
            }
            error => {
                let runtime = Handle::current().id();
                self.with(|all| all.retain(|(id, _)| *id != runtime));
                self.unreachable(error)
            }
        }
    }

    fn unreachable(&self, source: ApiError) -> EngineError {
        EngineError::Unreachable { address: self.address.to_string(), source: Box::new(source) }
    }

    fn connect(&self) -> Result<Docker, ApiError> {
        // The library's own limit is for the head of an answer only, and ours is the one that counts.
        let limit = WORK.as_secs();
        let version = match self.flavor {
            Flavor::Docker => API_DEFAULT_VERSION,
            Flavor::Podman => podman::VERSION,
        };
        match &self.address {
            Address::Unix(path) => Docker::connect_with_unix(&path.to_string_lossy(), limit, version),
            Address::Tcp(host) => Docker::connect_with_http(host, limit, version),
            Address::Tls { host, files } => {
                Docker::connect_with_ssl(host, &files.key, &files.cert, &files.ca, limit, version)
            }
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Vec<(Id, Docker)>) -> T) -> T {
        // Poisoned, it is still whole: nothing that is done with it can stop half-way.
        work(&mut self.clients.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
