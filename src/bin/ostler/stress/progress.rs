use std::time::Duration;

use super::world::World;

/// Whether clients come to leases.
#[derive(Debug)]
pub(super) struct Progress {
    leases: u64,
    /// When there was a new one, as far as anybody looked.
    since: Duration,
}

impl Progress {
    /// From now on.
    pub(super) fn new(world: &World) -> Self {
        Self { leases: 0, since: world.now() }
    }

    /// How long there has been no new one.
    pub(super) fn idle(&mut self, world: &World) -> Duration {
        let (leases, now) = (world.board.tally.leases.get(), world.now());
        if leases > self.leases {
            *self = Self { leases, since: now };
        }
        now.saturating_sub(self.since)
    }
}
