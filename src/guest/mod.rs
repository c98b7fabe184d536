//! Our side of the conversation with the guest.
//!
//! [`Wire`] is one way into a guest and [`Call`] one operation on it; [`Link`] is the real wire, over a unix
//! socket. On top of them stand a lease's typed operations, [`Session`]: commands ([`Exec`], [`ExecStream`]),
//! files, and directories as tar streams.
//!
//! A guest that a backend started itself has two streams from birth: [`connect`]. The guest of a container comes
//! in through a [`Doorway`] or sits behind the engine's own stream ([`attach`](fn@attach)), and is told what it is to be: [`connect_container`].

mod archive;
mod attach;
mod backstop;
mod clock;
mod container;
mod defaults;
mod doorway;
mod embed;
mod exec;
mod files;
mod first_frame;
mod link;
mod metadata;
mod output;
mod process;
mod reply;
mod session;
mod signal;
mod stdin;
mod stream;
mod upload;
mod wire;

pub use crate::protocol::{FileKind, Refusal, RefusalKind, Vitals};
pub use archive::CopyOut;
pub use attach::{Attached, attach};
pub use container::{Contained, SetupError, connect_container};
pub use defaults::Defaults;
pub use doorway::{Doorway, Visitor};
pub use embed::program;
pub use exec::Exec;
pub(crate) use first_frame::first_frame;
pub use link::{Link, connect};
pub use metadata::{DirEntry, Metadata};
pub use output::Output;
pub use session::Session;
pub use signal::Signal;
pub use stdin::Stdin;
pub use stream::{Chunk, ExecStream};
pub use wire::{Call, Haste, Refused, Wire, WireError};
