//! The `ostler` command as its users meet it: arguments in; status, stdout and stderr out; and no process left.
#![cfg(feature = "cli")]
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod check;
mod demo;
mod exec;
mod host;
mod reload;
mod run;
mod stress;
mod usage;
