//! Keys that are not known, and what they were most likely meant to be.

use config::{Map, Value, ValueKind};

use crate::model::PoolSpec;

use super::keys::{CONDITIONAL, TOP, pool};
use super::nearest::nearest;
use super::reader::Reader;
use super::setting::{quoted, segment};

/// The tables at the top whose entries are no keys of the top.
const TABLES: [&str; 3] = ["pools", "defaults", "scenarios"];

impl Reader<'_> {
    pub(super) fn unknown_at_top(&mut self, entries: &Map<String, Value>) {
        let names: Vec<_> = TOP.iter().map(|key| key.name).collect();
        for (name, value) in entries {
            // Scenarios are for `ostler stress`, which reads them itself.
            if !TABLES.contains(&name.as_str()) {
                self.unknown(name, value, &Within { scope: "", table: "", names: &names, pool: None });
            }
        }
    }

    /// `spec` is the pool's, when its backend is known.
    pub(super) fn unknown_in_pool(
        &mut self,
        entries: &Map<String, Value>,
        scope: &str,
        spec: Option<&PoolSpec>,
    ) {
        let names: Vec<_> = pool().map(|key| key.name).collect();
        for (name, value) in entries {
            self.unknown(name, value, &Within { scope, table: "", names: &names, pool: spec });
        }
    }

    /// Reports `name` in `at` if it is no key or does not apply, or looks into it if it is a table of keys.
    fn unknown(&mut self, name: &str, value: &Value, at: &Within<'_>) {
        let known = at.entries().any(|entry| entry == name);
        let is_key = at.names.iter().any(|key| key.strip_prefix(at.table) == Some(name));
        let full = at.path(name);
        if !known {
            let hint = at.hint(name, value).map_or_else(String::new, |hint| format!("; {hint}"));
            self.report(value, full, format!("unknown key{hint}"));
        } else if let Some(message) = at.misplaced(name) {
            self.report(value, full, message);
        } else if !is_key {
            let table = format!("{}{name}.", at.table);
            if let Some(entries) = self.table(value, &full) {
                for (name, value) in entries {
                    self.unknown(name, value, &Within { table: &table, ..*at });
                }
            }
        }
    }
}

/// A table that keys are looked for in.
#[derive(Clone, Copy)]
struct Within<'a> {
    /// `pools.sandbox`, `defaults`, or nothing at the top.
    scope: &'a str,
    /// The table within the scope, with a dot at its end; nothing for the scope itself.
    table: &'a str,
    /// The keys of the scope.
    names: &'a [&'static str],
    /// The pool that the scope is of, when all that decides which keys it has is known.
    pool: Option<&'a PoolSpec>,
}

impl Within<'_> {
    /// The names of the keys and tables that may be in it.
    fn entries(&self) -> impl Iterator<Item = &'static str> {
        let below = |name: &&'static str| name.strip_prefix(self.table);
        self.names.iter().filter_map(below).map(|name| name.split_once('.').map_or(name, |(table, _)| table))
    }

    /// What to say of a table that this pool may not have.
    fn misplaced(&self, name: &str) -> Option<String> {
        let table = format!("{}{name}", self.table);
        let conditional = CONDITIONAL.iter().find(|conditional| conditional.table == table)?;
        let instead = (conditional.fits)(self.pool?).err()?;
        Some(format!("is only for {}; this pool has {instead}", conditional.only))
    }

    fn path(&self, name: &str) -> String {
        let dot = if self.scope.is_empty() { "" } else { "." };
        format!("{}{dot}{}{}", self.scope, self.table, segment(name))
    }

    /// What `name` was meant to be.
    fn hint(&self, name: &str, value: &Value) -> Option<String> {
        if let Some(place) = self.elsewhere(name) {
            return Some(format!("it belongs {place}"));
        }
        let tables: &[&str] = if self.scope.is_empty() && self.table.is_empty() { &TABLES } else { &[] };
        if let Some(near) = nearest(name, self.entries().chain(tables.iter().copied())) {
            return Some(format!("did you mean {}?", quoted(near)));
        }
        let is_pool =
            self.scope.is_empty() && self.table.is_empty() && matches!(value.kind, ValueKind::Table(_));
        is_pool.then(|| format!("did you mean [pools.{}]?", segment(name)))
    }

    /// The table that has a key of exactly this name.
    fn elsewhere(&self, name: &str) -> Option<String> {
        let table_of = |keys: &mut dyn Iterator<Item = &'static str>| {
            keys.map(|key| key.rsplit_once('.').unwrap_or(("", key)))
                .find(|(_, last)| *last == name)
                .map(|(table, _)| table)
        };
        let scope = if self.scope.is_empty() { "pools.NAME" } else { self.scope };
        let in_pool = table_of(&mut pool().map(|key| key.name)).map(|table| match table {
            "" => format!("in [{scope}]"),
            table => format!("in [{scope}.{table}]"),
        });
        in_pool.or_else(|| {
            table_of(&mut TOP.iter().map(|key| key.name)).map(|table| match table {
                "" => "at the top of the file".to_owned(),
                table => format!("in [{table}]"),
            })
        })
    }
}
