//! What can be seen of a pool from outside: counts, histograms, events, and their Prometheus text.

mod board;
mod chart;
mod event;
mod family;
mod histogram;
mod prometheus;
mod status;
mod usage;

pub(crate) use board::{Board, count};
pub(crate) use chart::Chart;
pub use chart::Vitals;
pub use event::{Change, PoolEvent};
pub use histogram::{Histogram, Summary};
pub use prometheus::render;
pub use status::{RuntimeStatus, Snapshot, Status};
