//! `ostler-guest`: the small static program inside a runtime that does what a lease asks for.
//!
//! ```text
//!  keeper ──▶ makes the runtime's walls, starts init inside them, outlives it to clean up
//!  container ──▶ finds itself in an engine's walls, takes its streams, hears what it is to be
//!  init, or container from here on ──▶ one thread, one epoll loop:
//!
//!      streams ──frames──▶ requests ──▶ operations (exec · files) ──frames──▶ streams
//!                              │               │
//!                              ▼               ▼
//!          service · upkeep ◀─ clearing     processes (marks, hunts, reaping)
//! ```
//!
//! Built by the package's build script from the standard library alone and embedded into the library.

#![deny(unsafe_code)]
#![warn(unreachable_pub)]

mod arguments;
mod clearing;
mod confine;
mod container;
mod environment;
mod exec;
mod files;
mod guest;
mod init;
mod keeper;
mod operation;
mod outlet;
mod pace;
mod place;
mod processes;
mod progress;
#[expect(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "shared with the library, which uses all of it"
)]
#[path = "../../protocol/mod.rs"]
mod protocol;
mod reaping;
mod refusal;
mod request;
mod service;
mod standing;
mod stream;
mod streams;
mod sys;
mod table;
mod token;
mod upkeep;

use std::process::ExitCode;

use arguments::Mode;

fn main() -> ExitCode {
    let mode = match arguments::parse(std::env::args_os().skip(1)) {
        Ok(mode) => mode,
        Err(wrong) => {
            eprintln!("ostler-guest: {wrong}");
            return ExitCode::from(2);
        }
    };
    let ended = match mode {
        Mode::Keeper(arguments) => keeper::run(&arguments),
        Mode::Remove(directory) => keeper::remove(&directory).map(|()| ExitCode::SUCCESS),
        Mode::Init(arguments) => init::run(&arguments).map(ExitCode::from),
        Mode::Container(door) => container::run(&door).map(ExitCode::from),
    };
    match ended {
        Ok(code) => code,
        Err(fatal) => {
            eprintln!("ostler-guest: {fatal}");
            ExitCode::FAILURE
        }
    }
}
