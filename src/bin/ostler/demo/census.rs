use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ostler::Pool;

use crate::process::Process;

/// How often it is looked whether anything is left.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Every guest that was met, to see in the end that none is left.
#[derive(Debug, Default)]
pub(super) struct Census {
    met: BTreeSet<Process>,
}

impl Census {
    /// Counts the process of a runtime.
    pub(super) fn add(&mut self, handle: &str) {
        self.met.extend(Process::of(handle));
    }

    /// Counts all runtimes that a pool has now.
    pub(super) async fn add_all(&mut self, pool: &Pool) -> Result<(), ostler::Error> {
        for runtime in pool.snapshot().await?.runtimes {
            self.add(&runtime.handle);
        }
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.met.len()
    }

    /// What is still there of all that was met, and of whatever else we have started, once it has had time to
    /// end.
    pub(super) async fn left(&self, patience: Duration) -> anyhow::Result<Vec<String>> {
        let started = Instant::now();
        loop {
            let mut left: BTreeSet<_> =
                self.met.iter().copied().filter(|process| process.is_there()).collect();
            left.extend(Process::children()?);
            if left.is_empty() || started.elapsed() >= patience {
                return Ok(left.iter().map(|process| format!("pid {}", process.pid)).collect());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
