//! What makes, watches and destroys runtimes.
//!
//! A [`Backend`] belongs to one pool and makes runtimes that are all alike. Each runtime it makes is a
//! [`Launched`]: two wires into its guest, a future that ends when the runtime does, and the [`Instance`] that
//! checks and destroys it. The trait is object-safe and public, so that an application can bring its own:
//! `examples/own_backend.rs` is a whole one.

mod aside;
#[cfg(feature = "docker")]
pub mod docker;
pub mod fake;
mod outside;
mod owner;
pub mod process;

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

pub(crate) use self::aside::Aside;
pub use self::owner::Owner;
use crate::guest::Wire;
use crate::model::{Meter, PoolName, Port, RuntimeId};

/// A future that owns what it works on.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// Makes the runtimes of one pool.
///
/// One that the application brings is called, and its futures run, on threads of its pool alone, within a tokio runtime
/// with I/O and time. What blocks there takes a thread, up to 512 at once, until it goes on, and holds up nobody else;
/// whoever waits for it does so for as long as the pool's timeouts say, and a call that was given up may still be under
/// way when the next one comes. Only [`trouble`](Backend::trouble), wires, meters and drops are called on other
/// threads, ostler's or a lease holder's, and must not block. With [`Builder::on_this_thread`] everything runs there.
///
/// What panics costs the runtime it is about, or fails the start; nothing else is disturbed. The name, and what a new
/// runtime says of itself but for its end, is asked for once.
///
/// [`Builder::on_this_thread`]: crate::Builder::on_this_thread
pub trait Backend: Send + Sync + fmt::Debug {
    /// The backend's name, for logs and status: `process`, `docker`, …
    fn name(&self) -> &str;

    /// Checks once, before the pool starts, that runtimes can be made at all. What it finds wrong stops the
    /// start; what it merely does without, it logs.
    fn prepare(&self) -> BoxFuture<Result<(), BackendError>> {
        Box::pin(async { Ok(()) })
    }

    /// Makes one runtime, up to the point where its guest can be spoken to.
    ///
    /// Cancel-safe, and must be: dropped at any await, it leaves nothing behind.
    fn launch(&self, launch: Launch) -> BoxFuture<Result<Launched, BackendError>>;

    /// Ends when nothing is left of a launch that was dropped: at once, as a launch must leave nothing behind. Until
    /// then its runtime counts as one that is being destroyed.
    fn settled(&self, runtime: RuntimeId) -> BoxFuture<()> {
        let _ = runtime;
        Box::pin(std::future::ready(()))
    }

    /// Destroys what earlier, dead ostlers of the same name left behind, and answers how many. Of a backend that the
    /// application brings, called after `prepare`, when a failure stops the start, and then once a minute; the others
    /// see to it themselves.
    fn sweep(&self) -> BoxFuture<Result<u32, BackendError>> {
        Box::pin(async { Ok(0) })
    }

    /// What keeps it from making and ending runtimes at the moment, in words: an engine that does not answer. Asked
    /// now and again; must not block. The pool is degraded meanwhile.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// The pool has ended and all its runtimes are gone, or it could not start after `prepare`: remove what was shared
    /// between them.
    fn close(&self) -> BoxFuture<Result<(), BackendError>> {
        Box::pin(async { Ok(()) })
    }
}

/// Which runtime to make.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Of this pool.
    pub pool: PoolName,
    /// With this id.
    pub runtime: RuntimeId,
}

/// A runtime whose guest can be spoken to.
pub struct Launched {
    /// Stays with the Runtime actor.
    pub control: Arc<dyn Wire>,
    /// Moves with the ticket.
    pub data: Arc<dyn Wire>,
    /// Ends when the runtime does, whoever ended it.
    pub exit: BoxFuture<Exit>,
    /// Checks and destroys it.
    pub instance: Box<dyn Instance>,
}

impl fmt::Debug for Launched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launched").field("instance", &self.instance).finish_non_exhaustive()
    }
}

/// One runtime from the outside. Dropped without [`destroy`](Instance::destroy), it must still end what it
/// stands for, as far as that can be done without waiting.
pub trait Instance: Send + fmt::Debug {
    /// How people and other tools know it: `pid 4711`, a container's id.
    fn handle(&self) -> String;

    /// Where ports of the runtime are reached from this host; the same for all its life. By default it has none
    /// of its own.
    fn endpoints(&self) -> BTreeMap<Port, SocketAddr> {
        BTreeMap::new()
    }

    /// The health check of what the runtime is made from: the command that the probe `image` runs in it. By default
    /// it has none.
    fn health_check(&self) -> Option<Vec<String>> {
        None
    }

    /// How its guest is spoken to, where that is not the same for all runtimes of the backend: `link`, `attach`. By
    /// default nothing is said of it.
    fn transport(&self) -> Option<&'static str> {
        None
    }

    /// Reads what it uses, for as long as it lives. By default nobody measures that.
    fn meter(&self) -> Option<Meter> {
        None
    }

    /// After a reset the guest called done: looks from outside whether anything of the last lease is left.
    fn verify(&self) -> BoxFuture<Result<(), Residue>>;

    /// Ends it and removes everything of it; ready when nothing is left. Calls after the first are harmless.
    fn destroy(&mut self) -> BoxFuture<Result<(), BackendError>>;
}

/// How a runtime ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// For people: `exit status 1`, `signal 9`, `out of memory`. [`Exit::ORDINARY`] alone is no failure.
    pub cause: String,
}

impl Exit {
    /// The cause of an end that was no failure: the runtime's first process was done, and said so.
    pub const ORDINARY: &str = "exit status 0";

    /// Whether it was no failure, which `restart.policy = "on_failure"` asks.
    #[must_use]
    pub fn is_ordinary(&self) -> bool {
        self.cause == Self::ORDINARY
    }
}

/// What a reset left behind. The runtime is destroyed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not clean after reset: {what}")]
pub struct Residue {
    /// What was found, and where.
    pub what: String,
}

/// Why a backend could not do its work.
#[derive(Debug, thiserror::Error)]
#[error("{step}")]
pub struct BackendError {
    /// What was being done, with the name of what it was done to.
    pub step: String,
    /// What went wrong.
    #[source]
    pub source: Option<Box<dyn StdError + Send + Sync>>,
    /// Whether trying again later can help. A missing image can appear; a program that is not there under
    /// `strict` cannot.
    pub retryable: bool,
}

impl BackendError {
    /// A failure that may pass.
    pub fn passing(step: impl Into<String>, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { step: step.into(), source: Some(source.into()), retryable: true }
    }

    /// A failure that stays until somebody changes something.
    pub fn lasting(step: impl Into<String>) -> Self {
        Self { step: step.into(), source: None, retryable: false }
    }
}

/// An error and all that caused it, in one line.
pub(crate) fn with_causes(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // `transparent` errors repeat their source.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
