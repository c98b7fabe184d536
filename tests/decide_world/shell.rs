use std::time::Duration;

use ostler::decide::{Command, Event, Fate};
use ostler::model::{PoolSpec, Reason, ResetPolicy, RuntimeId, State};

use super::{Due, Note, Place, Runtime, World};

/// Waiters beyond this are refused.
const QUEUE: usize = 20;

/// What the actors do: events in, commands out.
impl World {
    /// What an event says of a runtime's state by itself; the rest follows from the commands.
    pub(super) fn learn(&mut self, event: &Event) {
        match event {
            Event::Launched(id) => self.step_up(*id, State::Launching, State::Booting),
            Event::Booted(id) => self.step_up(*id, State::Booting, State::Warming),
            Event::Gone(id) => {
                self.runtimes.remove(id);
            }
            Event::Reconfigured(spec) if !spec.makes_the_same_as(self.decider.spec()) => self.generation += 1,
            Event::Drain => self.draining = true,
            Event::Crashed(id) if self.is_in_use(*id) => self.note(Note::Failure(*id)),
            _ => {}
        }
    }

    fn is_in_use(&self, id: RuntimeId) -> bool {
        self.runtimes.get(&id).is_some_and(|runtime| runtime.state != State::Retiring)
    }

    fn step_up(&mut self, id: RuntimeId, from: State, to: State) {
        if let Some(runtime) = self.runtimes.get_mut(&id)
            && runtime.state == from
        {
            runtime.state = to;
        }
    }

    pub(super) fn carry_out(&mut self, command: &Command) {
        match command {
            Command::Launch(id) => self.launch(*id),
            Command::Put(id) => self.put(*id),
            Command::Reset(id) => self.reset(*id),
            Command::Retire(id, reason) => self.retire(*id, *reason),
            Command::Condemn(id, reason) => self.condemn(*id, *reason),
            Command::Withdraw(reason) => self.withdraw(*reason),
            Command::Watch(mark) => {
                self.handoff.mark = *mark;
                self.signal();
            }
            Command::WakeAt(at) => {
                let delay = at.checked_sub(self.now).filter(|delay| !delay.is_zero());
                self.after(delay.expect("a wake-up in the past"), Due::WakeUp);
            }
            Command::Close => {
                self.handoff.close();
            }
            Command::Degraded(degraded) => self.note(Note::Degraded(*degraded)),
            Command::Finished => self.finished += 1,
        }
    }

    fn launch(&mut self, id: RuntimeId) {
        assert!(id > self.last_launched, "{id} was launched before");
        self.last_launched = id;
        self.note(Note::Launch(id));
        let runtime = Runtime {
            state: State::Launching,
            place: Place::Unborn,
            uses: 0,
            condemned: false,
            expired: false,
            generation: self.generation,
            operation: 0,
            crashed: false,
        };
        self.runtimes.insert(id, runtime);
        let steps = [Event::Launched(id), Event::Booted(id), Event::Warmed(id)];
        let fails_at = if self.chance(self.plan.launch_faults) { self.rng.usize(0..3) } else { 3 };
        let hangs_at = if self.chance(self.plan.launch_hangs) { self.rng.usize(0..3) } else { 3 };
        let mut at = Duration::ZERO;
        for (nth, step) in steps.into_iter().enumerate() {
            at += self.delay(self.plan.launch);
            if nth == fails_at || nth == hangs_at {
                let at = if nth == hangs_at { self.decider.spec().launch_timeout } else { at };
                return self.complete(id, at, Event::LaunchFailed(id));
            }
            self.complete(id, at, step);
        }
    }

    fn put(&mut self, id: RuntimeId) {
        assert!(!self.handoff.closed, "{id} put into a closed handoff");
        let leased = self.handoff.put(id);
        let warm = Note::Warm(id);
        let runtime = self.runtimes.get_mut(&id).expect("put: there is no such runtime");
        let at_hand = (runtime.place == Place::Unborn && runtime.state == State::Warming)
            || (runtime.place == Place::Hands && runtime.state != State::Retiring);
        assert!(at_hand, "{id} put while {runtime:?}");
        let first = runtime.state == State::Warming;
        runtime.state = State::Circulating;
        runtime.place = if leased { Place::Leased } else { Place::Ready };
        runtime.uses += u64::from(leased);
        if first {
            self.note(warm);
        }
    }

    fn reset(&mut self, id: RuntimeId) {
        let runtime = self.runtimes.get_mut(&id).expect("reset: there is no such runtime");
        assert!(runtime.place == Place::Hands && runtime.state == State::Circulating, "{id}: {runtime:?}");
        runtime.state = State::Resetting;
        runtime.operation += 1;
        let at = self.delay(self.plan.reset);
        if self.chance(self.plan.reset_faults) {
            self.complete(id, at, Event::ResetFailed(id));
        } else {
            self.complete(id, at, Event::ResetDone(id));
        }
    }

