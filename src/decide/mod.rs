//! The decisions: a plain state machine per pool. No clock, no I/O, no actor; the only randomness is a
//! generator seeded by the caller. All counting lives in the [`Ledger`].
//!
//! ```text
//!            Event, now, stock                     Commands
//!  actors ───────────────────────▶ Decider::step ───────────▶ actors
//!                                   │ ledger   who is where
//!                                   │ expiry   who is past its time
//!                                   │ restart  may a launch follow this failure, and when
//!                                   │ warmth   how many ready ones nobody needed
//!                                   └ fill     how many to launch
//! ```
//!
//! Every step ends with the same three questions: must something old be replaced, are there too many, are
//! there too few. So no event needs to know what follows from it.

mod event;
mod expiry;
mod fill;
mod ledger;
mod replace;
mod restart;
mod shrink;
mod step;
mod warmth;

pub use event::{Command, Event, Fate, Stock};
pub use ledger::{Illegal, Ledger, Slot, SlotKind};
pub use step::Decider;

/// Time since ostler started.
pub type Moment = std::time::Duration;
