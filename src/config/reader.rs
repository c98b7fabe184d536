use std::collections::BTreeMap;
use std::path::Path;

use config::{Map, Value, ValueKind};

use crate::model::{PoolName, PoolSpec};

use super::key::Key;
use super::keys::{BACKEND, TOP, pool};
use super::kind::{Kind, found};
use super::places::{Place, Places};
use super::problem::{Problem, Source};
use super::setting::{Setting, quoted, segment};
use super::settings::Config;

/// Walks the tree of values and makes settings of them. Whatever is wrong it notes, and goes on.
pub(super) struct Reader<'a> {
    path: &'a Path,
    base: &'a Path,
    pub(super) problems: Vec<Problem>,
    pub(super) places: Places,
}

/// What `[defaults]` sets: by key, the setting and its place; nothing for what could not be read.
type Defaults = BTreeMap<&'static str, Option<(Setting, Place)>>;

impl<'a> Reader<'a> {
    /// A reader of the file at `path`, whose relative paths start at `base`.
    pub(super) fn new(path: &'a Path, base: &'a Path, problems: Vec<Problem>) -> Self {
        let origin = Source::File { path: path.to_owned(), line: None, column: None };
        Self { path, base, problems, places: Places::new(origin) }
    }

    pub(super) fn finish(self) -> (Places, Vec<Problem>) {
        (self.places, self.problems)
    }

    pub(super) fn config(&mut self, tree: &Value) -> Config {
        let mut config = Config::without_pools();
        let Some(tree) = self.table(tree, "") else { return config };
        self.unknown_at_top(tree);
        for key in TOP {
            if let Some(value) = lookup(tree, key.name) {
                self.set(key, value, key.name.to_owned(), &mut config);
            }
        }
        let defaults = match tree.get("defaults") {
            Some(value) => self.defaults(value),
            None => Defaults::new(),
        };
        if let Some(pools) = tree.get("pools").and_then(|value| self.table(value, "pools")) {
            for (name, value) in pools {
                let scope = format!("pools.{}", segment(name));
                let place = Place { source: self.source(value), key: scope.clone(), value: None };
                let spec = self.pool(&scope, value, &defaults);
                self.places.record(scope, place);
                config.pools.insert(PoolName::new(name), spec);
            }
        }
        config
    }

