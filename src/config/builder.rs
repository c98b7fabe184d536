use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::model::{PoolName, PoolSpec};

use super::log::LogSpec;
use super::problem::{ConfigError, Problem, Source};
use super::settings::Config;
use super::validate::{Places, validate};

/// A config made in code, checked as one from a file is.
///
/// ```
/// use ostler::config::Config;
/// use ostler::model::PoolSpec;
/// use std::time::Duration;
///
/// let config = Config::builder()
///     .instance("judge")
///     .shutdown_grace(Duration::from_secs(5))
///     .pool("sandbox", PoolSpec { max: 8, ..PoolSpec::default() })
///     .build()?;
/// assert_eq!(config.pools["sandbox"].max, 8);
/// # Ok::<(), ostler::config::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct ConfigBuilder {
    config: Config,
    named: bool,
    problems: Vec<Problem>,
}

impl ConfigBuilder {
    pub(super) fn new() -> Self {
        Self { config: Config::without_pools(), named: false, problems: Vec::new() }
    }

    /// Names this ostler; see [`Config::instance`]. Without it each has a name of its own, so that any number live
    /// side by side; with it, the next of the name cleans up after one that was killed.
    pub fn instance(mut self, name: impl Into<String>) -> Self {
        self.config.instance = name.into();
        self.named = true;
        self
    }

    /// Where lock files go; see [`Config::state_dir`]. A relative path starts at the current directory.
    pub fn state_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.config.state_dir = path.into();
        self
    }

    /// How long a shutdown waits for leases; see [`Config::shutdown_grace`].
    pub fn shutdown_grace(mut self, grace: Duration) -> Self {
        self.config.shutdown_grace = grace;
        self
    }

    /// What the `ostler` binary logs; see [`Config::log`].
    pub fn log(mut self, log: LogSpec) -> Self {
        self.config.log = log;
        self
    }

    /// Adds a pool. A relative template starts at the current directory.
    pub fn pool(mut self, name: &str, spec: PoolSpec) -> Self {
        match self.config.pools.entry(PoolName::new(name)) {
            Entry::Vacant(place) => {
                place.insert(spec);
            }
            Entry::Occupied(_) => self.problems.push(Problem {
                source: Source::Builder,
                key: format!("pools.{}", super::setting::segment(name)),
                value: None,
                message: "there is a pool of this name already".to_owned(),
            }),
        }
        self
    }

    /// Adds pools; see [`pool`](Self::pool).
    pub fn pools(self, pools: BTreeMap<PoolName, PoolSpec>) -> Self {
        pools.into_iter().fold(self, |builder, (name, spec)| builder.pool(name.as_str(), spec))
    }

    /// The config, when nothing is wrong with it.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn build(self) -> Result<Config, ConfigError> {
        let Self { mut config, named, mut problems } = self;
        if !named {
            config.instance = name_of_its_own();
        }
        let templates = config.pools.values_mut().filter_map(|pool| pool.template.as_mut());
        for path in templates.chain([&mut config.state_dir]) {
            // Fails for an empty path, which is refused below.
            if let Ok(absolute) = std::path::absolute(&*path) {
                *path = absolute;
            }
        }
        validate(&config, Places::new(Source::Builder), &mut problems);
        if problems.is_empty() { Ok(config) } else { Err(ConfigError::new(problems)) }
    }
}

/// No other ostler of this process has it, nor one that lives beside it.
fn name_of_its_own() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{}{}", beginning_of_own_names(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn beginning_of_own_names() -> String {
    format!("embedded-{}-", std::process::id())
}

impl Config {
    /// Whether somebody has named it.
    pub(crate) fn is_named(&self) -> bool {
        !self.instance.starts_with(&beginning_of_own_names())
    }
}

impl fmt::Debug for ConfigBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}
