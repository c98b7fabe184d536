//! What is written on a container to say whose it is.

use std::collections::HashMap;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use super::hash::hash;
use crate::backend::Launch;
use crate::backend::owner::Life;

pub(super) const INSTANCE: &str = "ostler.instance";
pub(super) const POOL: &str = "ostler.pool";
pub(super) const RUNTIME: &str = "ostler.runtime";
/// First part of the boot id of the owner's kernel.
pub(super) const BOOT: &str = "ostler.boot";
/// The owner's machine: the same across boots, another for any other. Boot ids alone don't tell a reboot from
/// another host that uses the same engine.
pub(super) const MACHINE: &str = "ostler.machine";
/// The owner's life; see [`Life`].
pub(super) const OWNER: &str = "ostler.owner";
/// What it was made from, as a hash.
pub(super) const SPEC: &str = "ostler.spec";
/// When, in seconds since 1970.
pub(super) const CREATED: &str = "ostler.created";

/// Whose the containers of one backend are.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    instance: String,
    machine: String,
    pub(super) life: Life,
    spec: String,
}

/// What a container's labels say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belongs {
    /// To this very process.
    Here,
    /// To an ostler of the same name that is no more.
    ToTheDead,
    /// To another, or it cannot be told.
    Elsewhere,
}

impl Mark {
    /// `spec` is anything that is the same for containers made from the same spec.
    pub(super) fn new(instance: &str, life: Life, spec: &str) -> Self {
        Self { instance: instance.to_owned(), machine: machine(), life, spec: hash(spec) }
    }

    /// The labels of a container.
    pub(super) fn labels(&self, launch: &Launch) -> HashMap<String, String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let labels = [
            (INSTANCE, self.instance.clone()),
            (POOL, launch.pool.to_string()),
            (RUNTIME, launch.runtime.to_string()),
            (BOOT, self.life.boot().to_owned()),
            (MACHINE, self.machine.clone()),
            (OWNER, self.life.to_string()),
            (SPEC, self.spec.clone()),
            (CREATED, now.as_secs().to_string()),
        ];
        labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The label that all containers of this instance bear, as engines filter by it.
    pub(super) fn filter(&self) -> HashMap<String, Vec<String>> {
        HashMap::from([("label".to_owned(), vec![format!("{INSTANCE}={}", self.instance)])])
    }

    /// Whose a container with these labels is. The filter alone proves nothing.
    pub(super) fn judge(&self, labels: &HashMap<String, String>) -> Belongs {
        let says = |name: &str, value: &str| labels.get(name).is_some_and(|said| said == value);
        let Some(owner) = labels.get(OWNER).and_then(|owner| Life::parse(owner)) else {
            return Belongs::Elsewhere;
        };
        if !says(INSTANCE, &self.instance) || !says(MACHINE, &self.machine) {
            Belongs::Elsewhere
        } else if owner == self.life {
            Belongs::Here
        } else if owner.is_over_for(&self.life) {
            Belongs::ToTheDead
        } else {
            Belongs::Elsewhere
        }
    }
}

/// This machine, or where that has no name for itself, this host's name.
fn machine() -> String {
    let id = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    // Hashed, since machine ids are not for others to read.
    hash(&format!("{} {}", id.trim(), name.trim()))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::backend::Owner;
    use crate::model::{PoolName, RuntimeId};

    fn mark(instance: &str) -> Mark {
        let owner = Owner { instance: instance.to_owned(), state_dir: PathBuf::new() };
        Mark::new(instance, Life::own(&owner).expect("a life"), "spec")
    }

    fn labels(mark: &Mark) -> HashMap<String, String> {
        mark.labels(&Launch { pool: PoolName::new("p"), runtime: RuntimeId(7) })
    }

    /// The labels of a container whose owner's life ended with `end` in place of its last part.
    fn with_owner(mark: &Mark, owner: &str) -> HashMap<String, String> {
        let mut labels = labels(mark);
        labels.insert(OWNER.to_owned(), owner.to_owned());
        labels
    }

    /// A process that started when this one did not.
    fn dead(mark: &Mark) -> String {
        let life = mark.life.to_string();
        let (rest, start) = life.rsplit_once('-').expect("a start");
        format!("{rest}-{}", start.parse::<u64>().expect("a number") - 1)
    }

    #[test]
    fn all_labels_are_there() {
        let labels = labels(&mark("shop"));
        for name in [INSTANCE, POOL, RUNTIME, BOOT, MACHINE, OWNER, SPEC, CREATED] {
            assert!(labels.get(name).is_some_and(|value| !value.is_empty()), "{name}");
        }
        assert_eq!(labels[POOL], "p");
        assert_eq!(labels[RUNTIME], "r7");
    }

    #[test]
    fn own_dead_and_foreign_containers_are_told_apart() {
        let mark = mark("shop");
        assert_eq!(mark.judge(&labels(&mark)), Belongs::Here);
        assert_eq!(mark.judge(&with_owner(&mark, &dead(&mark))), Belongs::ToTheDead);
        let parent = with_owner(&mark, &mark.life.of_parent().to_string());
        assert_eq!(mark.judge(&parent), Belongs::Elsewhere, "the test's parent lives");
        assert_eq!(mark.judge(&labels(&self::mark("other"))), Belongs::Elsewhere);
        assert_eq!(mark.judge(&with_owner(&mark, "no life")), Belongs::Elsewhere);
        assert_eq!(mark.judge(&HashMap::new()), Belongs::Elsewhere);
    }

    #[test]
    fn another_machines_are_never_judged_dead() {
        let mark = mark("shop");
        let mut labels = with_owner(&mark, &dead(&mark));
        labels.insert(MACHINE.to_owned(), "another".to_owned());
        assert_eq!(mark.judge(&labels), Belongs::Elsewhere);
    }
}
