//! Our side of the conversation with the guest.
//!
//! [`Wire`] is one way into a guest and [`Call`] one operation on it; `link` is the real wire, over a unix
//! socket. On top of them stand the typed operations: [`exec`], [`files`] and [`archive`].

mod embed;
mod wire;

pub use embed::program;
pub use wire::{Call, Refused, Wire, WireError};
