//! `ostler-guest`: the small static program inside a runtime that does what a lease asks for.
//!
//! ```text
//!  keeper ──▶ makes the runtime's walls, starts init inside them, outlives it to clean up
//!  init   ──▶ one thread, one epoll loop:
//!
//!      streams ──frames──▶ requests ──▶ operations (exec · files) ──frames──▶ streams
//!                              │               │
//!                              ▼               ▼
//!                          clearing        processes (marks, hunts, reaping)
//! ```
//!
//! Built by the package's build script from the standard library alone and embedded into the library.

#![deny(unsafe_code)]
#![warn(unreachable_pub)]

mod arguments;
mod clearing;
mod confine;
mod exec;
mod files;
mod guest;
mod init;
mod keeper;
mod operation;
mod place;
mod processes;
#[expect(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "shared with the library, which uses all of it"
)]
#[path = "../../protocol/mod.rs"]
mod protocol;
mod refusal;
mod request;
mod stream;
mod sys;
mod table;
mod token;

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
        Mode::Init(arguments) => init::run(&arguments).map(|()| ExitCode::SUCCESS),
    };
    match ended {
        Ok(code) => code,
        Err(fatal) => {
            eprintln!("ostler-guest: {fatal}");
            ExitCode::FAILURE
        }
    }
}
