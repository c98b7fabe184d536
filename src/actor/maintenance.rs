use std::sync::Arc;

use actix::{Actor, ActorContext, Context, Handler, Message};

use super::chair::Chair;
use super::clock::{Clock, millis};
use super::end::End;
use super::faults::{Faults, before};
use super::pulse::{Post, Pulse};
use super::receipt::Receipt;
use super::shared::Shared;

/// Clock ticks to a maintenance round.
const ROUND: u32 = 4;

/// Time has moved on.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct MaintenanceTick;

/// Look after every pool: fill, trim, age. To the supervisor.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Ticked;

/// Keep this pool's coarse clock from now on.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Tend(pub(super) Arc<Shared>);

/// State: the pools whose clocks it keeps, and where in the round it is. Receives [`Tend`] from the supervisor
/// and [`MaintenanceTick`] from its ticker; sends [`Ticked`] to the supervisor.
pub(super) struct Maintenance {
    clock: Arc<Clock>,
    pulse: Arc<Pulse>,
    supervisor: Chair,
    pools: Vec<Arc<Shared>>,
    ticks: u32,
    faults: Faults,
}

impl Maintenance {
    pub(super) fn new(clock: Arc<Clock>, pulse: Arc<Pulse>, supervisor: Chair, faults: Faults) -> Self {
        Self { clock, pulse, supervisor, pools: Vec::new(), ticks: 0, faults }
    }
}

impl Actor for Maintenance {
    type Context = Context<Self>;
}

impl Handler<Tend> for Maintenance {
    type Result = ();

    fn handle(&mut self, Tend(shared): Tend, _: &mut Self::Context) {
        self.faults.pass("Maintenance", before::<Tend>);
        // Nobody else has those whose namesake came after them.
        self.pools.retain(|pool| Arc::strong_count(pool) > 1);
        self.pools.push(shared);
    }
}

impl Handler<MaintenanceTick> for Maintenance {
    type Result = ();

    fn handle(&mut self, _: MaintenanceTick, context: &mut Self::Context) {
        self.faults.pass("Maintenance", before::<MaintenanceTick>);
        if !self.pulse.beat(Post::Maintenance) {
            return context.stop();
        }
        let now = millis(self.clock.now());
        for pool in &self.pools {
            pool.handoff.tick(now);
        }
        self.ticks += 1;
        // A supervisor that is behind has a tick in its mailbox already; it gets the next one soon.
        if self.ticks >= ROUND && self.supervisor.try_send(Ticked) {
            self.ticks = 0;
        }
    }
}

impl Handler<End> for Maintenance {
    type Result = Receipt;

    fn handle(&mut self, _: End, context: &mut Self::Context) -> Receipt {
        context.stop();
        Receipt::Taken
    }
}
