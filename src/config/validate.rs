use crate::model::{BackendSpec, Exhausted, NetworkAccess, PoolName, PoolSpec, Probe};

use super::container::{Rules, check_apart, is_reached};
use super::host;
use super::key::Key;
use super::keys::{TOP, pool};
use super::kind::Kind;
pub(super) use super::places::Places;
use super::problem::Problem;
use super::setting::segment;
use super::settings::Config;

/// Notes everything that is wrong with `config`: bounds, values that don't go together, and what this host
/// does not have. One check for files and code alike.
pub(super) fn validate(config: &Config, mut places: Places, problems: &mut Vec<Problem>) {
    let places = &mut places;
    bounds(TOP.iter(), "", config, places, problems);
    if !places.is_broken("state_dir")
        && let Err(message) = host::can_write(&config.state_dir)
    {
        problems.push(places.problem("state_dir", shown(TOP, "state_dir", config), message));
    }
    if config.pools.is_empty() && !places.is_broken("pools") {
        let message = "no pool is configured; add a table such as [pools.sandbox]".to_owned();
        problems.push(places.problem("pools", None, message));
    }
    for (name, spec) in &config.pools {
        validate_pool(name, spec, places, problems);
    }
    check_apart(config, places, problems);
}

/// Notes everything that is wrong with one pool.
pub(super) fn validate_pool(
    name: &PoolName,
    spec: &PoolSpec,
    places: &mut Places,
    problems: &mut Vec<Problem>,
) {
    let scope = format!("pools.{}", segment(name.as_str()));
    if !is_name(name.as_str()) {
        let message = "a pool's name must be 1 to 32 of a-z, 0-9, _ and -".to_owned();
        problems.push(places.problem(&scope, None, message));
    }
    let prefix = format!("{scope}.");
    bounds(pool(), &prefix, spec, places, problems);
    Together { prefix: &prefix, spec, places, problems }.check();
}

fn is_name(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

/// Checks each value by itself, except those that were read and so checked with the text they came from.
fn bounds<S: 'static>(
    keys: impl Iterator<Item = &'static Key<S>>,
    prefix: &str,
    spec: &S,
    places: &mut Places,
    problems: &mut Vec<Problem>,
) {
    for key in keys {
        let path = format!("{prefix}{}", key.name);
        let Some(setting) = (key.get)(spec).filter(|_| !places.is_set(&path)) else { continue };
        if let Err(message) = key.kind.check(&setting, key.optional) {
            let value = Some(key.kind.show(&setting)).filter(|_| !matches!(key.kind, Kind::Environment));
            problems.push(places.problem(&path, value, message));
            places.mark_broken(path);
        }
    }
}

/// The value of a key as TOML.
fn shown<'k, S: 'static>(keys: impl IntoIterator<Item = &'k Key<S>>, name: &str, spec: &S) -> Option<String> {
    let key = keys.into_iter().find(|key| key.name == name)?;
    (key.get)(spec).map(|setting| key.kind.show(&setting))
}

/// The checks of a pool's values against each other and against the host.
pub(super) struct Together<'a> {
    prefix: &'a str,
    pub(super) spec: &'a PoolSpec,
    places: &'a Places,
    problems: &'a mut Vec<Problem>,
}

impl Together<'_> {
    fn check(&mut self) {
        let spec = self.spec;
        if spec.min > spec.max {
            self.greater("min", "max");
        }
        if spec.restart.backoff > spec.restart.backoff_cap {
            self.greater("restart.backoff", "restart.backoff_cap");
        }
        if spec.when_exhausted == Exhausted::Overflow && spec.overflow == 0 {
            let overflow = self.name("overflow");
            self.report("when_exhausted", &["overflow"], format!("needs {overflow} to be at least 1"));
        }
        if let Some(Err(message)) = spec.template.as_deref().map(host::check_template) {
            self.report("template", &[], message);
        }
        self.probe();
        if let BackendSpec::Docker(container) | BackendSpec::Podman(container) = &spec.backend {
            Rules { together: self, container }.check();
        }
        if let BackendSpec::Process(process) = &spec.backend {
            if let Err(message) = host::check_read_only(process) {
                self.report("process.read_only", &[], message);
            }
            if let Some(program) = spec.warm_up.first()
                && let Err(message) = host::check_program(program, spec, process)
            {
                self.report(
                    "warm_up",
                    &["process.read_only", "process.isolation", "template", "env"],
                    message,
                );
            }
        }
    }

    /// What must be true for a probe to say anything.
    fn probe(&mut self) {
        let spec = self.spec;
        let port = match &spec.health.probe {
            Probe::Guest | Probe::File(_) => return,
            Probe::Exec(exec) => {
                if exec.command.is_empty() {
                    self.report("health.exec.command", &[], "must be set for this probe".to_owned());
                }
                return;
            }
            Probe::Image => {
                let wrong = match &spec.backend {
                    BackendSpec::Process(_) => "is for containers: a sandboxed process has no image",
                    BackendSpec::Podman(_) => {
                        "is not for podman, whose API does not tell of an image's check; use the probe exec with its command"
                    }
                    BackendSpec::Docker(_) | BackendSpec::Fake(_) | BackendSpec::Custom => return,
                };
                self.report("health.probe", &["backend"], wrong.to_owned());
                return;
            }
            Probe::Http(http) => ("health.http.port", http.port),
            Probe::Tcp(tcp) => ("health.tcp.port", tcp.port),
        };
        let (key, number) = port;
        let reached = match &spec.backend {
            BackendSpec::Docker(container) | BackendSpec::Podman(container) => is_reached(container, number),
            BackendSpec::Process(process) if process.network == NetworkAccess::None => {
                Err("needs process.network = \"host\": with \"none\" nothing outside reaches it; use the probe exec".to_owned())
            }
            BackendSpec::Process(_) | BackendSpec::Fake(_) | BackendSpec::Custom => Ok(()),
        };
        if let Err(message) = reached {
            self.report(key, &["container.network", "container.ports", "process.network"], message);
        }
    }

    fn greater(&mut self, low: &str, high: &str) {
        let value = shown(pool(), high, self.spec).unwrap_or_default();
        let is_default = !self.places.is_set(&self.path(high))
            && shown(pool(), high, &PoolSpec::default()).is_some_and(|default| default == value);
        let default = if is_default { ", the default" } else { "" };
        let message = format!("is greater than {} = {value}{default}", self.name(high));
        self.report(low, &[high], message);
    }

    /// Notes a problem of `key`, unless it or one of the `others` it depends on has one of its own.
    pub(super) fn report(&mut self, key: &str, others: &[&str], message: String) {
        let broken = |key: &&str| self.places.is_broken(&self.path(key));
        if broken(&key) || others.iter().any(broken) {
            return;
        }
        let value = shown(pool(), key, self.spec);
        self.problems.push(self.places.problem(&self.path(key), value, message));
    }

    fn path(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// The key as it was written.
    fn name(&self, key: &str) -> String {
        self.places.written(&self.path(key)).to_owned()
    }
}
