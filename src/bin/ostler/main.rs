//! The `ostler` command: supervises the pools of a config file, runs single commands in them, and shows on
//! real files what that is good for.

mod above;
mod args;
mod check;
mod completions;
mod demo;
mod engine;
mod exec;
mod exit;
mod log;
mod output;
mod process;
mod run;
mod signals;
mod sink;
mod stress;

use std::future::Future;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

use args::{Args, Command};

fn main() -> ExitCode {
    let Args { command, log } = Args::parse();
    let (outcome, failure) = match command {
        Command::Demo(args) => (block_on(demo::demo(&args, log)), exit::FAILED),
        Command::Run(args) => (block_on(run::run(&args, log)), exit::FAILED),
        Command::Check(args) => (check::check(&args), exit::FAILED),
        Command::Exec(args) => (block_on(exec::exec(&args, log)), exit::OWN_FAILURE),
        Command::Stress(args) => (block_on(stress::stress(&args, log)), exit::FAILED),
        Command::Completions(args) => (completions::completions(&args), exit::FAILED),
    };
    outcome.unwrap_or_else(|error| exit::explain(&error, failure)).into()
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("no event loop")?;
    let outcome = runtime.block_on(work);
    // Not waited for: a thread may be reading a terminal where nobody types.
    runtime.shutdown_background();
    outcome
}
