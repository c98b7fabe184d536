use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use ostler::PoolName;

use crate::process::Process;

/// Keepers of one pool. To the host all are alike, so that only those whose guest was announced are known for whose
/// they are: what the pool says tells whom it counts, not how many it has.
#[derive(Debug, Default)]
pub(in super::super) struct Keepers(Mutex<BTreeSet<Process>>);

/// A pool, and how many runtimes it may have.
pub(in super::super) struct Allowance<'a> {
    pub(in super::super) pool: &'a PoolName,
    pub(in super::super) limit: usize,
    pub(in super::super) keepers: &'a Keepers,
}

impl Keepers {
    /// A runtime of the pool's goes by this name.
    pub(in super::super) fn announced(&self, handle: &str) {
        if let Some(keeper) = Process::of(handle).and_then(Process::parent) {
            self.lock().insert(keeper);
        }
    }

    /// How many of those that are there are the pool's. The others that were are forgotten.
    fn among(&self, there: &[Process]) -> usize {
        let mut known = self.lock();
        known.retain(|keeper| there.contains(keeper) || keeper.is_alive());
        there.iter().filter(|keeper| known.contains(keeper)).count()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<Process>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether keepers that are there at one moment are too many, for any pool or for all together.
pub(in super::super) fn excess(there: &[Process], pools: &[Allowance<'_>]) -> Vec<String> {
    let each = pools.iter().filter_map(|Allowance { pool, limit, keepers }| {
        let of_it = keepers.among(there);
        (of_it > *limit).then(|| format!("pool {pool}: {of_it} runtimes at once, where {limit} may be"))
    });
    let mut excess: Vec<_> = each.collect();
    let limit = pools.iter().map(|pool| pool.limit).sum();
    if excess.is_empty() && there.len() > limit {
        excess.push(format!("{} runtimes at once, where {limit} may be", there.len()));
    }
    excess
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32) -> Process {
        // No process starts at the boot itself, so that none of these is alive.
        Process { pid, started: 0 }
    }

    fn keepers(pids: std::ops::Range<u32>) -> Keepers {
        Keepers(Mutex::new(pids.map(process).collect()))
    }

    fn judge(of_p: u32, of_q: u32, unknown: u32) -> Vec<String> {
        let (p, q) = (PoolName::new("p"), PoolName::new("q"));
        let there: Vec<_> = (0..of_p).chain(100..100 + of_q).chain(200..200 + unknown).map(process).collect();
        excess(
            &there,
            &[
                Allowance { pool: &p, limit: 4, keepers: &keepers(0..of_p) },
                Allowance { pool: &q, limit: 4, keepers: &keepers(100..100 + of_q) },
            ],
        )
    }

    #[test]
    fn a_pool_with_too_many_is_seen_beside_one_with_few() {
        assert_eq!(judge(4, 4, 0), Vec::<String>::new());
        assert_eq!(judge(5, 1, 0), ["pool p: 5 runtimes at once, where 4 may be"]);
        assert_eq!(judge(1, 5, 2), ["pool q: 5 runtimes at once, where 4 may be"]);
    }

    #[test]
    fn those_that_nobody_has_announced_count_for_all_together() {
        assert_eq!(judge(2, 2, 4), Vec::<String>::new());
        assert_eq!(judge(2, 2, 5), ["9 runtimes at once, where 8 may be"]);
    }

    #[test]
    fn a_runtime_is_its_keepers_which_is_the_parent() {
        let mut guest = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let keepers = Keepers::default();
        keepers.announced(&format!("pid {}", guest.id()));
        assert_eq!(keepers.among(&[Process::own().unwrap()]), 1);
        assert_eq!(keepers.among(&[process(1)]), 0);
        guest.kill().unwrap();
        guest.wait().unwrap();
    }
}
