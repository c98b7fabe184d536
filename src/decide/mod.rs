//! The decisions: a plain state machine per pool. No clock, no I/O, no actor; the only randomness is a
//! generator seeded by the caller. All counting lives in the [`Ledger`].
//!
//! ```text
//!            Event, now, stock                     Commands
//!  actors ───────────────────────▶ Decider::step ───────────▶ actors
//!                                   │ ledger   who is where
//!                                   │ ending   what becomes of one that ended by itself or failed
//!                                   │ expiry   who is past its time
//!                                   │ restart  may a launch follow this failure, and when
//!                                   │ warmth   how many ready ones nobody needed
//!                                   │ replace  which old one goes now
//!                                   │ shrink   which surplus one goes now
//!                                   └ fill     how many to launch
//! ```
//!
//! Every step ends with the same three questions: are there too many, must something old be replaced, are
//! there too few. So no event needs to know what follows from it.
//!
//! What is ready and who waits changes without asking anybody here. So a ticket taken out for being one too
//! many is looked at again when it comes, and goes back if it is needed after all.

mod ending;
mod event;
mod expiry;
mod fill;
mod ledger;
mod recover;
mod replace;
mod restart;
mod shrink;
mod step;
mod warmth;

pub use event::{Command, Event, Fate, Stock};
use expiry::Expiry;
pub use ledger::{Illegal, Ledger, Slot, SlotKind};
pub use restart::Strain;
pub use step::Decider;

/// Time since ostler started.
pub type Moment = std::time::Duration;
