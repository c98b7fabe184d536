use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::model::{PoolName, PoolSpec};

use super::builder::ConfigBuilder;
use super::format::Format;
use super::log::LogSpec;
use super::problem::{ConfigError, Source};
use super::validate::{Places, validate, validate_pool};
use super::{host, load, print};

/// Everything an ostler is started from.
///
/// Displayed and debug-printed it is the effective config as TOML, defaults included, without the values of
/// `env`, which may be secrets.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Name of this ostler; what it creates bears it, and of two alive at once the second refuses to start. Default
    /// `default` in a file, a name of its own in code; 1 to 32 of `a-z`, `0-9` and `-`.
    pub instance: String,
    /// Directory for lock files and for the workspaces of runtimes without namespaces. Default
    /// `$XDG_RUNTIME_DIR/ostler`; without that variable `/run/ostler` as root, else a directory of the user's
    /// in the temporary one.
    pub state_dir: PathBuf,
    /// How long a shutdown waits for leases to end by themselves. Default 10 s; 1 ms to 1 h.
    pub shutdown_grace: Duration,
    /// What the `ostler` binary logs.
    pub log: LogSpec,
    /// The pools, at least one. Names are 1 to 32 of `a-z`, `0-9`, `_` and `-`.
    pub pools: BTreeMap<PoolName, PoolSpec>,
}

impl Config {
    /// Reads a file, and on top of it the variables of this process's environment that start with `OSTLER__`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with either; see the [module](super).
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Self::load_with(path, std::env::vars_os())
    }

    /// As [`load`](Self::load), with these variables in place of the environment's. With none, only the file
    /// counts.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn load_with(
        path: impl AsRef<Path>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        load::load(path.as_ref(), variables.into_iter().collect())
    }

    /// Reads text. The environment does not count; relative paths start at the current directory.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it; see the [module](super).
    pub fn parse(text: &str, format: Format) -> Result<Self, ConfigError> {
        Self::parse_with(text, format, [])
    }

    /// As [`parse`](Self::parse), with these variables on top, as if they were the environment's.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn parse_with(
        text: &str,
        format: Format,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        load::parse(text, format, variables.into_iter().collect())
    }

    /// Starts a config in code.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder::new()
    }

    /// Checks a config whose fields were changed in code, as loading and building do.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        validate(self, Places::new(Source::Builder), &mut problems);
        if problems.is_empty() { Ok(()) } else { Err(ConfigError::new(problems)) }
    }

    /// Checks the settings of one pool.
    pub(crate) fn validate_pool(name: &PoolName, spec: &PoolSpec) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        validate_pool(name, spec, &mut Places::new(Source::Builder), &mut problems);
        if problems.is_empty() { Ok(()) } else { Err(ConfigError::new(problems)) }
    }

    /// The effective config as TOML: every key, defaults included. The values of `env` are shown as `"***"`.
    #[must_use]
    pub fn to_toml(&self) -> String {
        print::to_toml(self)
    }

    /// The defaults, without a pool.
    pub(super) fn without_pools() -> Self {
        Self {
            instance: "default".to_owned(),
            state_dir: host::default_state_dir(),
            shutdown_grace: Duration::from_secs(10),
            log: LogSpec::default(),
            pools: BTreeMap::new(),
        }
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_toml())
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
