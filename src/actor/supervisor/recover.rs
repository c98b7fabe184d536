//! Starting over after a panic in a handler, or in the place of a supervisor that hangs.
//!
//! Nothing that the decider believed is believed any more. Where each runtime stands, its actor says on its
//! badge; where each ticket is, its tether and the handoff say; what is wanted, the settings say. Of the
//! decider only what nobody else can know is kept: how old each runtime is and what it counts against, the
//! failures of the last window, the totals. The mailbox is whole, for the panic never reached it; that of one that hangs
//! is lost, and nothing with it that does not show elsewhere. What had been reported before is not heard twice.

use std::sync::Arc;

use actix::{AsyncContext, Context};
use slog::crit;

use super::messages::TakeOver;
use super::standing::Standing;
use super::{Supervisor, Takes};
use crate::actor::contain::{Panicked, RESTART_PAUSE, catch};
use crate::actor::runtime::Retire;
use crate::decide::Event;
use crate::model::{PoolName, Reason, State};
use crate::observe::Change;

impl Supervisor {
    /// Starts over, however often that takes.
    pub(super) fn recover_from(&mut self, cause: &str, context: &mut Context<Self>) {
        let log = self.log.clone();
        // A logger may be what has panicked.
        let _: Result<(), Panicked> =
            catch(|| self.outside(|| crit!(log, "supervisor starts over"; "cause" => cause)));
        self.take_up();
        if let Err(again) = catch(|| self.recover(cause, context)) {
            context.run_later(RESTART_PAUSE, move |supervisor, context| {
                if supervisor.take_up() {
                    supervisor.recover_from(&again.to_string(), context);
                    supervisor.lay_down();
                }
            });
            self.take_up();
        }
    }

    fn recover(&mut self, cause: &str, context: &mut Context<Self>) {
        let names: Vec<_> = self.estate.pools.keys().cloned().collect();
        for name in names {
            self.observe(&name, Change::Recovered { cause: cause.to_owned() });
            self.recover_pool(context, &name);
        }
        self.watch_all();
    }

    fn recover_pool(&mut self, context: &mut Context<Self>, name: &PoolName) {
        let Some(pool) = self.estate.pools.get_mut(name) else { return };
        pool.bring_home_returned();
        let standings = pool.standings();
        let states = standings.iter().map(|(id, standing)| (*id, standing.state()));
        let condemned = pool.decider.recover(pool.shared.settings().spec.clone(), states);
        pool.wake_at = None;
        let cause = pool.decider.is_degraded().then(|| pool.why_degraded());
        if cause.is_some() || !pool.ailing {
            pool.shared.board.set_degraded(cause.as_deref());
        }
        pool.shared.handoff.set_low_mark(None);
        pool.shared.handoff.rearm();
        for (id, reason) in condemned {
            pool.condemn(id, reason);
        }
        if pool.decider.is_closed() {
            let shared = Arc::clone(&pool.shared);
            self.outside(|| shared.handoff.close());
        }
        for (id, standing) in standings {
            let Some(pool) = self.estate.pools.get_mut(name) else { return };
            let event = match standing {
                Standing::Settled(_) => continue,
                Standing::Retiring => {
                    if let Some(member) = pool.member_mut(id) {
                        let reason = member.retiring.unwrap_or(Reason::Drained);
                        member.address.do_send(Retire { reason, fence: member.expired() });
                    }
                    continue;
                }
                Standing::Fallen(_) => Event::Exited(id),
                Standing::Warm => {
                    self.issue(name, id);
                    Event::Warmed(id)
                }
                Standing::Clean => Event::ResetDone(id),
                Standing::Used => match pool.as_returned(id) {
                    Some(returned) => returned,
                    None => continue,
                },
                Standing::Lost(_) => {
                    let cause = "lost in a panic of the supervisor".to_owned();
                    self.trouble(name, &cause);
                    self.observe(name, Change::Exited { runtime: id, cause });
                    Event::Exited(id)
                }
                Standing::Dead(state) => {
                    self.forget(name, id);
                    if state != State::Retiring {
                        self.feed(context, name, Event::Exited(id));
                    }
                    self.bury(name, id);
                    Event::Gone(id)
                }
            };
            self.feed(context, name, event);
        }
        let events = self.withdraw_condemned(name, Reason::Drained);
        if let Some(pool) = self.estate.pools.get(name) {
            let lowest = pool.shared.handoff.stock().ready;
            for event in events.into_iter().chain([Event::Tick { lowest }]) {
                self.feed(context, name, event);
            }
        }
    }
}

impl Takes<TakeOver> for Supervisor {
    fn take(&mut self, TakeOver { cause }: TakeOver, context: &mut Context<Self>) {
        self.recover_from(&cause, context);
    }
}
