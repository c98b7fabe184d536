use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use ostler::config::{LogFormat, LogLevel};

use crate::stress::{DaemonPid, Rate, Seeds, Wanted, Workloads};

const STATUSES: &str = "\
Exit status:
  0  ok
  1  failed
  2  bad usage or bad config; nothing was started

Results go to stdout; logs and progress go to stderr.";

const DEMO_EXAMPLES: &str = "\
Examples:
  ostler demo
  ostler demo --files ~/src/project
  ostler demo --json | jq '.workload[-1].ratio'
  ostler demo --backend docker --most 10
  ostler demo --backend podman --image debian:12

Exit status: 0 when every step came true, 1 when one did not, 2 for bad usage or config, 130 or 143 when \
interrupted.";

const RUN_EXAMPLES: &str = "\
Examples:
  ostler run config/demo.toml
  ostler run pools.yaml --json --log-format json 2>ostler.log
  kill -HUP $(pidof ostler)      # take up the changed file
  kill -USR1 $(pidof ostler)     # say how the pools and their runtimes are

Signals: TERM or INT drains the pools, for as long as `shutdown_grace`, and stops; a second one stops at once.
HUP reads the file again; when something is wrong with it, all of that is reported and the old settings stay.
USR1 prints the status of each pool: what its runtimes are doing, how they are, and what they use.

Exit status: 0 when stopped and nothing is left, 1 when something could not be started or ended, 2 for bad \
usage or config.";

const CHECK_EXAMPLES: &str = "\
Examples:
  ostler check config/demo.toml
  OSTLER__POOLS__SANDBOX__MAX=16 ostler check config/demo.toml
  ostler check pools.yaml --json | jq .config

Exit status: 0 when it is good, 2 when it is not.";

const EXEC_EXAMPLES: &str = "\
Examples:
  ostler exec config/demo.toml sandbox -- uname -a
  tar c src | ostler exec config/demo.toml sandbox --timeout 30s -- sh -c 'tar x && grep -rc TODO src'
  ostler exec config/demo.toml sandbox --env LC_ALL=C --no-stdin -- sort --version

Exit status: the command's own; 128 + the signal's number when a signal ended it; 124 when the timeout did; 127 \
when there is no such command; 126 when it can't be run; 125 when ostler itself failed; 2 for bad usage or \
config.";

const STRESS_EXAMPLES: &str = "\
Examples:
  ostler stress config/demo.toml sandbox --clients 8 --for 30s
  ostler stress config/stress.toml --scenario storm --report stress-report
  ostler stress --seed 1..20
  ostler stress config/stress.toml box --faults kill --rate 100/1000 --compare
  ostler stress pools.toml --faults kill,oom --rate 2/s --arrivals 200 --json | jq .verdict

Faults: kill, hang, slow, oom, fork_bomb, disk_full, output_flood, panic, cancel, daemon_restart, daemon_hang, \
clock_jump, launch_failure, reset_failure, exit. Those that no pool can suffer are left out, and the report says why; \
nothing that is not this run's own is ever touched.

Where all pools are fake, the run is on one thread under a clock of its own: `--for` is time by that clock, one \
seed is one run, and its fingerprint is printed as its trace.

Signals: INT or TERM ends the load early; what follows, the report too, is as ever. A second one stops at once.

Exit status: 0 when every promise was kept, 1 when one was broken, 2 for bad usage or config.";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  ostler completions bash > /etc/bash_completion.d/ostler
  ostler completions fish > ~/.config/fish/completions/ostler.fish";

