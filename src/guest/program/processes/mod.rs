//! The processes below the guest: whose they are, how they are found, how they are killed.

mod census;
mod hunts;
mod marks;

pub(crate) use census::{children, count};
pub(crate) use hunts::{Hunts, Waiter};
pub(crate) use marks::Marks;

/// The processes of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prey {
    /// The mark each of them carries, if marks can be had.
    pub(crate) mark: Option<u64>,
    /// The first of them, until it is reaped.
    pub(crate) leader: Option<i32>,
}
