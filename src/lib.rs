//! Keeps a pool of runtimes warm, leases one in well under a microsecond, runs work in it, cleans it, checks
//! it and replaces it.
//!
//! ```no_run
//! use ostler::{Config, Exec, Ostler};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), ostler::Error> {
//! let ostler = Ostler::start(Config::load("config/demo.toml")?).await?;
//! let lease = ostler.pool("sandbox")?.acquire().await?;
//! let out = lease.exec(Exec::new("echo").arg("hello")).await?;
//! assert_eq!(out.stdout, b"hello\n");
//! drop(lease);
//! ostler.shutdown().await
//! # }
//! ```
//!
//! # The map
//!
//! | layer, top to bottom | what | imports |
//! |---|---|---|
//! | `pool` (re-exported here) | the public face: [`Ostler`], [`Pool`], [`Lease`], [`Error`], [`blocking`] | all below |
//! | `actor` | Supervisor, Runtime, Maintenance, Health, Metrics | all below |
//! | [`backend`] | what makes runtimes: the trait, `process`, `docker` and `podman`, `fake` | guest, model, protocol |
//! | [`guest`] | our side of the conversation with the program inside a runtime, and that program | model, protocol |
//! | [`observe`] | figures, events, Prometheus text | model |
//! | [`decide`] | the decisions, pure | model |
//! | `handoff` | tickets from those who put them to those who take them: the hot path | model |
//! | [`config`] | file and environment to settings | model |
//! | [`model`], [`protocol`] | nouns; wire frames | nothing |
//!
//! `scripts/layers` checks that all imports go down. Deviations from the founding design, and why:
//!
//! * Each runtime has two streams. The control stream stays with its Runtime actor; the data stream moves with
//!   the ticket, so that an operation takes two thread wake-ups and not three.
//! * The keeper, a small process beside each sandbox, cleans up after a host that was killed; so there is no
//!   state file for the `process` backend.

pub mod backend;
pub mod config;
pub mod decide;
pub mod guest;
/// Public for its tests alone; no part of the API.
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
    Stopper, blocking,
};
