use std::collections::{BTreeMap, BTreeSet};

use super::problem::{Problem, Source};

/// Which keys were set where, for messages about values that are wrong only together.
#[derive(Debug)]
pub(super) struct Places {
    /// Where everything comes from that has no place of its own.
    origin: Source,
    set: BTreeMap<String, Place>,
    broken: BTreeSet<String>,
}

/// Where one key's value was written.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) source: Source,
    /// The key as written there: one of `[defaults]` for what a pool has from it.
    pub(super) key: String,
    /// As TOML, unless secret.
    pub(super) value: Option<String>,
}

impl Places {
    pub(super) fn new(origin: Source) -> Self {
        Self { origin, set: BTreeMap::new(), broken: BTreeSet::new() }
    }

    /// A value was read for `key`, in place of an earlier one.
    pub(super) fn record(&mut self, key: String, place: Place) {
        self.broken.remove(&key);
        self.set.insert(key, place);
    }

    /// What was written for `key` could not be read, which is reported.
    pub(super) fn mark_broken(&mut self, key: String) {
        self.broken.insert(key);
    }

    /// Whether nothing is to be concluded from the value that `key` has.
    pub(super) fn is_broken(&self, key: &str) -> bool {
        self.broken.contains(key)
    }

    /// Whether a value was read for `key`, and so checked.
    pub(super) fn is_set(&self, key: &str) -> bool {
        self.set.contains_key(key)
    }

    /// The key as it was written.
    pub(super) fn written<'k>(&'k self, key: &'k str) -> &'k str {
        self.set.get(key).map_or(key, |place| &place.key)
    }

    /// A problem with the value of `key`, which is `value` if no other was written.
    pub(super) fn problem(&self, key: &str, value: Option<String>, message: String) -> Problem {
        match self.set.get(key).cloned() {
            Some(Place { source, key, value }) => Problem { source, key, value, message },
            None => Problem { source: self.origin.clone(), key: key.to_owned(), value, message },
        }
    }
}
