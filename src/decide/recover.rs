use super::step::Phase;
use super::{Decider, Expiry};
use crate::model::{PoolSpec, Reason, RuntimeId, State};

/// Starting over, when the caller cannot be sure that the last step was taken to its end.
impl Decider {
    /// Takes the word of others for what there is: the settings in force, and each runtime's state. Keeps what only
    /// it knows: what each runtime was made from and when, failures and pauses, totals, whether the pool ends.
    /// Answers the circulating ones that must not be leased again.
    ///
    /// Says nothing about what must be done; a [`Tick`](super::Event::Tick) that follows does.
    pub fn recover(
        &mut self,
        spec: PoolSpec,
        runtimes: impl Iterator<Item = (RuntimeId, State)>,
    ) -> Vec<(RuntimeId, Reason)> {
        self.restart.set_spec(spec.restart);
        if !spec.makes_the_same_as(&self.spec) {
            self.generation += 1;
        }
        self.spec = spec;
        let runtimes: Vec<_> = runtimes.collect();
        let newest = runtimes.iter().map(|(id, _)| id.0 + 1).max();
        self.next_id = newest.map_or(self.next_id, |next| next.max(self.next_id));
        self.ledger.recount(runtimes, self.generation);
        self.expiry = Expiry::default();
        self.swap = None;
        self.unneeded = 0;
        self.watched = None;
        self.wakes_at = None;
        if self.phase == Phase::Finished {
            // Nobody may have been told.
            self.phase = Phase::Draining;
        }
        let mut condemned = Vec::new();
        for (id, slot) in self.ledger.iter().filter(|(_, slot)| slot.state == State::Circulating) {
            match slot.condemned {
                Some(reason) => condemned.push((id, reason)),
                None => self.expiry.watch(id, slot, self.generation),
            }
        }
        condemned
    }

    /// Whether the pool gives no more leases.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.phase != Phase::Serving
    }

    /// Whether a runtime is to be leased no more, though nothing is wrong with it.
    #[must_use]
    pub fn is_condemned(&self, id: RuntimeId) -> bool {
        self.ledger.get(id).is_some_and(|slot| slot.condemned.is_some())
    }
}