    /// The entries of a table. YAML's empty value is an empty table.
    pub(super) fn table<'v>(&mut self, value: &'v Value, key: &str) -> Option<&'v Map<String, Value>> {
        match &value.kind {
            ValueKind::Table(entries) => return Some(entries),
            ValueKind::Nil => {}
            _ => {
                self.places.mark_broken(key.to_owned());
                self.report(value, key.to_owned(), format!("found {}, wanted a table", found(value)));
            }
        }
        None
    }

    fn defaults(&mut self, value: &Value) -> Defaults {
        let mut defaults = Defaults::new();
        let Some(entries) = self.table(value, "defaults") else { return defaults };
        self.unknown_in_pool(entries, "defaults", None);
        for key in pool() {
            if let Some(value) = lookup(entries, key.name) {
                defaults.insert(key.name, self.read(key, value, format!("defaults.{}", key.name)));
            }
        }
        defaults
    }

    fn pool(&mut self, scope: &str, value: &Value, defaults: &Defaults) -> PoolSpec {
        let none = Map::new();
        let entries = self.table(value, scope).unwrap_or(&none);
        let mut spec = PoolSpec::default();
        for key in pool() {
            let path = format!("{scope}.{}", key.name);
            let applies = (key.get)(&spec).is_some();
            match defaults.get(key.name).filter(|_| applies) {
                Some(Some((setting, place))) => {
                    self.places.record(path.clone(), place.clone());
                    self.assign(key, setting.clone(), &path, &mut spec);
                }
                Some(None) => self.places.mark_broken(path.clone()),
                None => {}
            }
            if let Some(value) = lookup(entries, key.name).filter(|_| applies) {
                self.set(key, value, path, &mut spec);
            }
        }
        let backend_known = !self.places.is_broken(&format!("{scope}.{}", BACKEND.name));
        self.unknown_in_pool(entries, scope, backend_known.then_some(&spec));
        spec
    }

    fn set<S>(&mut self, key: &Key<S>, value: &Value, path: String, target: &mut S) {
        match self.read(key, value, path.clone()) {
            Some((setting, place)) => {
                self.places.record(path.clone(), place);
                self.assign(key, setting, &path, target);
            }
            None => self.places.mark_broken(path),
        }
    }

    fn assign<S>(&mut self, key: &Key<S>, setting: Setting, path: &str, target: &mut S) {
        if (key.set)(target, setting).is_none() {
            let message = format!("must be {}", key.bounds());
            self.problems.push(self.places.problem(path, None, message));
        }
    }

    /// What `value` stands for. Nothing when it is wrong, which is reported.
    fn read<S>(&mut self, key: &Key<S>, value: &Value, path: String) -> Option<(Setting, Place)> {
        let setting = match (key.kind, &value.kind) {
            (Kind::Environment, ValueKind::Table(entries)) => self.environment(entries, &path),
            (kind, _) => match kind.read(value, key.optional) {
                Ok(setting) => setting,
                Err(message) => {
                    let secret = matches!(kind, Kind::Environment);
                    let shown = if secret { None } else { shown(value) };
                    self.problems.push(Problem {
                        source: self.source(value),
                        key: path,
                        value: shown,
                        message,
                    });
                    return None;
                }
            },
        };
        let setting = key.kind.rebase(setting, self.base);
        let place = Place { source: self.source(value), key: path, value: shown(value) };
        Some((setting, place))
    }

    /// Variable by variable, so that each mistake is told.
    fn environment(&mut self, entries: &Map<String, Value>, path: &str) -> Setting {
        let mut pairs = BTreeMap::new();
        for (name, value) in entries {
            let alone = Value::new(None, Map::from([(name.clone(), value.clone())]));
            match Kind::Environment.read(&alone, false) {
                Ok(Setting::Environment(pair)) => pairs.extend(pair),
                Ok(_) => {}
                Err(message) => self.report(value, format!("{path}.{}", segment(name)), message),
            }
        }
        Setting::Environment(pairs)
    }

    /// Notes a problem whose value is not to be shown.
    pub(super) fn report(&mut self, value: &Value, key: String, message: String) {
        self.problems.push(Problem { source: self.source(value), key, value: None, message });
    }

    fn source(&self, value: &Value) -> Source {
        let file = |line| Source::File { path: self.path.to_owned(), line, column: None };
        match value.origin() {
            None => file(None),
            Some(origin) => match origin.parse() {
                Ok(line) => file(Some(line)),
                Err(_) => Source::Variable(origin.to_owned()),
            },
        }
    }
}

/// The value of a key that may be in a table.
fn lookup<'v>(table: &'v Map<String, Value>, key: &str) -> Option<&'v Value> {
    match key.split_once('.') {
        None => table.get(key),
        Some((head, rest)) => match &table.get(head)?.kind {
            ValueKind::Table(table) => lookup(table, rest),
            _ => None,
        },
    }
}

/// A value as TOML, when it is short and simple enough to be worth a place in a message.
fn shown(value: &Value) -> Option<String> {
    match &value.kind {
        ValueKind::Boolean(truth) => Some(truth.to_string()),
        ValueKind::I64(number) => Some(number.to_string()),
        ValueKind::I128(number) => Some(number.to_string()),
        ValueKind::Float(number) => Some(format!("{number:?}")),
        ValueKind::String(text) if text.chars().count() > 80 => {
            Some(quoted(&text.chars().take(79).chain(['…']).collect::<String>()))
        }
        ValueKind::String(text) => Some(quoted(text)),
        _ => None,
    }
}
