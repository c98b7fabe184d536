use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use ostler::{Change, Events, Ostler, Pool, RuntimeId};
use ostler::{Snapshot, State};

use super::PATIENCE;
use super::census::Census;
use super::ground::Body;

/// More events than the demo causes at once.
const BACKLOG: usize = 8192;

/// A pool and what happens in it.
pub(super) struct Watch<'a> {
    events: Events,
    pool: Pool,
    census: &'a mut Census,
}

/// A runtime that is about to have an accident.
pub(super) struct Victim {
    pub(super) runtime: RuntimeId,
    pub(super) body: Body,
}

impl<'a> Watch<'a> {
    pub(super) fn over(ostler: &Ostler, pool: Pool, census: &'a mut Census) -> Self {
        Self { events: ostler.events(BACKLOG), pool, census }
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(super) fn lost(&self) -> u64 {
        self.events.dropped()
    }

    /// Counts the runtimes there are.
    pub(super) async fn count(&mut self) -> anyhow::Result<Snapshot> {
        let snapshot = self.pool.snapshot().await?;
        for runtime in &snapshot.runtimes {
            self.census.add(&runtime.handle);
        }
        Ok(snapshot)
    }

    /// A runtime that is ready, and all there are.
    pub(super) async fn victim(&mut self) -> anyhow::Result<(Victim, Known)> {
        self.pool.ready(PATIENCE).await?;
        let snapshot = self.count().await?;
        let victim = snapshot.runtimes.iter().find(|runtime| runtime.state == State::Circulating);
        let victim = victim.context("no runtime is ready")?;
        let body = self.census.add(&victim.handle).with_context(|| format!("{} has ended", victim.handle))?;
        let victim = Victim { runtime: victim.id, body };
        Ok((victim, Known::of(&snapshot)))
    }

    /// When an event came that is wanted.
    pub(super) async fn until(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&Change) -> bool,
    ) -> anyhow::Result<Instant> {
        let limit = Instant::now() + PATIENCE;
        loop {
            let left = limit.saturating_duration_since(Instant::now());
            let Ok(event) = tokio::time::timeout(left, self.events.next()).await else {
                bail!("{what}: not within {PATIENCE:?}; {}", self.pool.status());
            };
            let event = event.context("ostler has ended")?;
            if let Change::Ready { handle, .. } = &event.change {
                self.census.add(handle);
            }
            if wanted(&event.change) {
                return Ok(Instant::now());
            }
        }
    }

    /// When the pool was whole again: the runtime gone, a new one ready, and as many ready as there should be.
    pub(super) async fn until_replaced(&mut self, lost: RuntimeId, known: &Known) -> anyhow::Result<Instant> {
        let (mut gone, mut new) = (false, false);
        self.until("replacement", |change| {
            match change {
                Change::Gone { runtime } => gone |= *runtime == lost,
                Change::Ready { runtime, .. } => new |= !known.0.contains(runtime),
                _ => {}
            }
            gone && new
        })
        .await?;
        self.pool.ready(PATIENCE).await?;
        Ok(Instant::now())
    }
}

/// The runtimes there were at some moment.
pub(super) struct Known(BTreeSet<RuntimeId>);

impl Known {
    fn of(snapshot: &Snapshot) -> Self {
        Self(snapshot.runtimes.iter().map(|runtime| runtime.id).collect())
    }
}

/// From one moment to another, none when they are the other way round.
pub(super) fn between(from: Instant, to: Instant) -> Duration {
    to.saturating_duration_since(from)
}
