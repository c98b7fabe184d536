use super::Moment;
use super::event::{Command, Event, Fate, Stock};
use super::expiry::Expiry;
use super::ledger::{Illegal, Ledger, Slot, SlotKind};
use super::restart::Restart;
use super::warmth::Warmth;
use crate::model::{PoolSpec, Reason, ResetPolicy, RuntimeId, State};

/// Decides for one pool.
#[derive(Clone, Debug)]
pub struct Decider {
    pub(super) spec: PoolSpec,
    pub(super) ledger: Ledger,
    pub(super) restart: Restart,
    pub(super) rng: fastrand::Rng,
    pub(super) expiry: Expiry,
    /// Leases that wait with overflow allowed and have not been launched for.
    pub(super) overflow_wanted: usize,
    generation: u64,
    warmth: Warmth,
    /// Ready runtimes found unneeded that have not been withdrawn yet.
    unneeded: usize,
    next_id: u64,
    phase: Phase,
    watched: Option<Option<usize>>,
    degraded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    Draining,
    Finished,
}

impl Decider {
    /// A pool with no runtime yet. The first event launches `min` of them.
    #[must_use]
    pub fn new(spec: PoolSpec, now: Moment, seed: u64) -> Self {
        Self {
            restart: Restart::new(spec.restart),
            spec,
            ledger: Ledger::default(),
            rng: fastrand::Rng::with_seed(seed),
            expiry: Expiry::default(),
            overflow_wanted: 0,
            generation: 0,
            warmth: Warmth::new(now),
            unneeded: 0,
            next_id: 1,
            phase: Phase::Serving,
            watched: None,
            degraded: false,
        }
    }

    /// Takes one event and says what must be done.
    ///
    /// # Errors
    /// When the event asks for a transition that does not exist. Nothing has changed then, and nothing is to be
    /// done; it is a defect of the caller, to be logged.
    pub fn step(&mut self, now: Moment, stock: Stock, event: Event) -> Result<Vec<Command>, Illegal> {
        let mut commands = Vec::new();
        self.take(now, stock, event, &mut commands)?;
        if let Some(reason) = self.excess(stock) {
            commands.push(Command::Withdraw(reason));
        }
        if self.phase == Phase::Serving {
            self.replace_old(now, stock, &mut commands);
            self.overflow(now, stock, &mut commands);
            self.fill(now, stock, &mut commands);
            self.watch(&mut commands);
        } else if self.phase == Phase::Draining && self.ledger.is_empty() {
            self.phase = Phase::Finished;
            commands.push(Command::Finished);
        }
        let degraded = self.restart.is_degraded();
        if degraded != self.degraded {
            self.degraded = degraded;
            commands.push(Command::Degraded(degraded));
        }
        Ok(commands)
    }

    /// Who is where.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The settings in force.
    #[must_use]
    pub fn spec(&self) -> &PoolSpec {
        &self.spec
    }

