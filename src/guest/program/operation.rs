//! What the guest does for the host, a slice at a time.

use std::time::Instant;

use crate::exec::Exec;
use crate::files::{Listing, Reading, Removal, Writing};
use crate::outlet::Outlet;
use crate::progress::Progress;
use crate::stream::{Over, Side};
use crate::sys::signal;

/// An operation that runs.
#[derive(Debug)]
pub(crate) struct Operation {
    /// Which stream it was asked for on.
    pub(crate) side: Side,
    /// The host's number for it.
    pub(crate) id: u64,
    /// Bytes sent that the host has not used up yet.
    pub(crate) outstanding: u32,
    /// Whether it waits for its turn already.
    pub(crate) queued: bool,
    pub(crate) work: Work,
}

/// What it does.
#[derive(Debug)]
pub(crate) enum Work {
    Exec(Box<Exec>),
    Read(Reading),
    Write(Writing),
    List(Box<Listing>),
    Remove(Box<Removal>),
}

impl Operation {
    pub(crate) fn new(side: Side, id: u64, work: Work) -> Self {
        Self { side, id, outstanding: 0, queued: false, work }
    }

    /// The host has used up some of what was sent. Forged credit widens no window beyond its size.
    pub(crate) fn credit(&mut self, bytes: u32) {
        self.outstanding = self.outstanding.saturating_sub(bytes);
    }
}

impl Work {
    /// Does one slice.
    pub(crate) fn advance(&mut self, outlet: &mut Outlet<'_>, now: Instant) -> Progress {
        match self {
            Self::Exec(exec) => exec.advance(outlet, now),
            Self::Read(reading) => reading.advance(outlet),
            Self::Write(writing) => writing.advance(outlet),
            Self::List(listing) => listing.advance(outlet),
            Self::Remove(removal) => removal.advance(),
        }
    }

    /// When something happens to it though nothing else does.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        match self {
            Self::Exec(exec) => exec.next_deadline(),
            Self::Read(_) | Self::Write(_) | Self::List(_) | Self::Remove(_) => None,
        }
    }

    /// Takes input from the host.
    ///
    /// # Errors
    /// When it is more than the window allows.
    pub(crate) fn input(&mut self, bytes: &[u8]) -> Result<(), Over> {
        match self {
            Self::Exec(exec) => exec.input(bytes),
            Self::Write(writing) => {
                writing.input(bytes);
                Ok(())
            }
            Self::Read(_) | Self::List(_) | Self::Remove(_) => Err(Over),
        }
    }

    /// Sends a signal to its processes. One that doesn't exist, or comes too late, does nothing.
    pub(crate) fn signal(&self, number: u32) {
        if let (Self::Exec(exec), Ok(number @ 1..=signal::LAST)) = (self, i32::try_from(number)) {
            exec.signal(number);
        }
    }

    /// No more input comes.
    pub(crate) fn end_input(&mut self) {
        match self {
            Self::Exec(exec) => exec.end_input(),
            Self::Write(writing) => writing.end_input(),
            Self::Read(_) | Self::List(_) | Self::Remove(_) => {}
        }
    }
}
