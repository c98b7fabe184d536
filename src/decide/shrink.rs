use super::event::{Command, Stock};
use super::ledger::{Illegal, SlotKind};
use super::step::Phase;
use super::{Decider, Moment};
use crate::model::{PoolSpec, Reason, RuntimeId, State};

/// Fewer runtimes: what idles, what a smaller `max` has no place for, the end of the pool (P10).
impl Decider {
    /// Finds out how many ready ones nobody needed.
    pub(super) fn trim(&mut self, now: Moment, stock: Stock, lowest: usize) {
        let Some(idle_timeout) = self.spec.idle_timeout else { return };
        let idle = self.warmth.observe(now, lowest.min(stock.ready), idle_timeout);
        self.unneeded = self.unneeded.max(idle.saturating_sub(self.min()));
    }

    /// Takes out one ready ticket if there are too many. The next one follows when this one has come.
    pub(super) fn withdraw(&mut self, stock: &mut Stock, commands: &mut Vec<Command>) {
        if let Some(reason) = self.excess(*stock) {
            stock.ready -= 1;
            commands.push(Command::Withdraw(reason));
        }
    }

    fn excess(&mut self, stock: Stock) -> Option<Reason> {
        if stock.ready == 0 {
            return None;
        }
        if self.phase != Phase::Serving || self.is_above_max() {
            return Some(Reason::Drained);
        }
        let idles = self.unneeded > 0 && self.is_spare(stock);
        self.unneeded = self.unneeded.saturating_sub(1);
        idles.then_some(Reason::Idle)
    }

    /// Why the runtime of a ticket that was taken out must go; `None` when that is no longer true.
    pub(super) fn why_withdrawn(&self, stock: Stock, id: RuntimeId, reason: Reason) -> Option<Reason> {
        if self.phase != Phase::Serving {
            return Some(Reason::Drained);
        }
        let condemned = self.ledger.get(id).and_then(|slot| slot.condemned);
        let with_it = Stock { ready: stock.ready + 1, ..stock };
        let still = match reason {
            Reason::Idle => self.is_spare(with_it),
            Reason::Drained => self.is_above_max(),
            _ => true,
        };
        condemned.or(still.then_some(reason))
    }

    fn is_spare(&self, stock: Stock) -> bool {
        stock.waiters == 0 && stock.ready > self.min()
    }

    /// Whether more pooled runtimes are to stay than `max` allows.
    pub(super) fn is_above_max(&self) -> bool {
        self.surplus() > 0
    }

    fn surplus(&self) -> usize {
        self.staying().saturating_sub(self.max())
    }

    /// Pooled runtimes that are not on their way out.
    pub(super) fn staying(&self) -> usize {
        self.ledger.total(SlotKind::Pooled) - self.ledger.count_of(SlotKind::Pooled, State::Retiring)
    }

    /// New settings. What was made from others is outdated; of too many, those that nobody can lease yet go
    /// first, the youngest of them first.
    pub(super) fn reconfigure(&mut self, spec: PoolSpec, commands: &mut Vec<Command>) -> Result<(), Illegal> {
        self.restart.set_spec(spec.restart);
        self.given_up = 0;
        let same = spec.makes_the_same_as(&self.spec);
        self.spec = spec;
        if !same {
            self.generation += 1;
            for (id, slot) in self.ledger.iter() {
                if slot.state == State::Circulating && slot.condemned.is_none() {
                    self.expiry.watch(id, slot, self.generation);
                }
            }
        }
        let surplus = self.surplus();
        if surplus > 0 {
            let arriving = self.those(SlotKind::Pooled, State::is_arriving);
            for id in arriving.into_iter().rev().take(surplus) {
                self.retire(id, Reason::Drained, commands)?;
            }
        }
        Ok(())
    }

    /// No new leases. Those in a state that `at_once` picks are retired now, the others as they come free.
    pub(super) fn drain(
        &mut self,
        at_once: impl Fn(State) -> bool,
        commands: &mut Vec<Command>,
    ) -> Result<(), Illegal> {
        if self.phase == Phase::Serving {
            self.phase = Phase::Draining;
            commands.push(Command::Close);
        }
        for kind in [SlotKind::Pooled, SlotKind::Overflow] {
            for id in self.those(kind, &at_once) {
                self.retire(id, Reason::Drained, commands)?;
            }
        }
        Ok(())
    }

    fn those(&self, kind: SlotKind, are: impl Fn(State) -> bool) -> Vec<RuntimeId> {
        self.ledger
            .iter()
            .filter(|(_, slot)| slot.kind == kind && are(slot.state))
            .map(|(id, _)| id)
            .collect()
    }
}
