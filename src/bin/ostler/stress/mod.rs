//! Pools under load and faults, and whether they keep their promises.
//!
//! ```text
//!  args, scenario ─▶ Settings ─▶ run, once a seed: a thread, a clock, an ostler
//!                                 ├─ clients ──────▶ leases, operations ──┐
//!                                 ├─ injector ─────▶ faults               ├─▶ checker ─▶ violations
//!                                 ├─ sampler ──────▶ /proc, figures ──────┘
//!                                 └─ finale: whole again? ended? nothing left?
//!  view ◀── board (what a run shows while it goes on)       Outcome ─▶ verdict, report
//! ```
//!
//! Where every pool is fake, the run has a clock that jumps whenever everybody waits, and all that takes part is
//! on one thread: one seed is one run, to the last event.

mod board;
mod caught;
mod checker;
mod client;
mod faults;
mod finale;
mod held;
mod latency;
mod misconduct;
mod pace;
mod progress;
mod pulse;
mod rate;
mod report;
mod run;
mod sampler;
mod scenario;
mod settings;
mod tally;
#[cfg(test)]
mod tests;
mod token;
mod trace;
#[cfg(test)]
mod tricks;
mod verdict;
mod view;
mod workload;
mod world;

use std::sync::Arc;

use anyhow::Context as _;
use ostler::config::{LogLevel, LogSpec};
use tokio::sync::oneshot;

use self::board::Board;
pub(crate) use self::faults::{DaemonPid, Wanted};
use self::latency::Latencies;
pub(crate) use self::rate::{Rate, Seeds};
use self::report::Report;
use self::run::Outcome;
use self::settings::Settings;
use self::view::View;
pub(crate) use self::workload::Workloads;
use crate::args::{LogArgs, StressArgs};
use crate::log::Log;
use crate::signals::Signals;
use crate::{exit, output};

pub(crate) async fn stress(args: &StressArgs, log: LogArgs) -> anyhow::Result<u8> {
    let mut signals = Signals::listen().context("signals")?;
    let (config, scenario) = scenario::load(args.config.as_deref(), args.scenario.as_deref())?;
    let seeds = settings::seeds(args, &scenario);
    let settings = Arc::new(Settings::new(args, scenario, config)?);
    let view = View::new();
    // Everything that a pool would warn of is meant to happen here.
    let spec = LogSpec { level: LogLevel::Critical, ..settings.config.log };
    let log = Log::start_quiet_on(log, spec, view.log_writer());
    caught::hush();

    let latencies = Latencies::new();
    let mut outcomes = Vec::new();
    let mut interrupted = false;
    let without = args.compare.then(|| Arc::new(settings.without_faults()));
    let each = |seed| without.iter().chain([&settings]).map(move |settings| (seed, Arc::clone(settings)));
    for (seed, settings) in (seeds.first..=seeds.last).flat_map(each) {
        let board = Arc::new(Board::new());
        let mut playing = start(&settings, seed, &board, log.logger())?;
        let outcome = loop {
            tokio::select! {
                biased;
                outcome = &mut playing => break outcome.context("the run panicked")??,
                caught = signals.stop() => {
                    if interrupted {
                        return Ok(caught.status());
                    }
                    interrupted = true;
                    output::say("ostler: ending the load; once more to stop at once");
                    board.stop();
                }
                () = tokio::time::sleep(view.pause()) => view.show(seed, &board),
            }
        };
        if !settings.is_baseline {
            latencies.add(&board.latencies);
        }
        outcomes.push(outcome);
        if interrupted {
            break;
        }
    }
    view.finish();
    let replay = replay(&outcomes);
    let report = Report::new(&settings, &outcomes, &latencies, replay);
    if let Some(directory) = &args.report {
        report.write(directory)?;
    }
    if args.json {
        output::print(serde_json::to_string_pretty(&report)?)?;
    } else {
        output::print(report.text())?;
    }
    Ok(if report.passed { exit::OK } else { exit::FAILED })
}

type Playing = oneshot::Receiver<anyhow::Result<Outcome>>;

/// Plays a run on a thread of its own.
fn start(
    settings: &Arc<Settings>,
    seed: u64,
    board: &Arc<Board>,
    log: &slog::Logger,
) -> anyhow::Result<Playing> {
    let (ended, end) = oneshot::channel();
    let (settings, board, log) = (Arc::clone(settings), Arc::clone(board), log.clone());
    std::thread::Builder::new().name("stress".to_owned()).spawn(move || {
        // An error is a caller who has gone.
        let _: Result<(), _> = ended.send(run::play(&settings, seed, &board, &log));
    })?;
    Ok(end)
}

/// The command line that does the same, with the seed that failed.
fn replay(outcomes: &[Outcome]) -> String {
    let failed = outcomes.iter().find(|outcome| outcome.breaches.iter().any(|(_, count)| *count > 0));
    let seed = failed.or(outcomes.first()).map_or(0, |outcome| outcome.seed);
    let mut words: Vec<_> = std::env::args().skip(1).collect();
    if let Some(at) = words.iter().position(|word| word == "--seed") {
        words.drain(at..(at + 2).min(words.len()));
    }
    words.retain(|word| !word.starts_with("--seed="));
    // Whatever the shell would take for something else.
    let quote = |word: &String| {
        let plain = word.chars().all(|letter| letter.is_alphanumeric() || "-_./,:=".contains(letter));
        if plain { word.clone() } else { format!("'{word}'") }
    };
    let words: Vec<_> = words.iter().map(quote).collect();
    format!("ostler {} --seed {seed}", words.join(" "))
}
