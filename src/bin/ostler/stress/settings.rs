use std::time::Duration;

use ostler::model::{BackendSpec, PoolSpec};
use ostler::{Config, PoolName};
use serde::Serialize;

use super::faults::{self, Clock, Daemon, Fault, Wanted};
use super::pace::Length;
use super::rate::{Rate, Seeds};
use super::scenario::Scenario;
use super::workload::Workload;
use crate::args::StressArgs;
use crate::exit::Misuse;

/// What is done to which pools.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Settings {
    #[serde(skip)]
    pub(super) config: Config,
    pub(super) pools: Vec<PoolName>,
    pub(super) scenario: Option<String>,
    pub(super) clients: usize,
    pub(super) length: Length,
    #[serde(serialize_with = "shown")]
    pub(super) rate: Rate,
    /// Leases wanted each second.
    pub(super) arrivals: Option<f64>,
    pub(super) workloads: Vec<Workload>,
    /// The faults that come, in any pool.
    pub(super) faults: Vec<Fault>,
    /// Faults that apply to no pool, and why; with `all` only.
    pub(super) left_out: Vec<(Fault, &'static str)>,
    #[serde(skip)]
    pub(super) daemon: Daemon,
    /// Whether it is there to be compared with.
    #[serde(skip)]
    pub(super) is_baseline: bool,
}

const CLIENTS: u32 = 16;
/// By the world's clock; by one that jumps, half a minute is over in no time and has seen little.
const LENGTH: Duration = Duration::from_secs(30);
const OPERATIONS: u64 = 350_000;

impl Settings {
    /// From the command line, and the scenario where it says nothing.
    ///
    /// # Errors
    /// What makes no sense with this config.
    pub(super) fn new(args: &StressArgs, scenario: Scenario, mut config: Config) -> anyhow::Result<Self> {
        let pools = if args.pools.is_empty() { scenario.pools } else { args.pools.clone() };
        for name in &pools {
            if !config.pools.contains_key(name.as_str()) {
                let known: Vec<_> = config.pools.keys().map(PoolName::as_str).collect();
                return Err(Misuse(format!("there is no pool {name}; there are {}", known.join(", "))).into());
            }
        }
        config.pools.retain(|name, _| pools.is_empty() || pools.iter().any(|pool| pool == name.as_str()));
        for (name, spec) in &config.pools {
            if matches!(spec.backend, BackendSpec::Custom) {
                return Err(Misuse(format!(
                    "pool {name} has backend = \"custom\", which only an application brings"
                ))
                .into());
            }
        }
        let length = match (args.ops, args.length) {
            (Some(ops), _) => Length::Ops(ops),
            (None, Some(length)) => Length::For(length),
            (None, None) => scenario.length.unwrap_or(match clock(&config) {
                Clock::Real => Length::For(LENGTH),
                Clock::Virtual => Length::Ops(OPERATIONS),
            }),
        };
        let wanted = args.faults.clone().or(scenario.faults).unwrap_or(Wanted::All);
        let daemon = Daemon { pid: args.daemon_pid.clone(), restart: args.daemon_restart.clone() };
        let (faults, left_out) = choose(&wanted, &config, &daemon)?;
        Ok(Self {
            pools: config.pools.keys().cloned().collect(),
            scenario: args.scenario.clone(),
            // Far below what a usize can hold.
            clients: args.clients.or(scenario.clients).unwrap_or(CLIENTS) as usize,
            length,
            rate: args.rate.or(scenario.rate).unwrap_or(Rate::PerThousand(10.0)),
            arrivals: args.arrivals.or(scenario.arrivals),
            workloads: args
                .workload
                .clone()
                .or(scenario.workload)
                .map_or(Workload::ALL.to_vec(), |some| some.0),
            faults,
            left_out,
            daemon,
            is_baseline: false,
            config,
        })
    }

    /// The same with nothing going wrong, to be compared with.
    pub(super) fn without_faults(&self) -> Self {
        Self { faults: Vec::new(), is_baseline: true, ..self.clone() }
    }

    /// Which clock the run goes by: of its own where nothing is real.
    pub(super) fn clock(&self) -> Clock {
        clock(&self.config)
    }
}

/// What the seeds are that a run has.
pub(super) fn seeds(args: &StressArgs, scenario: &Scenario) -> Seeds {
    // Small enough to be typed again.
    let random = || u64::from(fastrand::u32(1..));
    args.seed.or(scenario.seed).unwrap_or_else(|| {
        let seed = random();
        Seeds { first: seed, last: seed }
    })
}

fn clock(config: &Config) -> Clock {
    let fake = |spec: &PoolSpec| matches!(spec.backend, BackendSpec::Fake(_));
    if config.pools.values().all(fake) { Clock::Virtual } else { Clock::Real }
}

type Chosen = (Vec<Fault>, Vec<(Fault, &'static str)>);

/// The faults that some pool can suffer, and those that none can, which the report names. That all that were named are
/// of that kind is an error.
fn choose(wanted: &Wanted, config: &Config, daemon: &Daemon) -> anyhow::Result<Chosen> {
    let clock = clock(config);
    let faults: Vec<_> =
        config.pools.iter().map(|(name, spec)| faults::of(name, spec, 0, clock, daemon).0).collect();
    // Nothing when any pool can suffer it, else why the first can't.
    let refusal = |fault: Fault| {
        let refusals: Vec<_> = faults.iter().filter_map(|faults| faults.refuses(fault)).collect();
        refusals.first().copied().filter(|_| refusals.len() == faults.len())
    };
    let asked = match wanted {
        Wanted::All => Fault::ALL.to_vec(),
        Wanted::These(these) => these.clone(),
    };
    let (mut chosen, mut left_out) = (Vec::new(), Vec::new());
    for fault in asked {
        match refusal(fault) {
            None => chosen.push(fault),
            Some(why) => left_out.push((fault, why)),
        }
    }
    match left_out.first() {
        Some((fault, why)) if chosen.is_empty() => {
            Err(Misuse(format!("fault {fault} does not apply: {why}")).into())
        }
        _ => Ok((chosen, left_out)),
    }
}

fn shown<S: serde::Serializer>(rate: &Rate, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(rate)
}
