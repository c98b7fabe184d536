use super::Moment;
use super::ending::End;
use super::event::{Command, Event, Fate, Stock};
use super::expiry::Expiry;
use super::ledger::{Illegal, Ledger, Slot, SlotKind};
use super::replace::Swap;
use super::restart::{Restart, Strain};
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
    /// Leases that wait with overflow allowed, as of the last step.
    pub(super) overflow_wanted: usize,
    pub(super) generation: u64,
    pub(super) warmth: Warmth,
    /// Ready runtimes found unneeded that have not been withdrawn yet.
    pub(super) unneeded: usize,
    pub(super) swap: Option<Swap>,
    pub(super) next_id: u64,
    pub(super) phase: Phase,
    pub(super) watched: Option<usize>,
    pub(super) wakes_at: Option<Moment>,
    /// Runtimes that ended and are not replaced, as the settings want it, since these were last set.
    pub(super) given_up: usize,
    degraded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
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
            swap: None,
            next_id: 1,
            phase: Phase::Serving,
            watched: None,
            wakes_at: None,
            given_up: 0,
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
        let may_be_too_many = matches!(
            event,
            Event::Tick { .. } | Event::Withdrawn { .. } | Event::Reconfigured(_) | Event::Drain
        );
        self.take(now, stock, event, &mut commands)?;
        let mut stock = stock.after(&commands);
        if may_be_too_many {
            self.withdraw(&mut stock, &mut commands);
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
        let degraded = self.strain().is_some();
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

    /// Runtimes that ended and are not replaced, as the settings want it.
    #[must_use]
    pub fn given_up(&self) -> usize {
        self.given_up
    }

    /// Whether launches fail, or some are given up, so that the pool can't keep its promise.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.degraded
    }

    /// By what.
    #[must_use]
    pub fn strain(&self) -> Option<Strain> {
        if self.phase != Phase::Serving {
            return None;
        }
        let given_up = (self.given_up > 0).then_some(Strain::GivenUp(self.given_up));
        // Where nothing is to be launched, no launch will show that they succeed again.
        let launches = || self.restart.strain().filter(|_| self.may_launch());
        given_up.or_else(launches)
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
            Event::LaunchFailed(id) => self.launch_failed(now, id, End::Failure, commands)?,
            Event::Returned { id, uses, fate } => self.returned(now, id, uses, fate, commands)?,
            Event::Withdrawn { id, reason } => {
                if self.is_in(id, State::Circulating) {
                    match self.why_withdrawn(stock, id, reason) {
                        Some(reason) => self.retire(id, reason, commands)?,
                        None => commands.push(Command::Put(id)),
                    }
                }
            }
            Event::LeaseExpired(id) => {
                if self.is_in(id, State::Circulating) {
                    self.retire(id, Reason::LeaseExpired, commands)?;
                }
            }
            Event::ResetDone(id) => self.reset_done(now, id, commands)?,
            Event::ResetFailed(id) => {
                if self.is_in(id, State::Resetting) {
                    self.fail(now, id, Reason::ResetFailed, End::Failure, commands)?;
                }
            }
            Event::Exited(id) => self.ended(now, id, Reason::Exited, End::Failure, commands)?,
            Event::Finished(id) => self.ended(now, id, Reason::Exited, End::Ordinary, commands)?,
            Event::Unhealthy(id) => self.ended(now, id, Reason::Unhealthy, End::Failure, commands)?,
            Event::Crashed(id) => {
                self.ended(now, id, Reason::Exited, End::Failure, commands)?;
                // There is nobody left to carry it out.
                commands.retain(|command| !matches!(command, Command::Retire(whose, _) if *whose == id));
                if !self.is_gone(id) {
                    self.enter(id, State::Gone)?;
                }
            }
            Event::Gone(id) => self.enter(id, State::Gone)?,
            Event::OverflowWanted => {}
            Event::Reconfigured(spec) => self.reconfigure(*spec, commands)?,
            Event::Drain => {
                self.drain(|state| state.is_arriving() || state == State::Resetting, commands)?;
            }
            Event::DrainNow => self.drain(|state| state != State::Retiring, commands)?,
        }
        Ok(())
    }

    /// Steps on the way up are not errors when the runtime has been retired meanwhile.
    fn advance(&mut self, id: RuntimeId, to: State) -> Result<(), Illegal> {
        if self.is_in(id, State::Retiring) { Ok(()) } else { self.enter(id, to) }
    }

    fn warmed(&mut self, stock: Stock, id: RuntimeId, commands: &mut Vec<Command>) -> Result<(), Illegal> {
        if self.is_in(id, State::Retiring) {
            return Ok(());
        }
        self.enter(id, State::Circulating)?;
        self.restart.succeeded();
        let overflow = self.is_overflow(id);
        if overflow && stock.waiters == 0 {
            return self.retire(id, Reason::Overflow, commands);
        }
        commands.push(Command::Put(id));
        if overflow {
            // One lease and no more. If the waiter is gone by now, it does not lie about either.
            self.condemn(id, Reason::Overflow, commands);
        }
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
            self.enter(id, State::Resetting)?;
            commands.push(Command::Reset(id));
            Ok(())
        }
    }

    fn reset_done(&mut self, now: Moment, id: RuntimeId, commands: &mut Vec<Command>) -> Result<(), Illegal> {
        if !self.is_in(id, State::Resetting) {
            return Ok(());
        }
        if let Some(reason) = self.must_go(now, id) {
            return self.retire(id, reason, commands);
        }
        self.enter(id, State::Circulating)?;
        commands.push(Command::Put(id));
        Ok(())
    }

    /// Runtimes that there may be, less those that are not replaced.
    pub(super) fn max(&self) -> usize {
        self.spec.max.saturating_sub(self.given_up)
    }

    /// Runtimes to keep ready, as far as there may be so many.
    pub(super) fn min(&self) -> usize {
        self.spec.min.min(self.max())
    }

    pub(super) fn retire(
        &mut self,
        id: RuntimeId,
        reason: Reason,
        commands: &mut Vec<Command>,
    ) -> Result<(), Illegal> {
        self.enter(id, State::Retiring)?;
        if let Some(slot) = self.ledger.get_mut(id) {
            slot.reason = Some(reason);
        }
        commands.push(Command::Retire(id, reason));
        Ok(())
    }

    /// Moves a runtime on; `expiry` follows.
    fn enter(&mut self, id: RuntimeId, to: State) -> Result<(), Illegal> {
        self.ledger.transition(id, to)?;
        if let Some(slot) = self.ledger.get(id) {
            if to == State::Circulating {
                self.expiry.watch(id, slot, self.generation);
            } else {
                self.expiry.forget(id, slot);
            }
        }
        Ok(())
    }

    /// Why a runtime whose ticket is at hand must not go on, if it must not.
    fn must_go(&self, now: Moment, id: RuntimeId) -> Option<Reason> {
        let slot = self.slot(id)?;
        if self.phase != Phase::Serving {
            Some(Reason::Drained)
        } else if slot.condemned.is_some() {
            slot.condemned
        } else if slot.generation != self.generation {
            Some(Reason::SpecChanged)
        } else if slot.aged_at.is_some_and(|at| at <= now) {
            Some(Reason::Aged)
        } else {
            self.is_above_max().then_some(Reason::Drained)
        }
    }

    pub(super) fn slot(&self, id: RuntimeId) -> Option<&Slot> {
        self.ledger.get(id)
    }

    fn is_overflow(&self, id: RuntimeId) -> bool {
        self.slot(id).is_some_and(|slot| slot.kind == SlotKind::Overflow)
    }

    fn is_gone(&self, id: RuntimeId) -> bool {
        self.slot(id).is_none() && id.0 < self.next_id
    }

    pub(super) fn is_in(&self, id: RuntimeId, state: State) -> bool {
        // A ticket can come back after its runtime is gone; that is the same as after it began to go.
        match self.slot(id) {
            Some(slot) => slot.state == state,
            None => state == State::Retiring && self.is_gone(id),
        }
    }
}
