use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::backend::BackendError;
use crate::config::ConfigError;
use crate::guest::{RefusalKind, WireError};
use crate::model::{PoolName, RuntimeId};

/// What went wrong: in which operation, at which phase of it, in which pool and runtime, and why.
///
/// One line by `Display`; the causes by [`source`](StdError::source). [`Error::is_retryable`] tells whether the
/// same call can succeed later without anybody changing anything.
pub struct Error(Box<Inner>);

struct Inner {
    operation: &'static str,
    pool: Option<PoolName>,
    runtime: Option<RuntimeId>,
    kind: ErrorKind,
}

/// Why, and in which phase.
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration was refused. Final.
    Config(ConfigError),
    /// ostler could not start: a thread, a lock, a backend. The source says which.
    Start(Box<dyn StdError + Send + Sync>),
    /// There is no pool of this name. Final.
    NoSuchPool,
    /// As many acquires wait as the pool's `queue` allows. Retryable.
    Overloaded {
        /// How many wait.
        waiters: usize,
    },
    /// Nothing was ready and the request would not wait. Retryable.
    Exhausted {
        /// When it may be worth trying again; an estimate from recent waits.
        retry_after: Duration,
    },
    /// The acquire's time ran out while it waited. Retryable.
    TimedOut {
        /// How long it waited.
        waited: Duration,
        /// What the pool is suffering from, if it knows.
        trouble: Option<String>,
    },
    /// The pool is draining or shut down. Final.
    Closed,
    /// A reload would change what can't change while ostler runs. Final.
    Fixed {
        /// The key.
        key: &'static str,
    },
    /// A pool of this name has been taken out of the configuration and is not gone yet. Retryable.
    Draining {
        /// Runtimes that it still has.
        left: usize,
    },
    /// A defect of ostler's own interrupted the request, and it has recovered. The request may have been taken up;
    /// it can be made again. Retryable.
    Interrupted,
    /// The guest refused the operation: no such file, not allowed, no space. Final for this operation, nothing
    /// else is wrong; of what was used up ([`RefusalKind::Exhausted`]) another lease may have some: retryable.
    Refused(WireError),
    /// The lease was over before the operation. Final.
    Ended,
    /// The lease was held for longer than its pool's `max_lease` and not renewed; what was under way has an unknown
    /// outcome. Final.
    Expired {
        /// How long it may be held.
        limit: Duration,
    },
    /// The runtime was lost during the operation, whose outcome is unknown. It is replaced; a new lease will
    /// work. Retryable, if the operation may be done twice.
    Lost(WireError),
    /// The caller's own reader or writer failed. Final.
    Io(Arc<std::io::Error>),
    /// Shutdown or drain ended with these still there. Final.
    Survivors(Vec<String>),
}

/// Which part of an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Before anything ran: configuration, backends, threads.
    Start,
    /// Waiting for a runtime.
    Wait,
    /// Working in one.
    Work,
    /// Ending.
    Stop,
}

impl Error {
    pub(crate) fn new(operation: &'static str, kind: ErrorKind) -> Self {
        Self(Box::new(Inner { operation, pool: None, runtime: None, kind }))
    }

    pub(crate) fn in_pool(mut self, pool: &PoolName) -> Self {
        self.0.pool = Some(pool.clone());
        self
    }

    pub(crate) fn in_runtime(mut self, runtime: RuntimeId) -> Self {
        self.0.runtime = Some(runtime);
        self
    }

    pub(crate) fn from_wire(operation: &'static str, error: WireError) -> Self {
        let kind = match error {
            WireError::Ended => ErrorKind::Ended,
            WireError::Caller(error) => ErrorKind::Io(error),
            error if error.is_unknown() => ErrorKind::Lost(error),
            error => ErrorKind::Refused(error),
        };
        Self::new(operation, kind)
    }

    pub(crate) fn not_started(error: impl StdError + Send + Sync + 'static) -> Self {
        Self::new("start", ErrorKind::Start(Box::new(error)))
    }

