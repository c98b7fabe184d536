use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use anyhow::Context as _;
use ostler::Config;
use ostler::config::Format;
use serde::{Deserialize, Deserializer};

use super::faults::Wanted;
use super::pace::Length;
use super::rate::{Rate, Seeds};
use super::workload::Workloads;
use crate::exit::Misuse;

/// What `[scenarios.NAME]` of a config file says: the flags of the command line by their names, and the pools.
#[derive(Clone, Debug, Default)]
pub(super) struct Scenario {
    pub(super) pools: Vec<String>,
    pub(super) clients: Option<u32>,
    pub(super) length: Option<Length>,
    pub(super) seed: Option<Seeds>,
    pub(super) faults: Option<Wanted>,
    pub(super) rate: Option<Rate>,
    pub(super) arrivals: Option<f64>,
    pub(super) workload: Option<Workloads>,
}

/// As it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
struct Written {
    /// For people.
    #[serde(default, rename = "about")]
    _about: String,
    #[serde(default)]
    pools: Vec<String>,
    clients: Option<u32>,
    #[serde(rename = "for", default, deserialize_with = "duration")]
    length: Option<std::time::Duration>,
    ops: Option<u64>,
    #[serde(default, deserialize_with = "text")]
    seed: Option<Seeds>,
    #[serde(default, deserialize_with = "text")]
    faults: Option<Wanted>,
    #[serde(default, deserialize_with = "text")]
    rate: Option<Rate>,
    arrivals: Option<f64>,
    #[serde(default, deserialize_with = "text")]
    workload: Option<Workloads>,
}

/// The one part of the file that is read here; the rest has been read by the library.
#[derive(Debug, Deserialize)]
struct File {
    #[serde(default)]
    scenarios: BTreeMap<String, Written>,
}

/// What there is without a file: this one, and what of it is played unless another one is asked for.
const BUILT_IN: &str = include_str!("../../../../config/stress.toml");
const BUILT_IN_NAME: &str = "config/stress.toml, built in";
const BUILT_IN_SCENARIO: &str = "seeds";

/// A config and the scenario that is played with it: from a file, or from what is built in.
///
/// # Errors
/// When the config is refused, or there is no such scenario.
pub(super) fn load(file: Option<&Path>, scenario: Option<&str>) -> anyhow::Result<(Config, Scenario)> {
    match (file, scenario) {
        (Some(path), None) => Ok((Config::load(path)?, Scenario::default())),
        (Some(path), Some(name)) => {
            let config = Config::load(path)?;
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            Ok((config, Scenario::find(path, &text, name)?))
        }
        (None, name) => {
            let config = Config::parse_with(BUILT_IN, Format::Toml, std::env::vars_os())?;
            let name = name.unwrap_or(BUILT_IN_SCENARIO);
            Ok((config, Scenario::find(Path::new(BUILT_IN_NAME), BUILT_IN, name)?))
        }
    }
}

impl Scenario {
    /// Reads one from the text of a config file.
    fn find(path: &Path, text: &str, name: &str) -> anyhow::Result<Self> {
        let mistake = |words: &dyn fmt::Display| Misuse(format!("{}: {words}", path.display()));
        let file: File = match path.extension().and_then(OsStr::to_str) {
            _ if path == Path::new(BUILT_IN_NAME) => toml::from_str(text).map_err(|error| mistake(&error))?,
            Some("toml") => toml::from_str(text).map_err(|error| mistake(&error))?,
            Some("json") => serde_json::from_str(text).map_err(|error| mistake(&error))?,
            _ => return Err(mistake(&"scenarios are read from TOML and JSON").into()),
        };
        let known = match &file.scenarios.keys().cloned().collect::<Vec<_>>()[..] {
            [] => "it has none".to_owned(),
            names => format!("there are {}", names.join(", ")),
        };
        let mut scenarios = file.scenarios;
        let Some(written) = scenarios.remove(name) else {
            return Err(mistake(&format!("there is no scenario {name}; {known}")).into());
        };
        Self::from(written).map_err(|words| mistake(&format!("scenarios.{name}: {words}")).into())
    }

    fn from(written: Written) -> Result<Self, &'static str> {
        let length = match (written.length, written.ops) {
            (Some(_), Some(_)) => return Err("`for` and `ops` exclude each other"),
            (Some(length), None) => Some(Length::For(length)),
            (None, ops) => ops.map(Length::Ops),
        };
        if written.clients.is_some_and(|clients| !(1..=10_000).contains(&clients)) {
            return Err("clients must be between 1 and 10000");
        }
        if written.arrivals.is_some_and(|arrivals| !(0.001..=1e6).contains(&arrivals)) {
            return Err("arrivals must be between 0.001 and 1000000");
        }
        Ok(Self {
            pools: written.pools,
            clients: written.clients,
            length,
            seed: written.seed,
            faults: written.faults,
            rate: written.rate,
            arrivals: written.arrivals,
            workload: written.workload,
        })
    }
}

fn text<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: FromStr<Err = String>,
    D: Deserializer<'de>,
{
    String::deserialize(deserializer)?.parse().map(Some).map_err(serde::de::Error::custom)
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<std::time::Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    match humantime::parse_duration(&text) {
        Ok(duration) if !duration.is_zero() => Ok(Some(duration)),
        _ => Err(serde::de::Error::custom(format!("{text:?} is no duration; write it as 30s or 10m"))),
    }
}