    fn retire(&mut self, id: RuntimeId, reason: Reason) {
        self.note(Note::Retire(id, reason));
        if reason.is_failure() {
            self.note(Note::Failure(id));
        }
        let runtime = self.runtimes.get_mut(&id).expect("retire: there is no such runtime");
        assert_ne!(runtime.state, State::Retiring, "{id} retired twice");
        assert_ne!(runtime.place, Place::Ready, "{id} could still be leased");
        runtime.state = State::Retiring;
        runtime.operation += 1;
        if runtime.place != Place::Leased {
            runtime.place = Place::Ended;
        }
        let at = self.delay(self.plan.retire);
        self.complete(id, at, Event::Gone(id));
    }

    fn condemn(&mut self, id: RuntimeId, reason: Reason) {
        let runtime = self.runtimes.get_mut(&id).expect("condemn: there is no such runtime");
        let news = reason.is_failure() || !runtime.condemned;
        assert!(news, "{id} condemned again: {reason}");
        runtime.condemned = true;
        if self.handoff.remove(id) {
            runtime.place = Place::Hands;
            self.taken.push(id);
            self.queue(Event::Withdrawn { id, reason });
        }
    }

    fn withdraw(&mut self, reason: Reason) {
        if let Some(id) = self.handoff.pop() {
            if let Some(runtime) = self.runtimes.get_mut(&id) {
                runtime.place = Place::Hands;
            }
            self.queue(Event::Withdrawn { id, reason });
        }
    }

    /// Someone asks for a lease: at once from the ready ones, or as a waiter.
    pub(crate) fn lease(&mut self) {
        self.ask(false);
    }

    fn ask(&mut self, wishes: bool) {
        if self.handoff.closed || self.handoff.waiters == QUEUE {
            return;
        }
        if let Some(id) = self.handoff.pop() {
            let runtime = self.runtimes.get_mut(&id).expect("a ready ticket without a runtime");
            assert!(!runtime.condemned, "{id} was leased though condemned");
            runtime.place = Place::Leased;
            runtime.uses += 1;
            self.handoff.leased.push(id);
        } else {
            self.handoff.wait(wishes);
        }
        self.signal();
    }

    pub(crate) fn lease_with_overflow(&mut self) {
        let waiting = self.handoff.waiters;
        self.ask(true);
        if self.handoff.waiters > waiting {
            self.queue(Event::OverflowWanted);
        }
    }

    pub(crate) fn give_up(&mut self) {
        self.handoff.give_up();
    }

    /// The `nth` lease ends. Without a reset to do, its ticket need not go by the supervisor.
    pub(crate) fn release(&mut self, nth: usize, fate: Fate) {
        if self.handoff.leased.is_empty() {
            return;
        }
        let id = self.handoff.leased.swap_remove(nth % self.handoff.leased.len());
        let expired = self.runtimes.get(&id).is_some_and(|runtime| runtime.expired);
        let fate = if expired { Fate::Quarantined } else { fate };
        let spec = self.decider.spec();
        let (bare, max_uses) = (spec.reset == ResetPolicy::None, spec.max_uses);
        let mut uses = 1;
        if let Some(runtime) = self.runtimes.get_mut(&id) {
            uses = runtime.uses;
            runtime.place = Place::Hands;
            let uses_left = max_uses.is_none_or(|max| uses < max);
            let fit = !runtime.condemned && fate == Fate::Used && uses_left;
            if bare && fit && !self.handoff.closed {
                return self.put(id);
            }
        }
        self.queue(Event::Returned { id, uses, fate });
    }

    /// The `nth` lease has been held for too long.
    pub(crate) fn expire(&mut self, nth: usize) {
        let Some(id) = self.handoff.leased.get(nth % self.handoff.leased.len().max(1)).copied() else {
            return;
        };
        if let Some(runtime) = self.runtimes.get_mut(&id) {
            runtime.expired = true;
            self.queue(Event::LeaseExpired(id));
        }
    }

    /// The actor of a runtime dies; nothing more is heard of it but that.
    pub(crate) fn crash(&mut self, id: RuntimeId) {
        if let Some(runtime) = self.runtimes.get_mut(&id)
            && !runtime.crashed
        {
            runtime.crashed = true;
            self.queue(Event::Crashed(id));
        }
    }

    pub(super) fn bury(&mut self, id: RuntimeId) {
        if let Some(runtime) = self.runtimes.remove(&id) {
            assert_ne!(runtime.place, Place::Ready, "{id} could still be leased");
        }
    }

    pub(crate) fn reconfigure(&mut self, change: impl FnOnce(&mut PoolSpec)) {
        let mut spec = self.decider.spec().clone();
        change(&mut spec);
        self.queue(Event::Reconfigured(Box::new(spec)));
    }

    fn signal(&mut self) {
        if self.handoff.signals() {
            self.queue_tick();
        }
    }

    fn complete(&mut self, id: RuntimeId, delay: Duration, event: Event) {
        let operation = self.runtimes.get(&id).map_or(0, |runtime| runtime.operation);
        self.after(delay, Due::Completion(id, operation, event));
    }

    fn delay(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(2.0 * self.rng.f64())
    }

    fn chance(&mut self, per_cent: u8) -> bool {
        self.rng.u8(0..100) < per_cent
    }
}
