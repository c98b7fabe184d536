//! The host's side of the conversation with the guest: the link, the session's operations, and what a guest
//! that is not ours may try.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod archive;
mod attach;
mod container;
mod garbage;
mod link;
mod p06_cancel_ops;
mod p15_slow_reader;
#[path = "../support/program.rs"]
mod program;
mod real;
mod scripted;
mod session;
