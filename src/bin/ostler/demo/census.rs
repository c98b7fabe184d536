use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ostler::Pool;

use super::ground::{Body, Ground};

/// How often it is looked whether anything is left.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Every guest that was met, to see in the end that none is left.
#[derive(Debug)]
pub(super) struct Census {
    ground: Ground,
    met: BTreeSet<Body>,
}

impl Census {
    pub(super) fn of(ground: Ground) -> Self {
        Self { ground, met: BTreeSet::new() }
    }

    /// Counts a runtime, and answers what it is to others.
    pub(super) fn add(&mut self, handle: &str) -> Option<Body> {
        let body = self.ground.body(handle)?;
        self.met.insert(body.clone());
        Some(body)
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
            let left = self.ground.left(&self.met).await?;
            if left.is_empty() || started.elapsed() >= patience {
                return Ok(left);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