    /// Whether launches fail so that the pool can't keep its promise.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.degraded
    }

    fn take(
        &mut self,
        now: Moment,
        stock: Stock,
        event: Event,
        commands: &mut Vec<Command>,
    ) -> Result<(), Illegal> {
        match event {
            Event::Tick { lowest } => self.trim(now, stock, lowest),
            Event::Launched(id) => self.advance(id, State::Booting)?,
            Event::Booted(id) => self.advance(id, State::Warming)?,
            Event::Warmed(id) => self.warmed(stock, id, commands)?,
            Event::LaunchFailed(id) => self.launch_failed(now, id, commands)?,
            Event::Returned { id, uses, fate } => self.returned(now, id, uses, fate, commands)?,
            Event::Withdrawn { id, reason } => {
                if self.is_in(id, State::Circulating) {
                    self.retire(id, reason, commands)?;
                }
            }
            Event::ResetDone(id) => self.reset_done(now, id, commands)?,
            Event::ResetFailed(id) => {
                if self.is_in(id, State::Resetting) {
                    self.fail(now, id, Reason::ResetFailed, commands)?;
                }
            }
            Event::Exited(id) => self.ended(now, id, Reason::Exited, commands)?,
            Event::Unhealthy(id) => self.ended(now, id, Reason::Unhealthy, commands)?,
            Event::Crashed(id) => {
                self.ended(now, id, Reason::Exited, commands)?;
                // There is nobody left to carry it out.
                commands.retain(|command| !matches!(command, Command::Retire(whose, _) if *whose == id));
                self.ledger.transition(id, State::Gone)?;
            }
            Event::Gone(id) => self.ledger.transition(id, State::Gone)?,
            Event::OverflowWanted => self.overflow_wanted += 1,
            Event::Reconfigured(spec) => self.reconfigure(now, *spec),
            Event::Drain => self.drain(State::is_arriving, commands)?,
            Event::DrainNow => self.drain(|state| state != State::Retiring, commands)?,
        }
        Ok(())
    }

    /// Steps on the way up are not errors when the runtime has been retired meanwhile.
    fn advance(&mut self, id: RuntimeId, to: State) -> Result<(), Illegal> {
        if self.is_in(id, State::Retiring) { Ok(()) } else { self.ledger.transition(id, to) }
    }

    fn warmed(&mut self, stock: Stock, id: RuntimeId, commands: &mut Vec<Command>) -> Result<(), Illegal> {
        if self.is_in(id, State::Retiring) {
            return Ok(());
        }
        self.ledger.transition(id, State::Circulating)?;
        self.restart.succeeded();
        let overflow = self.slot(id).is_some_and(|slot| slot.kind == SlotKind::Overflow);
        if overflow && stock.waiters == 0 {
            return self.retire(id, Reason::Overflow, commands);
        }
        commands.push(Command::Put(id));
        Ok(())
    }

    fn launch_failed(
        &mut self,
        now: Moment,
        id: RuntimeId,
        commands: &mut Vec<Command>,
    ) -> Result<(), Illegal> {
        if self.is_in(id, State::Retiring) {
            return Ok(());
        }
        self.retire(id, Reason::LaunchFailed, commands)?;
        let jitter = self.rng.f64();
        self.restart.launch_failed(now, jitter);
        Ok(())
    }

    fn returned(
        &mut self,
        now: Moment,
        id: RuntimeId,
        uses: u64,
        fate: Fate,
        commands: &mut Vec<Command>,
    ) -> Result<(), Illegal> {
        if !self.is_in(id, State::Circulating) {
            return Ok(());
        }
        let used_up = self.spec.max_uses.is_some_and(|max| uses >= max);
        if fate == Fate::Quarantined {
            self.retire(id, Reason::Quarantined, commands)
        } else if let Some(reason) = self.must_go(now, id) {
            self.retire(id, reason, commands)
        } else if used_up {
            self.retire(id, Reason::UsedUp, commands)
        } else if self.spec.reset == ResetPolicy::None {
            commands.push(Command::Put(id));
            Ok(())
        } else {
            self.ledger.transition(id, State::Resetting)?;
            commands.push(Command::Reset(id));
            Ok(())
        }
    }

    fn reset_done(&mut self, now: Moment, id: RuntimeId, commands: &mut Vec<Command>) -> Result<(), Illegal> {
        if !self.is_in(id, State::Resetting) {
            return Ok(());
        }
        match self.must_go(now, id) {
            Some(reason) => self.retire(id, reason, commands),
            None => {
                self.ledger.transition(id, State::Circulating)?;
                commands.push(Command::Put(id));
                Ok(())
            }
        }
    }

    /// It ended or must be ended whatever state it is in, and that is a failure.
    fn ended(
        &mut self,
        now: Moment,
        id: RuntimeId,
        reason: Reason,
        commands: &mut Vec<Command>,
    ) -> Result<(), Illegal> {
        match self.slot(id).map(|slot| slot.state) {
            None | Some(State::Retiring | State::Gone) => Ok(()),
            Some(state) if state.is_arriving() => self.launch_failed(now, id, commands),
            Some(State::Circulating) => {
                commands.push(Command::Condemn(id, reason));
                self.fail(now, id, reason, commands)
            }
            Some(_) => self.fail(now, id, reason, commands),
        }
    }

    fn fail(
        &mut self,
        now: Moment,
        id: RuntimeId,
        reason: Reason,
        commands: &mut Vec<Command>,
    ) -> Result<(), Illegal> {
        self.retire(id, reason, commands)?;
        self.restart.failed(now);
        Ok(())
    }

    fn retire(&mut self, id: RuntimeId, reason: Reason, commands: &mut Vec<Command>) -> Result<(), Illegal> {
        self.ledger.transition(id, State::Retiring)?;
        if let Some(slot) = self.ledger.get_mut(id) {
            slot.reason = Some(reason);
            self.expiry.forget(id, slot.aged_at);
        }
        commands.push(Command::Retire(id, reason));
        Ok(())
    }

    /// Why a runtime whose ticket is at hand must not go on, if it must not.
    fn must_go(&self, now: Moment, id: RuntimeId) -> Option<Reason> {
        let slot = self.slot(id)?;
        let too_many = self.ledger.total(SlotKind::Pooled) > self.spec.max;
        if self.phase != Phase::Serving {
            Some(Reason::Drained)
        } else if slot.kind == SlotKind::Overflow {
            Some(Reason::Overflow)
        } else if slot.condemned.is_some() {
            slot.condemned
        } else if slot.generation != self.generation {
            Some(Reason::SpecChanged)
        } else if slot.aged_at.is_some_and(|at| at <= now) {
            Some(Reason::Aged)
        } else {
            too_many.then_some(Reason::Drained)
        }
    }

    fn trim(&mut self, now: Moment, stock: Stock, lowest: usize) {
        let Some(idle_timeout) = self.spec.idle_timeout else { return };
        let idle = self.warmth.observe(now, lowest.min(stock.ready), idle_timeout);
        self.unneeded += idle.saturating_sub(self.spec.min + self.unneeded);
    }

    /// Whether one ready runtime must go, and why. Asked after every step, so the next one follows when this
    /// one has been withdrawn.
    fn excess(&mut self, stock: Stock) -> Option<Reason> {
        if stock.ready == 0 {
            return None;
        }
        if self.phase != Phase::Serving {
            return Some(Reason::Drained);
        }
        let staying =
            self.ledger.total(SlotKind::Pooled) - self.ledger.count_of(SlotKind::Pooled, State::Retiring);
        if staying > self.spec.max {
            return Some(Reason::Drained);
        }
        if self.unneeded == 0 {
            return None;
        }
        self.unneeded -= 1;
        (stock.ready > self.spec.min).then_some(Reason::Idle)
    }

    fn reconfigure(&mut self, now: Moment, spec: PoolSpec) {
        if !spec.makes_the_same_as(&self.spec) {
            self.generation += 1;
            for (id, slot) in self.ledger.iter() {
                if slot.kind == SlotKind::Pooled && slot.state != State::Retiring && slot.condemned.is_none()
                {
                    self.expiry.is_outdated(id);
                }
            }
        }
        self.restart.set_spec(spec.restart);
        self.warmth = Warmth::new(now);
        self.spec = spec;
    }

    /// Closes the pool and retires at once those in a state that `at_once` picks; the others go as they come free.
    fn drain(&mut self, at_once: impl Fn(State) -> bool, commands: &mut Vec<Command>) -> Result<(), Illegal> {
        if self.phase == Phase::Serving {
            self.phase = Phase::Draining;
            commands.push(Command::Close);
        }
        let going: Vec<_> =
            self.ledger.iter().filter(|(_, slot)| at_once(slot.state)).map(|(id, _)| id).collect();
        for id in going {
            self.retire(id, Reason::Drained, commands)?;
        }
        Ok(())
    }

    /// The handoff need only call when something can be launched for it.
    fn watch(&mut self, commands: &mut Vec<Command>) {
        let room = self.ledger.total(SlotKind::Pooled) < self.spec.max;
        let mark = room.then_some(self.spec.min);
        if self.watched != Some(mark) {
            self.watched = Some(mark);
            commands.push(Command::Watch(mark));
        }
    }

    pub(super) fn new_slot(&mut self, now: Moment, kind: SlotKind) -> RuntimeId {
        let id = RuntimeId(self.next_id);
        self.next_id += 1;
        // A tenth of spread keeps runtimes made together from going together.
        let spread = 1.0 - self.rng.f64() / 10.0;
        let slot = Slot {
            state: State::Launching,
            kind,
            generation: self.generation,
            aged_at: self.spec.max_lifetime.map(|age| now + age.mul_f64(spread)),
            condemned: None,
            reason: None,
        };
        match (kind, slot.aged_at) {
            (SlotKind::Overflow, _) => self.expiry.is_stray(id),
            (SlotKind::Pooled, Some(at)) => self.expiry.ages(id, at),
            (SlotKind::Pooled, None) => {}
        }
        self.ledger.add(id, slot);
        id
    }

    fn slot(&self, id: RuntimeId) -> Option<&Slot> {
        self.ledger.get(id)
    }

    fn is_in(&self, id: RuntimeId, state: State) -> bool {
        // A ticket can come back after its runtime is gone; that is the same as after it began to go.
        match self.slot(id) {
            Some(slot) => slot.state == state,
            None => state == State::Retiring && id.0 < self.next_id,
        }
    }
}
