use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler, Message};
use slog::crit;

use super::chair::Chair;
use super::clock::{CLOCK_INTERVAL, Clock};
use super::contain::{MAILBOX, RESTART_PAUSE, start_monitored};
use super::faults::Faults;
use super::health::{Health, HealthTick};
use super::maintenance::{Maintenance, MaintenanceTick};
use super::metrics::{Audience, Metrics};
use super::pulse::Pulse;
use super::supervisor::Attend;

/// How often Health looks who is due.
const HEALTH_INTERVAL: Duration = Duration::from_millis(20);

/// What Health, Maintenance and Metrics are made from, as often as need be.
#[derive(Clone)]
pub(super) struct Watchers {
    pub(super) supervisor: Chair,
    pub(super) clock: Arc<Clock>,
    pub(super) audience: Arc<Audience>,
    pub(super) pulse: Arc<Pulse>,
    pub(super) seed: u64,
    pub(super) faults: Faults,
    pub(super) log: slog::Logger,
}

impl Watchers {
    /// Starts the three of them here. Ready when all have ended.
    pub(super) fn start(self) -> impl Future<Output = ()> {
        let (health, maintenance, metrics) = (self.clone(), self.clone(), self);
        let health = actix_rt::spawn(async move {
            let of = health.clone();
            let make = move |address: &Addr<Health>| {
                of.attend(Attend::Health(address.clone()));
                tick(address.clone(), HEALTH_INTERVAL, || HealthTick);
                let (supervisor, answers) = (of.supervisor.clone(), address.clone().recipient());
                let (clock, pulse) = (Arc::clone(&of.clock), Arc::clone(&of.pulse));
                Health::new(supervisor, answers, clock, pulse, of.seed, of.faults.clone(), of.log.clone())
            };
            health.keep("health", make).await;
        });
        let maintenance = actix_rt::spawn(async move {
            let of = maintenance.clone();
            let make = move |address: &Addr<Maintenance>| {
                of.attend(Attend::Maintenance(address.clone()));
                tick(address.clone(), CLOCK_INTERVAL, || MaintenanceTick);
                let supervisor = of.supervisor.clone();
                Maintenance::new(Arc::clone(&of.clock), Arc::clone(&of.pulse), supervisor, of.faults.clone())
            };
            maintenance.keep("maintenance", make).await;
        });
        let metrics = actix_rt::spawn(async move {
            let of = metrics.clone();
            let make = move |address: &Addr<Metrics>| {
                of.attend(Attend::Metrics(address.clone()));
                Metrics::new(Arc::clone(&of.audience), of.faults.clone())
            };
            metrics.keep("metrics", make).await;
        });
        async move {
            for watcher in [health, maintenance, metrics] {
                // Its panics are its keeper's; what is left is the arbiter's end, and ours with it.
                drop(watcher.await);
            }
        }
    }

    /// Has an actor's address reach the supervisor, whatever befalls that.
    fn attend(&self, attend: Attend) {
        let supervisor = self.supervisor.clone();
        actix_rt::spawn(async move { supervisor.insist(attend).await });
    }

    /// Starts an actor, and again whenever it panics.
    async fn keep<A>(&self, name: &'static str, make: impl Fn(&Addr<A>) -> A)
    where
        A: Actor<Context = Context<A>>,
    {
        while !self.pulse.is_relieved() {
            let (_, ended) = start_monitored(&make, MAILBOX);
            let Some(panicked) = ended.await else { return };
            crit!(self.log, "actor lost, starting it again"; "actor" => name, "cause" => %panicked);
            tokio::time::sleep(RESTART_PAUSE).await;
        }
    }
}

/// Sends ticks until the actor is gone. A tick that finds the mailbox full is skipped: one is waiting there.
fn tick<A, M>(address: Addr<A>, interval: Duration, make: impl Fn() -> M + 'static)
where
    A: Actor<Context = Context<A>> + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    actix_rt::spawn(async move {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            if let Err(actix::prelude::SendError::Closed(_)) = address.try_send(make()) {
                return;
            }
        }
    });
}