/// Keeps pools of warm, sandboxed runtimes: always a fresh one ready, the tired one cleaned or replaced.
#[derive(Debug, Parser)]
#[command(name = "ostler", version, after_help = STATUSES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show on real files what a warm pool does: speed, and what happens when runtimes fail
    #[command(after_help = DEMO_EXAMPLES)]
    Demo(DemoArgs),
    /// Supervise the pools of a config until told to stop
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Check a config and print it with everything that applies, defaults included
    #[command(after_help = CHECK_EXAMPLES)]
    Check(CheckArgs),
    /// Run one command in a runtime of a pool
    #[command(after_help = EXEC_EXAMPLES)]
    Exec(ExecArgs),
    /// Drive pools under load and faults, and judge whether they keep their promises
    #[command(after_help = STRESS_EXAMPLES)]
    Stress(StressArgs),
    /// Print a completion script for a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions(CompletionsArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Config with a pool `sandbox` [default: config/demo.toml, for containers config/demo-containers.toml, else the
    /// ones built in]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What makes the runtimes [default: the config's, which is `process`]
    #[arg(long, value_enum, value_name = "BACKEND")]
    pub(crate) backend: Option<Making>,
    /// Image of the containers, with a `wc` in it [default: the config's, which is busybox: the engine's, else one
    /// made of this host's, else pulled]
    #[arg(long, value_name = "NAME")]
    pub(crate) image: Option<String>,
    /// Files of the largest round, to have it over sooner
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u8).range(1..=50))]
    pub(crate) most: u8,
    /// Directory whose files are worked on: readable ones of up to 1 MiB, outside `target` and `.git`
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) files: PathBuf,
    /// Print one JSON document in place of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// Backends that can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Making {
    /// Sandboxed processes
    Process,
    /// Containers of Docker, where `DOCKER_HOST` says or on its usual socket
    Docker,
    /// Containers of Podman, where `CONTAINER_HOST` or `DOCKER_HOST` says or on its usual socket
    Podman,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// Config file: TOML, YAML or JSON, by its extension
    pub(crate) config: PathBuf,
    /// Print what happens in the pools as JSON, an event a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// Config file: TOML, YAML or JSON, by its extension
    pub(crate) config: PathBuf,
    /// Print one JSON document: whether it is good, and the config or the problems
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExecArgs {
    /// Config file: TOML, YAML or JSON, by its extension
    pub(crate) config: PathBuf,
    /// The pool whose settings apply; one runtime of it is made
    pub(crate) pool: String,
    /// End the command and all it has started after this long [default: the pool's `exec_timeout`]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// Set an environment variable of the command, over the pool's; may be repeated
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) env: Vec<(String, String)>,
    /// Where in the runtime it runs, relative to the workspace [default: the workspace]
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<PathBuf>,
    /// Give the command an empty stdin in place of ours
    #[arg(long)]
    pub(crate) no_stdin: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct StressArgs {
    /// Config file: TOML, YAML or JSON, by its extension [default: the `config/stress.toml` built in, and of it
    /// the scenario `seeds`: a fake backend, which takes nothing but a processor]
    pub(crate) config: Option<PathBuf>,
    /// Pools to put under stress [default: the scenario's, else all]
    pub(crate) pools: Vec<String>,
    /// A scenario of the config file, `[scenarios.NAME]`: what these flags are unless given
    #[arg(long, value_name = "NAME")]
    pub(crate) scenario: Option<String>,
    /// Clients that take turns at the same time [default: 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) clients: Option<u32>,
    /// How long the load lasts [default: 30s, or 350000 operations where all pools are fake]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, conflicts_with = "ops")]
    pub(crate) length: Option<Duration>,
    /// How many operations it has, in place of how long it lasts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) ops: Option<u64>,
    /// Seed of all choices, or several: `1..20` is each of these, one after the other [default: random]
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<Seeds>,
    /// Faults, separated by commas; `all` is all that apply [default: all]
    #[arg(long, value_name = "LIST")]
    pub(crate) faults: Option<Wanted>,
    /// How often a fault comes: `5/s`, or `10/1000` leases [default: 10/1000]
    #[arg(long, value_name = "RATE")]
    pub(crate) rate: Option<Rate>,
    /// Leases wanted each second, whether or not the pool keeps up [default: as fast as the clients can]
    #[arg(long, value_name = "PER SECOND", value_parser = arrivals)]
    pub(crate) arrivals: Option<f64>,
    /// What clients do, separated by commas: exec, files, mixed, bursts, slow, abandon, threads [default: all]
    #[arg(long, value_name = "LIST")]
    pub(crate) workload: Option<Workloads>,
    /// Process of the container engine, which `daemon_hang` stops for a while: its number, or a file that has it
    #[arg(long, value_name = "PID|FILE")]
    pub(crate) daemon_pid: Option<DaemonPid>,
    /// Shell command that starts the container engine again, for `daemon_restart`
    #[arg(long, value_name = "CMD")]
    pub(crate) daemon_restart: Option<String>,
    /// Run each seed without faults first, and say what share of that throughput is left with them
    #[arg(long)]
    pub(crate) compare: bool,
    /// Directory for `report.html` and `report.json`; made when missing
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    /// Print one JSON document in place of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// For which shell
    pub(crate) shell: Shell,
}

/// What is logged, to stderr.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct LogArgs {
    /// Least severe log records to write [default: the config's; `demo`, `exec`: warning, `stress`: critical]
    #[arg(long, global = true, display_order = 900, value_enum, value_name = "LEVEL")]
    pub(crate) log_level: Option<Level>,
    /// How to write them [default: the config's]
    #[arg(long, global = true, display_order = 901, value_enum, value_name = "FORMAT")]
    pub(crate) log_format: Option<Format>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Level {
    Critical,
    Error,
    Warning,
    Info,
    Debug,
    Trace,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For machines
    Json,
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Critical => Self::Critical,
            Level::Error => Self::Error,
            Level::Warning => Self::Warning,
            Level::Info => Self::Info,
            Level::Debug => Self::Debug,
            Level::Trace => Self::Trace,
        }
    }
}

impl From<Format> for LogFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Text => Self::Text,
            Format::Json => Self::Json,
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration.is_zero() => Err("must be longer than nothing".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("{error}; write it as 500ms, 30s or 1h 30m")),
    }
}

fn arrivals(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.001..=1e6).contains(&rate) => Ok(rate),
        _ => Err("must be between 0.001 and 1000000".to_owned()),
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("must be NAME=VALUE".to_owned()),
    }
}
