//! Keeps a pool of runtimes warm, leases one in well under a microsecond, runs work in it, cleans it, checks
//! it and replaces it.

pub mod backend;
pub mod guest;
/// Public for the tests alone; no part of the API.
#[doc(hidden)]
pub mod handoff;
pub mod model;
pub mod protocol;
