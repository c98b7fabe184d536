use super::event::Command;
use super::ledger::{Illegal, SlotKind};
use super::{Decider, Moment};
use crate::model::{Reason, RestartPolicy, RuntimeId, State};

/// How a runtime came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Of its own accord, and content with itself.
    Ordinary,
    Failure,
}

/// What ended by itself or failed, and whether it is replaced (P7).
impl Decider {
    /// It ended or must be ended whatever state it is in.
    pub(super) fn ended(
        &mut self,
        now: Moment,
        id: RuntimeId,
        reason: Reason,
        end: End,
        commands: &mut Vec<Command>,
    ) -> Result<(), Illegal> {
        match self.slot(id).map(|slot| slot.state) {
            None | Some(State::Retiring | State::Gone) => Ok(()),
            Some(state) if state.is_arriving() => self.launch_failed(now, id, end, commands),
            Some(State::Circulating) => {
                commands.push(Command::Condemn(id, reason));
                self.fail(now, id, reason, end, commands)
            }
            Some(_) => self.fail(now, id, reason, end, commands),
        }
    }

    pub(super) fn launch_failed(
        &mut self,
        now: Moment,
        id: RuntimeId,
        end: End,
        commands: &mut Vec<Command>,
    ) -> Result<(), Illegal> {
        if self.is_in(id, State::Retiring) {
            return Ok(());
        }
        let told_before = self.was_retired(id);
        self.retire(id, Reason::LaunchFailed, commands)?;
        if told_before || self.gives_up(id, end) {
            return Ok(());
        }
        let jitter = self.rng.f64();
        self.restart.launch_failed(now, jitter);
        Ok(())
    }

    pub(super) fn fail(
        &mut self,
        now: Moment,
        id: RuntimeId,
        reason: Reason,
        end: End,
        commands: &mut Vec<Command>,
    ) -> Result<(), Illegal> {
        let told_before = self.was_retired(id);
        self.retire(id, reason, commands)?;
        if !told_before && !self.gives_up(id, end) {
            self.restart.failed(now);
        }
        Ok(())
    }

    /// Whether a runtime that ended, and is retired for it, is not to be replaced; if so, the pool has one fewer from
    /// now on. One that makes room for a newer one is replaced whatever it does; one too many, or beyond `max`, never
    /// is, and takes nothing from the others.
    fn gives_up(&mut self, id: RuntimeId, end: End) -> bool {
        let gives_up = match self.spec.restart.policy {
            RestartPolicy::Always => false,
            RestartPolicy::OnFailure => end == End::Ordinary,
            RestartPolicy::Never => true,
        };
        let Some(slot) = self.slot(id).filter(|slot| slot.kind == SlotKind::Pooled) else { return gives_up };
        if slot.condemned.is_some() || slot.generation != self.generation {
            return false;
        }
        self.given_up += usize::from(gives_up && self.staying() < self.max());
        gives_up
    }

    /// Whether a step that a recovery took back had retired it: then its end has been counted.
    fn was_retired(&self, id: RuntimeId) -> bool {
        self.slot(id).is_some_and(|slot| slot.reason.is_some())
    }
}
