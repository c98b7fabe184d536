//! What becomes of runtimes.

use actix::Context;
use slog::crit;

use super::messages::RuntimeLost;
use super::{Supervisor, Takes};
use crate::actor::health::Verdict;
use crate::actor::runtime::{Report, Reported};
use crate::backend::Exit;
use crate::decide::Event;
use crate::model::{PoolName, RuntimeId, State};
use crate::observe::Change;

impl Supervisor {
    pub(super) fn trouble(&self, pool: &PoolName, cause: &str) {
        if let Some(pool) = self.estate.pools.get(pool) {
            pool.shared.board.set_trouble(Some(cause));
        }
    }

    fn is_in(&self, pool: &PoolName, id: RuntimeId, state: State) -> bool {
        self.estate.pools.get(pool).is_some_and(|pool| pool.state(id) == Some(state))
    }

    /// Makes the ticket of a runtime that has warmed up.
    pub(super) fn issue(&mut self, name: &PoolName, id: RuntimeId) {
        let now = self.clock.now();
        let Some(pool) = self.estate.pools.get_mut(name) else { return };
        let Some((handle, took)) = pool.issue(id, now) else { return };
        if pool.decider.given_up() == 0 {
            pool.shared.board.set_trouble(None);
        }
        if let Some(pool) = self.estate.pools.get(name) {
            self.watch(name, pool, id);
        }
        self.observe(name, Change::Ready { runtime: id, handle: handle.to_string(), took });
    }

    /// A runtime and its actor are no more.
    pub(super) fn bury(&mut self, name: &PoolName, id: RuntimeId) {
        if let Some(pool) = self.estate.pools.get_mut(name) {
            pool.members.remove(&id);
            pool.shared.board.charts.take_down(id);
        }
        self.observe(name, Change::Gone { runtime: id });
    }
}

impl Takes<Reported> for Supervisor {
    fn take(&mut self, reported: Reported, context: &mut Context<Self>) {
        let Reported { pool: name, id, number, report } = reported;
        let Some(member) = self.estate.pools.get_mut(&name).and_then(|pool| pool.member_mut(id)) else {
            return;
        };
        if number <= member.heard {
            return;
        }
        member.heard = number;
        let event = match report {
            Report::Launched => Event::Launched(id),
            Report::Booted => Event::Booted(id),
            Report::Warmed => {
                if !self.is_in(&name, id, State::Warming) {
                    return;
                }
                self.issue(&name, id);
                Event::Warmed(id)
            }
            Report::LaunchFailed(cause) => {
                self.trouble(&name, &format!("launch failed: {cause}"));
                self.observe(&name, Change::LaunchFailed { runtime: id, cause });
                Event::LaunchFailed(id)
            }
            Report::ResetDone { ended, took } => {
                // Asked for twice, when a supervisor started over between: it is leased again, and not clean.
                if member.ticket.as_ref().is_none_or(|ticket| ticket.epoch() != ended) {
                    return;
                }
                self.observe(&name, Change::Reset { runtime: id, took });
                Event::ResetDone(id)
            }
            Report::ResetFailed(cause) => {
                self.trouble(&name, &format!("reset failed: {cause}"));
                self.observe(&name, Change::ResetFailed { runtime: id, cause });
                Event::ResetFailed(id)
            }
            Report::Exited(exit) => {
                let event = if exit.is_ordinary() { Event::Finished(id) } else { Event::Exited(id) };
                let Exit { cause } = exit;
                self.trouble(&name, &format!("exited: {cause}"));
                self.observe(&name, Change::Exited { runtime: id, cause });
                event
            }
            Report::Survived(cause) => {
                self.trouble(&name, &format!("{id} survived its destruction: {cause}"));
                self.observe(&name, Change::Survived { runtime: id, cause });
                return;
            }
            Report::Gone => {
                self.bury(&name, id);
                Event::Gone(id)
            }
        };
        self.feed(context, &name, event);
    }
}

impl Takes<RuntimeLost> for Supervisor {
    fn take(&mut self, RuntimeLost { pool: name, id, cause }: RuntimeLost, context: &mut Context<Self>) {
        if !self.estate.pools.get(&name).is_some_and(|pool| pool.members.contains_key(&id)) {
            return;
        }
        self.note(&name, |log| crit!(log, "runtime actor lost"; "runtime" => %id, "cause" => &cause));
        self.trouble(&name, &cause);
        self.observe(&name, Change::Exited { runtime: id, cause });
        self.feed(context, &name, Event::Crashed(id));
        self.forget(&name, id);
        self.bury(&name, id);
    }
}

impl Takes<Verdict> for Supervisor {
    fn take(&mut self, Verdict { pool, id }: Verdict, context: &mut Context<Self>) {
        self.trouble(&pool, &format!("{id} failed its health probes"));
        self.feed(context, &pool, Event::Unhealthy(id));
    }
}