    /// What was being done: `acquire`, `exec`, `read`, …
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// At which phase it failed.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match &self.0.kind {
            ErrorKind::Config(_)
            | ErrorKind::Start(_)
            | ErrorKind::NoSuchPool
            | ErrorKind::Fixed { .. }
            | ErrorKind::Draining { .. } => Phase::Start,
            ErrorKind::Overloaded { .. }
            | ErrorKind::Exhausted { .. }
            | ErrorKind::TimedOut { .. }
            | ErrorKind::Closed
            | ErrorKind::Interrupted => Phase::Wait,
            ErrorKind::Expired { .. }
            | ErrorKind::Refused(_)
            | ErrorKind::Ended
            | ErrorKind::Lost(_)
            | ErrorKind::Io(_) => Phase::Work,
            ErrorKind::Survivors(_) => Phase::Stop,
        }
    }

    /// In which pool; `None` when no pool was involved yet.
    #[must_use]
    pub fn pool(&self) -> Option<&PoolName> {
        self.0.pool.as_ref()
    }

    /// In which runtime; `None` when none was involved yet.
    #[must_use]
    pub fn runtime(&self) -> Option<RuntimeId> {
        self.0.runtime
    }

    /// Why.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// Whether the same call can succeed later without anybody changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match &self.0.kind {
            ErrorKind::Overloaded { .. }
            | ErrorKind::Exhausted { .. }
            | ErrorKind::TimedOut { .. }
            | ErrorKind::Draining { .. }
            | ErrorKind::Interrupted
            | ErrorKind::Lost(_) => true,
            ErrorKind::Refused(error) => error.is_retryable(),
            ErrorKind::Start(source) => {
                source.downcast_ref::<BackendError>().is_some_and(|error| error.retryable)
            }
            _ => false,
        }
    }

    /// Whether a file, directory or program was not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.refusal() == Some(RefusalKind::NotFound)
    }

    /// The class of the guest's refusal, when it is one.
    #[must_use]
    pub fn refusal(&self) -> Option<RefusalKind> {
        match &self.0.kind {
            ErrorKind::Refused(error) => error.refusal(),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.operation)?;
        if let Some(pool) = &self.0.pool {
            write!(f, " in pool {pool}")?;
        }
        if let Some(runtime) = &self.0.runtime {
            write!(f, ", runtime {runtime}")?;
        }
        f.write_str(": ")?;
        match &self.0.kind {
            ErrorKind::Config(_) => f.write_str("the configuration was refused"),
            ErrorKind::Start(_) => f.write_str("could not start"),
            ErrorKind::NoSuchPool => f.write_str("there is no such pool"),
            ErrorKind::Overloaded { waiters } => write!(f, "overloaded, {waiters} are waiting already"),
            ErrorKind::Exhausted { retry_after } => write!(f, "none ready, try again in {retry_after:?}"),
            ErrorKind::TimedOut { waited, trouble } => {
                write!(f, "none became ready within {waited:?}")?;
                match trouble {
                    Some(trouble) => write!(f, " ({trouble})"),
                    None => Ok(()),
                }
            }
            ErrorKind::Closed => f.write_str("the pool is draining or shut down"),
            ErrorKind::Fixed { key } => write!(f, "`{key}` can't change while it runs"),
            ErrorKind::Draining { left } => {
                write!(f, "one of that name is still draining, with {left} runtimes left")
            }
            ErrorKind::Interrupted => {
                f.write_str("interrupted by a defect of ostler's own, which has recovered")
            }
            ErrorKind::Refused(_) => f.write_str("refused by the guest"),
            ErrorKind::Ended => f.write_str("the lease is over"),
            ErrorKind::Expired { limit } => {
                write!(f, "the lease was held for longer than max_lease = {limit:?} and is over")
            }
            ErrorKind::Lost(_) => f.write_str("the runtime was lost, the outcome is unknown"),
            ErrorKind::Io(_) => f.write_str("the caller's stream failed"),
            ErrorKind::Survivors(names) => write!(f, "not ended in time: {}", names.join(", ")),
        }
    }
}

impl fmt::Debug for Error {
    /// As `Display`, with all causes: `main` prints errors this way.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        let mut next = self.source();
        while let Some(cause) = next {
            write!(f, ": {cause}")?;
            next = cause.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0.kind {
            ErrorKind::Config(error) => Some(error),
            ErrorKind::Start(error) => Some(error.as_ref()),
            ErrorKind::Refused(error) | ErrorKind::Lost(error) => Some(error),
            ErrorKind::Io(error) => Some(error.as_ref()),
            _ => None,
        }
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::new("load", ErrorKind::Config(error))
    }
}
