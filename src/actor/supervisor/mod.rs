//! The supervisor: owns each pool's state, turns messages into events for [`Decider`](crate::decide::Decider) and
//! commands into messages for everybody else. It decides nothing itself and never waits.
//!
//! A panic in one of its handlers goes no further than that handler: the supervisor [starts over](recover), with
//! the same mailbox, so that nobody else has to notice. (Were the actor to die, actix would drop its mailbox, and
//! every ticket on its way home with it.)
//!
//! One that hangs is replaced by its [office](super::office). What it is responsible for [lies ready](Term) for the next
//! whenever it waits for a message or runs what is not its own: a logger, a backend, a waiter's waker. All that is left
//! is its own code, which does not wait. The next one takes it and starts over in the same way.

mod charter;
mod commands;
mod member;
mod messages;
mod news;
mod pool;
mod recover;
mod reports;
mod requests;
mod standing;
mod term;
mod tickets;
mod watchers;

use std::mem;
use std::sync::Arc;

use actix::dev::MessageResponse;
use actix::{Actor, ActorContext, Context, Handler, Message};
use slog::Logger;
use tokio::runtime::Handle;

use super::chair::Chair;
use super::clock::Clock;
use super::contain::{Place, Takes, catch};
use super::faults::{Faults, after, before};
use super::metrics::Audience;
use crate::model::PoolName;

pub(crate) use charter::Charter;
pub(super) use messages::{Attend, LookAlive, TakeOver, Unwatched};
pub(crate) use messages::{Drain, DrainNow, Inspect, LetGo, MadeBy, OpenPool, Reconfigure, Resize};
pub(super) use term::{Estate, Term};

/// What every supervisor is made from.
#[derive(Clone)]
pub(super) struct Founding {
    pub(super) clock: Arc<Clock>,
    pub(super) audience: Arc<Audience>,
    /// Where Runtimes live.
    pub(super) stable: Place,
    /// Where their I/O is done, and that of whoever has no tokio runtime.
    pub(super) runtime: Handle,
    pub(super) faults: Faults,
    pub(super) log: Logger,
}

/// State: every pool. Receives requests from the public face, [`Reported`](super::runtime::Reported) from
/// runtimes, [`Returned`](messages::Returned) and [`StockLow`](messages::StockLow) from the handoff,
/// [`Verdict`](super::health::Verdict) from Health, [`Ticked`](super::maintenance::Ticked) from Maintenance,
/// [`LookAlive`] and [`TakeOver`] from its [`Office`](super::office); sends
/// [`Begin`](super::runtime::Begin), [`Reset`](super::runtime::Reset), [`Retire`](super::runtime::Retire) to
/// runtimes, [`Watch`](super::health::Watch) and [`Forget`](super::health::Forget) to Health,
/// [`Observed`](super::metrics::Observed) to Metrics.
pub(crate) struct Supervisor {
    /// Empty while it lies in the term, and for good once a successor has taken it from there.
    estate: Estate,
    in_hand: bool,
    term: Arc<Term>,
    chair: Chair,
    clock: Arc<Clock>,
    audience: Arc<Audience>,
    stable: Place,
    faults: Faults,
    log: Logger,
}

impl Supervisor {
    pub(super) fn new(founding: Founding, chair: Chair, term: Arc<Term>, estate: Estate) -> Self {
        let Founding { clock, audience, stable, faults, log, .. } = founding;
        term.lay_down(estate);
        Self { estate: Estate::default(), in_hand: false, term, chair, clock, audience, stable, faults, log }
    }

    /// Answers whether it is still in office. Without an estate it knows no pool, and so does nothing.
    fn take_up(&mut self) -> bool {
        if !self.in_hand
            && let Some(estate) = self.term.take()
        {
            self.estate = estate;
            self.in_hand = true;
        }
        self.in_hand
    }

    fn lay_down(&mut self) {
        if mem::take(&mut self.in_hand) {
            self.term.lay_down(mem::take(&mut self.estate));
        }
    }

    /// Runs what is not ours and may never end: meanwhile a successor can take over.
    fn outside<T>(&mut self, run: impl FnOnce() -> T) -> T {
        self.lay_down();
        let result = run();
        self.take_up();
        result
    }

    /// Writes in a pool's log.
    fn note(&mut self, pool: &PoolName, write: impl FnOnce(&Logger)) {
        if let Some(log) = self.estate.pools.get(pool).map(|pool| pool.log.clone()) {
            self.outside(|| write(&log));
        }
    }

    fn pass(&mut self, point: impl FnOnce() -> String) {
        if !self.faults.is_none() {
            let faults = self.faults.clone();
            self.outside(|| faults.pass("Supervisor", point));
        }
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;
}

/// Every message goes this way, so that a panic over any of them ends here.
impl<M> Handler<M> for Supervisor
where
    M: Message,
    M::Result: Default + MessageResponse<Self, M>,
    Self: Takes<M>,
{
    type Result = M::Result;

    fn handle(&mut self, message: M, context: &mut Context<Self>) -> M::Result {
        self.term.beat();
        let take = || {
            self.take_up();
            self.pass(before::<M>);
            let result = self.in_hand.then(|| self.take(message, context));
            self.pass(after::<M>);
            result
        };
        let result = match catch(take) {
            Ok(result) => result.unwrap_or_default(),
            Err(panicked) => {
                if self.take_up() {
                    self.recover_from(&panicked.to_string(), context);
                }
                M::Result::default()
            }
        };
        if !self.in_hand {
            // There is another one, who finds all that was not done here.
            context.stop();
        }
        self.lay_down();
        result
    }
}
