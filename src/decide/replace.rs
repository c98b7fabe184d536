use std::time::Duration;

use super::event::{Command, Stock};
use super::ledger::SlotKind;
use super::{Decider, Moment};
use crate::model::{Reason, ResetPolicy, RuntimeId, State};

/// How long a runtime may be taken for a ready one that was condemned and has not been heard of since. After
/// that it is leased, and the next one may be replaced.
const TURN: Duration = Duration::from_millis(100);

/// The runtime that makes room for its own replacement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Swap {
    id: RuntimeId,
    until: Moment,
}

/// Replacing what is past its time (P10).
impl Decider {
    /// Condemns one runtime that is past its time: once enough others are ready that `min` holds without it, or
    /// when none is ready, so that it can only be a leased one; to its holder that changes nothing.
    ///
    /// Where `max` leaves no room to launch the replacement first, an outdated one goes first, one at a time; an
    /// aged one goes when its next lease ends.
    pub(super) fn replace_old(&mut self, now: Moment, stock: Stock, commands: &mut Vec<Command>) {
        let Some((id, reason)) = self.expiry.due(now) else { return };
        if stock.surely_ready(commands) > self.min() || stock.ready == 0 {
            self.condemn(id, reason, commands);
        } else if self.has_no_room() && self.may_go_first(stock, reason) {
            match self.swap {
                Some(swap) if now < swap.until && self.is_in(swap.id, State::Circulating) => {
                    self.wake_at(now, swap.until, commands);
                }
                _ => {
                    self.swap = Some(Swap { id, until: now.saturating_add(TURN) });
                    self.condemn(id, reason, commands);
                }
            }
        }
    }

    pub(super) fn condemn(&mut self, id: RuntimeId, reason: Reason, commands: &mut Vec<Command>) {
        if let Some(slot) = self.ledger.get_mut(id) {
            slot.condemned = Some(reason);
            self.expiry.forget(id, slot);
            commands.push(Command::Condemn(id, reason));
        }
    }

    /// The pool is full, and nothing is about to change that.
    fn has_no_room(&self) -> bool {
        self.ledger.total(SlotKind::Pooled) >= self.max()
            && self.ledger.arriving(SlotKind::Pooled) == 0
            && self.ledger.count_of(SlotKind::Pooled, State::Retiring) == 0
    }

    fn may_go_first(&self, stock: Stock, reason: Reason) -> bool {
        // Without a reset the end of a lease is seen only if the runtime is condemned by then.
        let unseen = self.spec.reset == ResetPolicy::None && stock.ready < self.min();
        reason == Reason::SpecChanged || unseen
    }
}
