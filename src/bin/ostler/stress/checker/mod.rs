//! Judges a pool by what its clients see and what the host shows, never by the pool's own figures.
//!
//! ```text
//!  clients ──▶ Ledger ── doubled?        ┐
//!                └─▶ Order ── overtaken? ─┤ suspects
//!  operations that were lost ─────────────┤
//!  faults done, runtimes retired ──▶ Docket ──▶ Violations
//!  what the pool says ── rushed? unnoticed? evicted? ──▶
//!  tokens found ── residue? ──────────────────▶
//!  /proc, cgroups, files ──▶ Census ── exceeded? survived? leaked? grown? ──▶
//! ```
//!
//! Moments are numbers from one counter, not times: a number drawn before an act is below every number drawn by
//! whoever saw the act. A breach is one only if no order of events could explain it.

mod breach;
mod census;
mod docket;
mod keepers;
mod ledger;
mod notices;
mod order;
mod remains;
mod restarts;
mod vitals;

pub(super) use breach::{Breach, Violation, Violations};
pub(super) use census::Census;
pub(super) use docket::{Docket, Judged, Loss, Terms};
pub(super) use keepers::{Allowance, Keepers, excess};
pub(super) use ledger::{Arrival, Entered, Ledger};
pub(super) use notices::Notices;
pub(super) use remains::Remains;
pub(super) use restarts::{Paid, Restarts};
pub(super) use vitals::{Grown, Growth, Vitals};
