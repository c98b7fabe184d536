//! One event in, what it decides carried out.

use std::collections::VecDeque;
use std::sync::Arc;

use actix::{AsyncContext, Context};
use slog::{error, info, o};

use super::Supervisor;
use super::member::Member;
use super::messages::{RuntimeLost, Wake};
use crate::actor::contain::Cradle;
use crate::actor::runtime::{Badge, Begin, Reset, Retire, Runtime};
use crate::decide::{Command, Event, Moment};
use crate::handoff::Ticket;
use crate::model::{PoolName, Reason, RuntimeId};
use crate::observe::Change;

/// Messages a runtime can have outstanding that are not the supervisor's own few.
const RUNTIME_MAILBOX: usize = 16;

impl Supervisor {
    /// Feeds one event to a pool, carries out what it decides, and feeds back what comes of that at once.
    pub(super) fn feed(&mut self, context: &mut Context<Self>, name: &PoolName, event: Event) {
        let now = self.clock.now();
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let Some(pool) = self.estate.pools.get_mut(name) else { return };
            match pool.step(now, event.clone()) {
                Ok(commands) => {
                    for command in commands {
                        self.pass(|| format!("{command:?}"));
                        self.carry_out(context, name, now, &command, &mut events);
                    }
                }
                // A defect of ours; the runtime in question stays where it was and nothing else is touched.
                Err(illegal) => self.note(name, |log| error!(log, "{illegal}"; "event" => ?event)),
            }
        }
        if let Some(pool) = self.estate.pools.get(name) {
            pool.publish();
        }
    }

    fn carry_out(
        &mut self,
        context: &mut Context<Self>,
        name: &PoolName,
        now: Moment,
        command: &Command,
        events: &mut VecDeque<Event>,
    ) {
        let Some(pool) = self.estate.pools.get_mut(name) else { return };
        match *command {
            Command::Launch(id) => {
                self.observe(name, Change::Launching { runtime: id });
                self.launch(name, id, now);
            }
            Command::Put(id) => {
                if let Some(ticket) = pool.member_mut(id).and_then(|member| member.ticket.take()) {
                    self.outside(|| ticket.put());
                }
            }
            Command::Reset(id) => {
                if let Some((member, ticket)) =
                    pool.member_mut(id).and_then(|m| Some((&m.address, m.ticket.as_ref()?)))
                {
                    member.do_send(Reset { ended: ticket.epoch() });
                }
            }
            Command::Retire(id, reason) => {
                let mut ticket = None;
                if let Some(member) = pool.member_mut(id) {
                    member.retiring = Some(reason);
                    ticket = member.ticket.take();
                    member.address.do_send(Retire { reason, fence: member.expired() });
                }
                self.forget(name, id);
                self.observe(name, Change::Retiring { runtime: id, reason });
                self.outside(|| drop(ticket));
            }
            Command::Condemn(id, reason) => {
                pool.condemn(id, reason);
                events.extend(self.withdraw_condemned(name, reason));
            }
            Command::Withdraw(reason) => {
                if let Some(ticket) = pool.shared.handoff.withdraw() {
                    events.push_back(Event::Withdrawn { id: pool.take_back(ticket), reason });
                }
            }
            Command::Watch(mark) => pool.shared.handoff.set_low_mark(mark),
            Command::WakeAt(at) => {
                if pool.wake_at.is_none_or(|earlier| at < earlier || earlier <= now) {
                    pool.wake_at = Some(at);
                    let pool = name.clone();
                    context.notify_later(Wake { pool }, at.saturating_sub(now));
                }
            }
            Command::Close => {
                let shared = Arc::clone(&pool.shared);
                self.outside(|| shared.handoff.close());
            }
            Command::Degraded(true) => {
                let cause = pool.why_degraded();
                pool.shared.board.set_degraded(Some(&cause));
                self.observe(name, Change::Degraded { cause: cause.clone() });
                self.note(name, |log| error!(log, "degraded"; "cause" => &cause));
            }
            // Not while the backend itself is in trouble.
            Command::Degraded(false) if pool.ailing => {}
            Command::Degraded(false) => {
                pool.shared.board.set_degraded(None);
                self.observe(name, Change::Healed);
                self.note(name, |log| info!(log, "healed"));
            }
            Command::Finished => {
                pool.finish();
                self.observe(name, Change::Drained);
                self.note(name, |log| info!(log, "drained"));
            }
        }
    }

    /// Keeps the condemned ones of the ready tickets. Others may find somebody who waits on their way back.
    pub(super) fn withdraw_condemned(&mut self, name: &PoolName, reason: Reason) -> Vec<Event> {
        let Some(shared) = self.estate.pools.get(name).map(|pool| Arc::clone(&pool.shared)) else {
            return Vec::new();
        };
        let withdrawn = self.outside(|| shared.handoff.withdraw_condemned());
        let Some(pool) = self.estate.pools.get_mut(name) else {
            // A successor hears of them as of all that comes home.
            withdrawn.into_iter().for_each(Ticket::put);
            return Vec::new();
        };
        let kept =
            withdrawn.into_iter().map(|ticket| Event::Withdrawn { id: pool.take_back(ticket), reason });
        kept.collect()
    }

    fn launch(&mut self, name: &PoolName, id: RuntimeId, now: Moment) {
        let Some(pool) = self.estate.pools.get_mut(name) else { return };
        let log = pool.log.new(o!("runtime" => id.to_string()));
        let badge = Arc::new(Badge::default());
        let runtime = Runtime::new(
            (name.clone(), id),
            Arc::clone(&pool.backend),
            Arc::clone(&pool.blueprint),
            self.chair.clone(),
            Arc::clone(&badge),
            self.faults.clone(),
            log,
        );
        let cradle = Cradle::new(RUNTIME_MAILBOX);
        let (address, supervisor, pool_name) = (cradle.address(), self.chair.clone(), name.clone());
        // Nothing that could panic comes between: an actor that nobody holds would have no end.
        pool.members.insert(id, Member::launching(address.clone(), badge, now));
        cradle.start(&self.stable, runtime, move |panicked| {
            if let Some(panicked) = panicked {
                supervisor.do_send(RuntimeLost { pool: pool_name, id, cause: panicked.to_string() });
            }
        });
        address.do_send(Begin);
    }
}
