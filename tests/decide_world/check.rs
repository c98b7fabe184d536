use ostler::decide::{Command, Event, SlotKind, Stock};
use ostler::model::{Reason, State};

use super::World;

/// What a check compares with.
pub(super) struct Before {
    pooled: usize,
    overflow: usize,
    coming: usize,
    stock: Stock,
    /// The event names a runtime that is no more, or that is being retired: nothing may come of it.
    late: bool,
}

/// What must hold after every step.
impl World {
    pub(super) fn before(&self, event: &Event) -> Before {
        let late = match event {
            Event::Launched(id)
            | Event::Booted(id)
            | Event::Warmed(id)
            | Event::LaunchFailed(id)
            | Event::Returned { id, .. }
            | Event::Withdrawn { id, .. }
            | Event::ResetDone(id)
            | Event::ResetFailed(id)
            | Event::Exited(id)
            | Event::Unhealthy(id) => {
                self.runtimes.get(id).is_none_or(|runtime| runtime.state == State::Retiring)
            }
            _ => false,
        };
        Before {
            pooled: self.decider.ledger().total(SlotKind::Pooled),
            overflow: self.decider.ledger().total(SlotKind::Overflow),
            coming: self.decider.ledger().arriving(SlotKind::Overflow),
            stock: self.handoff.stock(),
            late,
        }
    }

    pub(super) fn check(&self, before: &Before, event: &Event, commands: &[Command]) {
        self.check_ledger();
        self.check_capacity(before);
        let launched = commands.iter().any(|command| matches!(command, Command::Launch(_)));
        if launched {
            self.check_demand(event);
        }
        if before.late {
            let named = commands
                .iter()
                .find(|command| matches!(command, Command::Put(_) | Command::Reset(_) | Command::Retire(..)));
            assert_eq!(named, None, "{event:?} came late");
        }
        for command in commands {
            self.check_maintenance(command);
        }
        let wakes = commands.iter().filter(|command| matches!(command, Command::WakeAt(_))).count();
        assert!(wakes <= 2, "{commands:?}");
        if self.finished > 0 {
            assert!(self.runtimes.is_empty(), "finished with {:?}", self.runtimes);
        } else if !self.draining {
            let most = self.decider.spec().max.saturating_sub(self.decider.given_up());
            let room = self.decider.ledger().total(SlotKind::Pooled) < most;
            assert_eq!(
                self.handoff.mark.is_some(),
                room,
                "watching for what cannot be helped, or not at all"
            );
        }
    }

    /// P2: what the commands made of each runtime is what the ledger says, and the counts are the recount.
    fn check_ledger(&self) {
        let ledger = self.decider.ledger();
        let mut recount = [[0; State::ALL.len()]; 2];
        let mut theirs = ledger.iter();
        for (id, runtime) in &self.runtimes {
            let Some((their_id, slot)) = theirs.next() else { panic!("the ledger lost {id}: {runtime:?}") };
            assert_eq!((their_id, slot.state()), (*id, runtime.state), "{runtime:?}");
            recount[slot.kind() as usize][runtime.state as usize] += 1;
        }
        if let Some((id, slot)) = theirs.next() {
            panic!("the ledger invented {id}: {slot:?}");
        }
        for kind in [SlotKind::Pooled, SlotKind::Overflow] {
            for state in State::ALL {
                assert_eq!(ledger.count_of(kind, state), recount[kind as usize][state as usize], "{state}");
            }
        }
    }

    /// P1.
    fn check_capacity(&self, before: &Before) {
        let (ledger, spec) = (self.decider.ledger(), self.decider.spec());
        let pooled = ledger.total(SlotKind::Pooled);
        assert!(pooled <= spec.max.max(before.pooled), "{pooled} of {}", spec.max);
        let overflow = ledger.total(SlotKind::Overflow);
        assert!(overflow <= spec.overflow.max(before.overflow), "{overflow} beyond max of {}", spec.overflow);
        let (coming, wishes) = (ledger.arriving(SlotKind::Overflow), before.stock.overflow);
        assert!(coming <= wishes.max(before.coming), "{coming} beyond max for {wishes}");
        let arriving = ledger.arriving(SlotKind::Pooled) + ledger.arriving(SlotKind::Overflow);
        assert!(
            arriving <= spec.launch_parallelism.max(before.pooled + before.overflow),
            "{arriving} at once"
        );
        assert!(self.handoff.ready.len() <= self.runtimes.len(), "a ready ticket without a runtime");
    }

    /// No launch beyond what `min` and the waiters ask for; one more when something old is to be replaced.
    fn check_demand(&self, event: &Event) {
        let (ledger, spec) = (self.decider.ledger(), self.decider.spec());
        assert!(!self.draining, "launched while draining");
        let on_its_way =
            ledger.arriving(SlotKind::Pooled) + ledger.count_of(SlotKind::Pooled, State::Resetting);
        let supply = self.handoff.ready.len() + on_its_way;
        let something_old = spec.max_lifetime.is_some() || self.generation > 0;
        let demand = spec.min + self.handoff.waiters + usize::from(something_old);
        let overflow = ledger.arriving(SlotKind::Overflow);
        assert!(supply <= demand || overflow > 0, "{supply} for {demand} on {event:?}");
    }

    /// P10: what is taken from the ready ones for no fault of theirs leaves `min`, or has no other way.
    fn check_maintenance(&self, command: &Command) {
        let (ledger, spec, ready) = (self.decider.ledger(), self.decider.spec(), self.handoff.ready.len());
        match command {
            Command::Withdraw(Reason::Idle) => assert!(ready >= spec.min, "{ready} left of {}", spec.min),
            Command::Withdraw(reason) => {
                let staying =
                    ledger.total(SlotKind::Pooled) - ledger.count_of(SlotKind::Pooled, State::Retiring);
                assert!(self.draining || staying > spec.max, "withdrawn: {reason}");
            }
            Command::Condemn(id, Reason::Aged | Reason::SpecChanged) => {
                let was_ready = self.taken.contains(id);
                let full = ledger.total(SlotKind::Pooled) >= spec.max;
                assert!(!was_ready || ready >= spec.min || full, "{ready} left of {}", spec.min);
            }
            _ => {}
        }
    }
}
