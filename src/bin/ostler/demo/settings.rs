use std::path::Path;
use std::time::Duration;

use ostler::config::Format;
use ostler::model::{BackendSpec, PoolSpec};
use ostler::{Config, PoolName};

use crate::exit::Misuse;

/// The pool that is shown.
pub(super) const POOL: &str = "sandbox";

/// The instance's name in the default file.
const NAME: &str = "demo";

const DEFAULT_FILE: &str = "config/demo.toml";
const BUILT_IN: &str = include_str!("../../../../config/demo.toml");

/// Most leases a runtime is worn out with.
const MAX_USES: u64 = 50;
/// Longest it may take until a runtime that does not answer is found unhealthy.
const PROBING: Duration = Duration::from_secs(5);

/// A config that can be shown in half a minute.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) config: Config,
    /// Leases a runtime serves.
    pub(super) max_uses: u64,
    /// What was changed for the purpose.
    pub(super) notes: Vec<String>,
}

impl Settings {
    /// From a file; without one from the default file, or what it held when this program was built.
    pub(super) fn load(path: Option<&Path>) -> anyhow::Result<Self> {
        let config = match path {
            Some(path) => Config::load(path)?,
            None if Path::new(DEFAULT_FILE).exists() => Config::load(DEFAULT_FILE)?,
            None => Config::parse_with(BUILT_IN, Format::Toml, std::env::vars_os())?,
        };
        Self::shown(config)
    }

    fn shown(mut config: Config) -> anyhow::Result<Self> {
        if config.instance == NAME {
            // Two people on one machine may look at it at once.
            config.instance = format!("{NAME}-{}", std::process::id());
        }
        config.pools.retain(|name, _| name.as_str() == POOL);
        let Some(spec) = config.pools.get_mut(POOL) else {
            return Err(Misuse(format!("the demo shows a pool {POOL}, and the config has none")).into());
        };
        if !matches!(spec.backend, BackendSpec::Process(_)) {
            return Err(Misuse(format!("the demo needs backend = \"process\" in pool {POOL}")).into());
        }
        let mut notes = Vec::new();
        if spec.min == 0 {
            spec.min = 1;
            notes.push("min = 1, so that there is a runtime to kill".to_owned());
        }
        let max_uses = spec.max_uses.map_or(MAX_USES, |uses| uses.min(MAX_USES));
        if spec.max_uses != Some(max_uses) {
            spec.max_uses = Some(max_uses);
            notes.push(format!("max_uses = {max_uses}, so that one is soon worn out"));
        }
        let health = &mut spec.health;
        if (health.interval * 2).saturating_mul(health.retries).max(health.timeout) > PROBING {
            health.interval = Duration::from_secs(1);
            health.timeout = Duration::from_millis(500);
            health.retries = 2;
            notes.push("health probes every 1s, so that one that hangs is soon found".to_owned());
        }
        Ok(Self { config, max_uses, notes })
    }

    /// The same with one runtime at a time, made when it is asked for and destroyed after one lease.
    pub(super) fn fresh(&self) -> anyhow::Result<Config> {
        let mut config = self.config.clone();
        if let Some(spec) = config.pools.get_mut(&PoolName::new(POOL)) {
            *spec = PoolSpec { min: 0, max: 1, overflow: 0, max_uses: Some(1), ..spec.clone() };
        }
        config.validate()?;
        Ok(config)
    }
}
