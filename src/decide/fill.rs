use super::event::{Command, Stock};
use super::ledger::SlotKind;
use super::restart::Verdict;
use super::{Decider, Moment};
use crate::model::{Reason, RuntimeId, State};

/// How many runtimes to launch, and which old ones make room (P1, P10).
impl Decider {
    /// Launches what is missing: `min` ready ones and one for each waiter, less what is on its way.
    pub(super) fn fill(&mut self, now: Moment, stock: Stock, commands: &mut Vec<Command>) {
        let coming =
            self.ledger.arriving(SlotKind::Pooled) + self.ledger.count_of(SlotKind::Pooled, State::Resetting);
        let spare = usize::from(self.oldest(now).is_some());
        let wanted = self.spec.min + spare + stock.waiters;
        let missing = wanted.saturating_sub(stock.ready + coming);
        let room = self.spec.max.saturating_sub(self.ledger.total(SlotKind::Pooled));
        for _ in 0..missing.min(room) {
            if self.launch(now, SlotKind::Pooled, commands) == Launching::Held {
                break;
            }
        }
    }

    /// Runtimes beyond `max`, one for each lease that waits with overflow allowed, as far as the allowance goes.
    pub(super) fn overflow(&mut self, now: Moment, stock: Stock, commands: &mut Vec<Command>) {
        let coming = self.ledger.arriving(SlotKind::Overflow);
        self.overflow_wanted = self.overflow_wanted.min(stock.waiters.saturating_sub(coming));
        if self.ledger.total(SlotKind::Pooled) < self.spec.max {
            return;
        }
        let room = self.spec.overflow.saturating_sub(self.ledger.total(SlotKind::Overflow));
        for _ in 0..self.overflow_wanted.min(room) {
            if self.launch(now, SlotKind::Overflow, commands) == Launching::Held {
                break;
            }
            self.overflow_wanted -= 1;
        }
    }

    fn launch(&mut self, now: Moment, kind: SlotKind, commands: &mut Vec<Command>) -> Launching {
        let under_way = self.ledger.arriving(SlotKind::Pooled) + self.ledger.arriving(SlotKind::Overflow);
        if under_way >= self.spec.launch_parallelism {
            return Launching::Held;
        }
        match self.restart.ask(now, under_way) {
            Verdict::Now => {
                self.restart.started(now);
                let id = self.new_slot(now, kind);
                commands.push(Command::Launch(id));
                Launching::Started
            }
            Verdict::At(moment) => {
                commands.push(Command::WakeAt(moment));
                Launching::Held
            }
            Verdict::AfterProbe => Launching::Held,
        }
    }

    /// Condemns one runtime that is past its time, once enough others are ready that `min` holds without it.
    /// Where `max` leaves no room to launch the replacement first, an aged one goes when its next lease ends,
    /// and an outdated one goes first.
    pub(super) fn replace_old(&mut self, now: Moment, stock: Stock, commands: &mut Vec<Command>) {
        self.condemn_strays(commands);
        let Some((id, reason)) = self.oldest(now) else { return };
        let spare = stock.ready > self.spec.min;
        let no_room = self.ledger.total(SlotKind::Pooled) >= self.spec.max
            && self.ledger.arriving(SlotKind::Pooled) == 0
            && self.ledger.count(State::Retiring) == 0;
        if spare || (no_room && reason == Reason::SpecChanged) {
            self.condemn(id, reason, commands);
        }
    }

    /// An overflow runtime that circulates is either leased, and then this changes nothing for its holder, or
    /// lies about unused.
    fn condemn_strays(&mut self, commands: &mut Vec<Command>) {
        let strays: Vec<_> = self.expiry.strays().filter(|id| self.may_condemn(*id)).collect();
        for id in strays {
            // The one being put right now is for a waiter.
            if !commands.contains(&Command::Put(id)) {
                self.condemn(id, Reason::Overflow, commands);
            }
        }
    }

    fn condemn(&mut self, id: RuntimeId, reason: Reason, commands: &mut Vec<Command>) {
        if let Some(slot) = self.ledger.get_mut(id) {
            slot.condemned = Some(reason);
            self.expiry.forget(id, slot.aged_at);
            commands.push(Command::Condemn(id, reason));
        }
    }

    fn oldest(&self, now: Moment) -> Option<(RuntimeId, Reason)> {
        self.expiry.due(now).find(|(id, _)| self.may_condemn(*id))
    }

    fn may_condemn(&self, id: RuntimeId) -> bool {
        self.ledger.get(id).is_some_and(|slot| slot.state == State::Circulating && slot.condemned.is_none())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Launching {
    Started,
    Held,
}
