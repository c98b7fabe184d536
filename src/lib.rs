//! Keeps a pool of runtimes warm, leases one in well under a microsecond, runs work in it, cleans it, checks
//! it and replaces it.

pub mod backend;
pub mod config;
pub mod decide;
pub mod guest;
/// Public for the tests alone; no part of the API.
#[doc(hidden)]
pub mod handoff;
pub mod model;
pub mod observe;
pub mod protocol;

mod actor;
mod pool;

pub use config::{Config, ConfigError};
pub use guest::{Chunk, CopyOut, DirEntry, Exec, ExecStream, Metadata, Output, Signal};
pub use model::{Epoch, Exhausted, PoolName, PoolSpec, Reason, RuntimeId, State};
pub use observe::{Change, PoolEvent, Snapshot, Status};
pub use pool::{
    BlockingEvents, Builder, Error, ErrorKind, Events, Lease, LeaseRequest, Ostler, Phase, Pool, Reloaded,
    blocking,
};
