//! Keeps a pool of runtimes warm, leases one in well under a microsecond, runs work in it, cleans it, checks
//! it and replaces it.

pub mod backend;
pub mod config;
pub mod guest;
pub mod model;
pub mod protocol;
