//! What the host and the guest say to each other: versioned, length-prefixed frames over any duplex byte
//! stream. Standard library only, because the guest program is built from these same files.
//!
//! ```text
//! frame   = length:u32  kind:u8  zero:u8*3  op:u64  payload[length]      little-endian
//! host    = Hello · Ping · Exec · Read · Write · List · Stat · Remove · MakeDir · Link · Reset · Shutdown
//!           then, about a running operation: Input · InputEnd · Credit · Signal · Cancel
//! guest   = Data* then exactly one of Done · Failed;  Credit while it takes input
//! ```
//!
//! Many operations run at once over one stream, told apart by `op`, which the host counts up and never
//! reuses on one stream. Each direction of each operation has a window: the sender stops when it has sent
//! [`WINDOW`] bytes of `Data` or `Input` that the receiver has not credited back, so a slow reader of one
//! operation holds up neither the others nor memory.
//!
//! Both ends treat the other as hostile: a frame that is too long, unknown, or does not parse ends the
//! stream with an error and never a panic.

mod byte_enum;
mod codec;
mod container;
mod container_report;
mod done;
mod file;
mod frame;
mod input;
mod missing;
mod mux;
mod refusal;
mod reply;
mod request;
mod service;
mod setup;
mod variable;

pub use codec::{Decoder, Encoder, Malformed};
pub use container::{
    ContainerLimits, ContainerSetup, LINK_CONTROL, LINK_DATA, SECRETS, SECRETS_MAX, Secret, SetupFrames,
};
pub use container_report::ContainerReport;
pub use done::{Done, Exited, Vitals, Welcome};
pub use file::{Entry, FileKind, Stat};
pub use frame::{Frame, FrameBuffer, HEADER, Kind, MAX_PAYLOAD, encode_frame, payload_length};
pub use input::Input;
pub use missing::Missing;
pub use mux::{Lane, MUX_RECORD, MUX_WINDOW, Mux};
pub use refusal::{Refusal, RefusalKind};
pub use reply::{Reply, Stream};
pub use request::{ExecRequest, Hello, List, Path, Read, Remove, Request, Reset, Write};
pub use service::Service;
pub use setup::{
    CgroupPlan, EXIT_NO_GUEST, EXIT_OUT_OF_MEMORY, EXIT_SIGNAL, Isolation, Mount, Network, Setup,
    SetupReport, WORKSPACE, WRITABLE,
};
pub use variable::Variable;

/// The version both ends must share. Raised by any change to the frames or messages.
pub const VERSION: u32 = 2;

/// Bytes of `Data` or `Input` one operation may have outstanding in one direction.
pub const WINDOW: u32 = 1 << 20;
