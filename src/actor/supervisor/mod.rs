//! The supervisor: owns each pool's state, turns messages into events for [`Decider`](crate::decide::Decider) and
//! commands into messages for everybody else. It decides nothing itself and never waits.
//!
//! A panic in one of its handlers goes no further than that handler: the supervisor [starts over](recover), with
//! the same mailbox, so that nobody else has to notice. (Were the actor to die, actix would drop its mailbox, and
//! every ticket on its way home with it.)

mod commands;
mod member;
mod messages;
mod pool;
mod recover;
mod reports;
mod requests;
mod standing;
mod tickets;
mod watchers;

use std::collections::BTreeMap;
use std::sync::Arc;

use actix::dev::MessageResponse;
use actix::{Actor, Addr, Context, Handler, Message};

use super::clock::Clock;
use super::contain::{Takes, catch};
use super::faults::{Faults, after, before};
use super::health::Health;
use super::maintenance::Maintenance;
use super::metrics::{Audience, Metrics};
use crate::model::PoolName;

pub(super) use messages::{Attend, Unwatched};
pub(crate) use messages::{Drain, DrainNow, Inspect, MadeBy, OpenPool, Reconfigure};
use pool::Pool;

/// State: every pool. Receives requests from the public face, [`Reported`](super::runtime::Reported) from
/// runtimes, [`Returned`](messages::Returned) and [`StockLow`](messages::StockLow) from the handoff,
/// [`Verdict`](super::health::Verdict) from Health, [`Ticked`](super::maintenance::Ticked) from Maintenance; sends
/// [`Begin`](super::runtime::Begin), [`Reset`](super::runtime::Reset), [`Retire`](super::runtime::Retire) to
/// runtimes, [`Watch`](super::health::Watch) and [`Forget`](super::health::Forget) to Health,
/// [`Observed`](super::metrics::Observed) to Metrics.
pub(crate) struct Supervisor {
    pools: BTreeMap<PoolName, Pool>,
    clock: Arc<Clock>,
    /// `None` until they have first reported for duty.
    health: Option<Addr<Health>>,
    maintenance: Option<Addr<Maintenance>>,
    metrics: Option<Addr<Metrics>>,
    /// Why they had to be replaced, until somebody is there who can pass it on.
    unwatched: Option<String>,
    audience: Arc<Audience>,
    seed: u64,
    faults: Faults,
    log: slog::Logger,
}

impl Supervisor {
    pub(super) fn new(
        clock: Arc<Clock>,
        audience: Arc<Audience>,
        seed: u64,
        faults: Faults,
        log: slog::Logger,
    ) -> Self {
        Self {
            pools: BTreeMap::new(),
            clock,
            health: None,
            maintenance: None,
            metrics: None,
            unwatched: None,
            audience,
            seed,
            faults,
            log,
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
        let take = || {
            self.faults.pass("Supervisor", before::<M>);
            let result = self.take(message, context);
            self.faults.pass("Supervisor", after::<M>);
            result
        };
        match catch(take) {
            Ok(result) => result,
            Err(panicked) => {
                self.recover_from(&panicked, context);
                M::Result::default()
            }
        }
    }
}
