use std::time::Duration;

use ostler::decide::{Event, Fate, SlotKind};
use ostler::model::{ResetPolicy, State};

use super::{Plan, World};

/// What must hold once the faults are over and time has passed.
impl World {
    /// Long enough for every pause, window, backoff and hung operation to be over.
    pub(crate) fn calm(&mut self) {
        self.plan = Plan::CALM;
        let spec = self.decider.spec();
        let pause = spec.restart.window * 2 + spec.restart.backoff_cap * 2 + spec.launch_timeout * 2;
        self.run(pause + Duration::from_secs(20));
    }

    /// P2 and P5 at rest: `min` ready, nobody waits who need not, nothing half done.
    pub(crate) fn check_rest(&self) {
        let (ledger, spec) = (self.decider.ledger(), self.decider.spec());
        let pooled = ledger.total(SlotKind::Pooled);
        let circulating = ledger.count(State::Circulating);
        if self.handoff.waiters > 0 {
            assert!(self.handoff.ready.is_empty(), "waiters beside ready tickets");
            assert!(pooled >= spec.max, "{} wait, though {pooled} of {}", self.handoff.waiters, spec.max);
        }
        if spec.max_lifetime.is_none() {
            // With a lifetime there is always one somewhere between two states.
            assert_eq!(circulating, self.runtimes.len(), "not at rest: {:?}", self.runtimes);
            let leased = self.handoff.leased.iter().filter(|id| self.runtimes.contains_key(id)).count();
            assert_eq!(circulating, self.handoff.ready.len() + leased, "a ticket is lost");
            let free = spec.max - leased.min(spec.max);
            assert!(self.handoff.ready.len() >= spec.min.min(free), "{:?} of {}", self.handoff, spec.min);
        }
        let held = self.handoff.leased.len();
        assert!(pooled <= spec.max.max(held), "{pooled} of {}, {held} of them leased", spec.max);
    }

    /// Demand that only launches can meet heals a pool whose launches succeed again.
    pub(crate) fn check_heals(&mut self) {
        for _ in 0..self.decider.spec().max {
            self.lease();
        }
        self.calm();
        assert!(!self.decider.is_degraded(), "still degraded");
        self.check_rest();
        self.release_all();
        self.calm();
        assert_eq!(self.handoff.waiters, 0, "stranded");
        assert_eq!(self.decider.ledger().total(SlotKind::Overflow), 0, "overflow stays");
        self.check_rest();
    }

    /// Nobody asks, nothing fails: no launch, and after two idle timeouts no more than `min`.
    pub(crate) fn check_idle(&mut self) {
        let spec = self.decider.spec().clone();
        if spec.max_lifetime.is_some() {
            return;
        }
        let launches = self.launches();
        let idle = spec.idle_timeout.unwrap_or_default();
        self.run(idle * 2 + Duration::from_secs(5));
        assert_eq!(self.launches(), launches, "launched with nothing to do");
        if spec.idle_timeout.is_some() {
            assert_eq!(self.handoff.ready.len(), spec.min, "unneeded ones stay");
        }
        let outdated = self.runtimes.keys().filter(|id| self.is_outdated(**id)).count();
        assert_eq!(outdated, 0, "outdated ones stay");
    }

    /// A drained pool is empty and says so once, its last lease however late.
    pub(crate) fn check_drain(&mut self) {
        for _ in 0..3 {
            self.lease();
        }
        self.queue(Event::Drain);
        self.calm();
        if self.decider.spec().reset == ResetPolicy::None || !self.handoff.leased.is_empty() {
            self.release_all();
            self.calm();
        }
        assert_eq!(self.finished, 1, "{:?}", self.runtimes);
        assert!(self.decider.ledger().is_empty());
        self.queue(Event::Drain);
        self.queue_tick();
        self.calm();
        assert_eq!(self.finished, 1, "finished again");
    }

    /// Every lease ends, those of waiters that get what is released too.
    pub(crate) fn end_leases(&mut self) {
        while !self.handoff.leased.is_empty() {
            self.release(0, Fate::Used);
        }
    }

    /// Every lease ends until nobody waits.
    pub(crate) fn release_all(&mut self) {
        for _ in 0..100 {
            self.end_leases();
            self.run(Duration::from_secs(1));
            if self.handoff.leased.is_empty() && self.handoff.waiters == 0 {
                break;
            }
        }
        assert!(self.handoff.leased.is_empty());
    }
}
