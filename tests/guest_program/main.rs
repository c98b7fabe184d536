//! The embedded guest program, spoken to over its two streams as the host does.

mod bounds;
mod cgroups;
mod client;
mod container;
mod exec;
mod files;
mod garbage;
mod hello;
mod kill;
#[path = "../support/program.rs"]
mod program;
mod reset;
mod trees;
