//! The public face: start an [`Ostler`], take a [`Pool`] from it, a [`Lease`] from that.

mod acquire;
mod arriving;
mod ask;
mod backends;
pub mod blocking;
mod builder;
mod ending;
mod error;
mod events;
mod handle;
mod lease;
mod leaving;
mod lock;
mod ostler;
mod reload;
mod request;
mod scribe;
mod shutdown;
mod sweep;
mod template;
mod timer;

pub use builder::Builder;
pub use ending::Stopper;
pub use error::{Error, ErrorKind, Phase};
pub use events::{BlockingEvents, Events};
pub use handle::Pool;
pub use lease::Lease;
pub use ostler::Ostler;
pub use reload::Reloaded;
pub use request::LeaseRequest;
