use super::event::{Command, Stock};
use super::ledger::{Slot, SlotKind};
use super::restart::Verdict;
use super::{Decider, Moment};
use crate::model::{RuntimeId, State};

/// How many runtimes to launch, and when (P1, P7).
impl Decider {
    /// Launches what is missing: `min` ready ones, one for each waiter, and one to replace something old with;
    /// less what is on its way.
    pub(super) fn fill(&mut self, now: Moment, stock: Stock, commands: &mut Vec<Command>) {
        let coming =
            self.ledger.arriving(SlotKind::Pooled) + self.ledger.count_of(SlotKind::Pooled, State::Resetting);
        let spare = usize::from(self.expiry.due(now).is_some());
        let waiters = stock.waiters.saturating_sub(self.ledger.arriving(SlotKind::Overflow));
        let missing = (self.min() + spare + waiters).saturating_sub(stock.ready + coming);
        if (missing == 0 || self.staying() >= self.max()) && self.under_way() == 0 {
            self.restart.not_needed();
        }
        let room = self.max().saturating_sub(self.ledger.total(SlotKind::Pooled));
        for _ in 0..missing.min(room) {
            if self.launch(now, SlotKind::Pooled, commands) == Launching::Held {
                break;
            }
        }
    }

    /// Runtimes beyond `max`, one under way for each lease that waits with overflow allowed, as far as the allowance
    /// goes. Whoever waits longest is served first, so that several may be made before one who allows them has his.
    pub(super) fn overflow(&mut self, now: Moment, stock: Stock, commands: &mut Vec<Command>) {
        self.overflow_wanted = stock.overflow.min(stock.waiters);
        if self.ledger.total(SlotKind::Pooled) < self.max() {
            return;
        }
        let room = self.spec.overflow.saturating_sub(self.ledger.total(SlotKind::Overflow));
        // What is on its way to the pool serves waiters too.
        let unserved = stock.waiters.saturating_sub(self.under_way());
        let coming = self.ledger.arriving(SlotKind::Overflow);
        for _ in 0..self.overflow_wanted.saturating_sub(coming).min(unserved).min(room) {
            if self.launch(now, SlotKind::Overflow, commands) == Launching::Held {
                break;
            }
        }
    }

    /// Whether a launch is under way that somebody waits for, or may be asked for.
    pub(super) fn may_launch(&self) -> bool {
        let beyond = self.ledger.arriving(SlotKind::Overflow) + self.overflow_wanted;
        self.staying() < self.max() || self.spec.overflow.min(beyond) > 0
    }

    /// The handoff need only call when something can be launched for it.
    pub(super) fn watch(&mut self, commands: &mut Vec<Command>) {
        let room = self.ledger.total(SlotKind::Pooled) < self.max();
        let mark = room.then_some(self.min());
        if self.watched != mark {
            self.watched = mark;
            commands.push(Command::Watch(mark));
        }
    }

    /// Asks to be called at a moment, unless that is sure to happen sooner.
    pub(super) fn wake_at(&mut self, now: Moment, at: Moment, commands: &mut Vec<Command>) {
        if self.wakes_at.is_none_or(|set| set <= now || at < set) {
            self.wakes_at = Some(at);
            commands.push(Command::WakeAt(at));
        }
    }

    fn under_way(&self) -> usize {
        self.ledger.arriving(SlotKind::Pooled) + self.ledger.arriving(SlotKind::Overflow)
    }

    fn launch(&mut self, now: Moment, kind: SlotKind, commands: &mut Vec<Command>) -> Launching {
        let under_way = self.under_way();
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
                self.wake_at(now, moment, commands);
                Launching::Held
            }
            Verdict::AfterProbe => Launching::Held,
        }
    }

    fn new_slot(&mut self, now: Moment, kind: SlotKind) -> RuntimeId {
        let id = RuntimeId(self.next_id);
        self.next_id += 1;
        // A tenth of spread keeps runtimes made together from going together.
        let jitter = self.rng.f64();
        let aged_at = self.spec.max_lifetime.and_then(|age| {
            let spread = (age / 10).mul_f64(jitter);
            now.checked_add(age.saturating_sub(spread))
        });
        let slot = Slot {
            state: State::Launching,
            kind,
            generation: self.generation,
            aged_at,
            condemned: None,
            reason: None,
        };
        self.ledger.add(id, slot);
        id
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Launching {
    Started,
    Held,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PoolSpec;

    /// Each holds until its own moment; only what comes sooner, or after the last, is worth asking for.
    #[test]
    fn a_wake_up_is_asked_for_once() {
        let mut decider = Decider::new(PoolSpec::default(), Moment::ZERO, 1);
        let mut asked = |now, at| {
            let (now, at) = (Moment::from_secs(now), Moment::from_secs(at));
            let mut commands = Vec::new();
            decider.wake_at(now, at, &mut commands);
            assert!(commands.is_empty() || commands == [Command::WakeAt(at)], "{commands:?}");
            !commands.is_empty()
        };
        assert!(asked(0, 10), "the first");
        assert!(!asked(0, 20), "sooner is set already");
        assert!(!asked(0, 10), "and so is this");
        assert!(asked(0, 5), "sooner");
        assert!(!asked(4, 7), "what is set is still to come");
        assert!(asked(5, 30), "what was set has come");
        assert!(!asked(6, 40));
    }
}
