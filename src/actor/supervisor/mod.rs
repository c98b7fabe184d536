//! The supervisor: owns each pool's state, turns messages into events for [`Decider`] and commands into
//! messages for everybody else. It decides nothing itself and never waits.

mod messages;
mod pool;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler};
use slog::{crit, error, info, o};

use super::clock::Clock;
use super::contain;
use super::end::End;
use super::health::{Forget, Health, Verdict, Watch};
use super::maintenance::{Maintenance, Tend, Ticked};
use super::metrics::{Flush, Metrics, Observed, Subscribe};
use super::runtime::{Begin, Report, Reported, Reset, Retire, Runtime};
use super::shared::{Calls, Shared};
use crate::decide::{Command, Decider, Event, Fate, Moment};
use crate::model::{PoolName, RuntimeId, State};
use crate::observe::{Change, Snapshot, count};

pub(super) use messages::Attend;
pub(crate) use messages::{Drain, DrainNow, Inspect, MadeBy, OpenPool, Reconfigure};
use messages::{OverflowWanted, Returned, RuntimeLost, StockLow, Wake};
use pool::{Member, Pool};

/// Messages a runtime can have outstanding that are not the supervisor's own few.
const RUNTIME_MAILBOX: usize = 16;

/// State: every pool. Receives requests from the public face, [`Reported`] from runtimes, [`Returned`] and
/// [`StockLow`] from the handoff, [`Verdict`] from Health, [`Ticked`] from Maintenance; sends [`Begin`],
/// [`Reset`], [`Retire`] to runtimes, [`Watch`] and [`Forget`] to Health, [`Observed`] to Metrics.
pub(crate) struct Supervisor {
    pools: BTreeMap<PoolName, Pool>,
    clock: Arc<Clock>,
    /// `None` until they have first reported for duty.
    health: Option<Addr<Health>>,
    maintenance: Option<Addr<Maintenance>>,
    metrics: Option<Addr<Metrics>>,
    /// Who subscribed before Metrics was there.
    early: Vec<Subscribe>,
    seed: u64,
    log: slog::Logger,
}

impl Supervisor {
    pub(super) fn new(clock: Arc<Clock>, seed: u64, log: slog::Logger) -> Self {
        Self {
            pools: BTreeMap::new(),
            clock,
            health: None,
            maintenance: None,
            metrics: None,
            early: Vec::new(),
            seed,
            log,
        }
    }

    /// Feeds one event to a pool, carries out what it decides, and feeds back what comes of that at once.
    fn feed(&mut self, context: &mut Context<Self>, name: &PoolName, event: Event) {
        let now = self.clock.now();
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let Some(pool) = self.pools.get_mut(name) else { return };
            match pool.step(now, event.clone()) {
                Ok(commands) => {
                    for command in commands {
                        self.carry_out(context, name, now, &command, &mut events);
                    }
                }
                // A defect of ours; the runtime in question stays where it was and nothing else is touched.
                Err(illegal) => error!(self.log, "{illegal}"; "event" => ?event, "pool" => %name),
            }
        }
        if let Some(pool) = self.pools.get(name) {
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
        let Some(pool) = self.pools.get_mut(name) else { return };
        match *command {
            Command::Launch(id) => {
                self.observe(name, Change::Launching { runtime: id });
                self.launch(context, name, id, now);
            }
            Command::Put(id) => {
                if let Some(ticket) = pool.member_mut(id).and_then(|member| member.ticket.take()) {
                    ticket.put();
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
                if let Some(member) = pool.member_mut(id) {
                    member.ticket = None;
                    member.address.do_send(Retire { reason });
                }
                self.forget(name, id);
                self.observe(name, Change::Retiring { runtime: id, reason });
            }
            Command::Condemn(id, reason) => {
                if let Some(tether) = pool.member_mut(id).and_then(|member| member.tether.as_ref()) {
                    if reason.is_failure() {
                        tether.condemn();
                    } else {
                        tether.expire();
                    }
                }
                for ticket in pool.shared.handoff.withdraw_condemned() {
                    events.push_back(Event::Withdrawn { id: pool.take_back(ticket), reason });
                }
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
            Command::Close => pool.shared.handoff.close(),
            Command::Degraded(true) => {
                pool.shared.board.set_degraded(true);
                let cause = pool.shared.board.trouble().map_or_else(String::new, |cause| cause.to_string());
                error!(pool.log, "degraded"; "cause" => &cause);
                self.observe(name, Change::Degraded { cause });
            }
            Command::Degraded(false) => {
                pool.shared.board.set_degraded(false);
                info!(pool.log, "healed");
                self.observe(name, Change::Healed);
            }
            Command::Finished => {
                info!(pool.log, "drained");
                pool.finish();
                self.observe(name, Change::Drained);
            }
        }
    }

    fn launch(&mut self, context: &mut Context<Self>, name: &PoolName, id: RuntimeId, now: Moment) {
        let Some(pool) = self.pools.get_mut(name) else { return };
        let log = pool.log.new(o!("runtime" => id.to_string()));
        let reports = context.address().recipient();
        let backend = Arc::clone(&pool.backend);
        let blueprint = Arc::clone(&pool.blueprint);
        let runtime = Runtime::new((name.clone(), id), backend, blueprint, reports, log);
        let (address, ended) = contain::start_monitored(|_| runtime, RUNTIME_MAILBOX);
        let (supervisor, pool_name) = (context.address(), name.clone());
        actix_rt::spawn(async move {
            if let Some(panicked) = ended.await {
                supervisor.do_send(RuntimeLost { pool: pool_name, id, cause: panicked.to_string() });
            }
        });
        address.do_send(Begin);
        pool.members.insert(id, Member::launching(address, now));
    }

    fn observe(&self, pool: &PoolName, change: Change) {
        let Some(pool) = self.pools.get(pool) else { return };
        let observed = Observed { shared: Arc::clone(&pool.shared), change };
        // States and reasons are on the board already; a full mailbox costs an event, and that is counted.
        if self.metrics.as_ref().is_none_or(|metrics| metrics.try_send(observed).is_err()) {
            count(&pool.shared.board.events_dropped);
        }
    }

    fn watch(&self, name: &PoolName, pool: &Pool, id: RuntimeId) {
        let runtime = pool.members.get(&id).map(|member| member.address.clone().recipient());
        if let (Some(health), Some(runtime)) = (&self.health, runtime) {
            let spec = pool.blueprint.spec.health.clone();
            health.do_send(Watch { pool: name.clone(), id, runtime, spec });
        }
    }

    fn forget(&self, pool: &PoolName, id: RuntimeId) {
        if let Some(health) = &self.health {
            health.do_send(Forget { pool: pool.clone(), id });
        }
    }

    fn trouble(&self, pool: &PoolName, cause: &str) {
        if let Some(pool) = self.pools.get(pool) {
            pool.shared.board.set_trouble(Some(cause));
        }
    }

    fn is_in(&self, pool: &PoolName, id: RuntimeId, state: State) -> bool {
        self.pools.get(pool).is_some_and(|pool| pool.state(id) == Some(state))
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;
}

impl Handler<Attend> for Supervisor {
    type Result = ();

    fn handle(&mut self, attend: Attend, _: &mut Self::Context) {
        match attend {
            Attend::Metrics(metrics) => {
                for subscribe in self.early.drain(..) {
                    metrics.do_send(subscribe);
                }
                self.metrics = Some(metrics);
            }
            Attend::Maintenance(maintenance) => {
                for pool in self.pools.values() {
                    maintenance.do_send(Tend(Arc::clone(&pool.shared)));
                }
                self.maintenance = Some(maintenance);
            }
            Attend::Health(health) => {
                self.health = Some(health);
                for (name, pool) in &self.pools {
                    for id in pool.watched() {
                        self.watch(name, pool, id);
                    }
                }
            }
        }
    }
}

impl Handler<Subscribe> for Supervisor {
    type Result = ();

    fn handle(&mut self, subscribe: Subscribe, _: &mut Self::Context) {
        match &self.metrics {
            Some(metrics) => metrics.do_send(subscribe),
            None => self.early.push(subscribe),
        }
    }
}

impl Handler<Flush> for Supervisor {
    type Result = ();

    fn handle(&mut self, flush: Flush, _: &mut Self::Context) {
        // Without Metrics it is dropped, which answers as well.
        if let Some(metrics) = &self.metrics {
            metrics.do_send(flush);
        }
    }
}

impl Handler<OpenPool> for Supervisor {
    type Result = ();

    fn handle(&mut self, open: OpenPool, context: &mut Self::Context) {
        let OpenPool { name, spec, made_by, answer } = open;
        let log = self.log.new(o!("pool" => name.to_string()));
        let calls = Calls {
            returned: {
                let (address, pool) = (context.address(), name.clone());
                // At most one per ticket is under way, so the mailbox stays bounded by the pool's size.
                Box::new(move |ticket| address.do_send(Returned { pool: pool.clone(), ticket }))
            },
            low: {
                let (address, pool) = (context.address(), name.clone());
                Box::new(move || address.do_send(StockLow { pool: pool.clone() }))
            },
            overflow_wanted: {
                let (address, pool) = (context.address(), name.clone());
                // At most one per waiter, and waiters are bounded by `queue`.
                Box::new(move || address.do_send(OverflowWanted { pool: pool.clone() }))
            },
        };
        let backend = made_by.backend.name().to_owned();
        let shared = Shared::new(name.clone(), backend, spec.clone(), calls);
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let decider = Decider::new(spec, self.clock.now(), self.seed);
        let pool = Pool::new(decider, Arc::clone(&shared), made_by, log);
        self.pools.insert(name.clone(), pool);
        if let Some(maintenance) = &self.maintenance {
            maintenance.do_send(Tend(Arc::clone(&shared)));
        }
        self.feed(context, &name, Event::Tick { lowest: 0 });
        // Whoever asked may have gone; then nobody holds the pool, and it is drained with the rest.
        drop(answer.send(shared));
    }
}

impl Handler<Reported> for Supervisor {
    type Result = ();

    fn handle(&mut self, Reported { pool: name, id, report }: Reported, context: &mut Self::Context) {
        let event = match report {
            Report::Launched => Event::Launched(id),
            Report::Booted => Event::Booted(id),
            Report::Warmed { wire, handle } => {
                if !self.is_in(&name, id, State::Warming) {
                    return;
                }
                let Some(pool) = self.pools.get_mut(&name) else { return };
                let now = self.clock.now();
                let took = pool.issue(id, wire, Arc::clone(&handle), now);
                pool.shared.board.set_trouble(None);
                if let Some(pool) = self.pools.get(&name) {
                    self.watch(&name, pool, id);
                }
                self.observe(&name, Change::Ready { runtime: id, handle: handle.to_string(), took });
                Event::Warmed(id)
            }
            Report::LaunchFailed(cause) => {
                self.trouble(&name, &format!("launch failed: {cause}"));
                self.observe(&name, Change::LaunchFailed { runtime: id, cause });
                Event::LaunchFailed(id)
            }
            Report::ResetDone { took } => {
                self.observe(&name, Change::Reset { runtime: id, took });
                Event::ResetDone(id)
            }
            Report::ResetFailed(cause) => {
                self.trouble(&name, &format!("reset failed: {cause}"));
                self.observe(&name, Change::ResetFailed { runtime: id, cause });
                Event::ResetFailed(id)
            }
            Report::Exited(cause) => {
                self.trouble(&name, &format!("exited: {cause}"));
                self.observe(&name, Change::Exited { runtime: id, cause });
                Event::Exited(id)
            }
            Report::Survived(cause) => {
                self.trouble(&name, &format!("{id} survived its destruction: {cause}"));
                self.observe(&name, Change::Survived { runtime: id, cause });
                return;
            }
            Report::Gone => {
                if let Some(pool) = self.pools.get_mut(&name) {
                    pool.members.remove(&id);
                }
                self.observe(&name, Change::Gone { runtime: id });
                Event::Gone(id)
            }
        };
        self.feed(context, &name, event);
    }
}

impl Handler<Returned> for Supervisor {
    type Result = ();

    fn handle(&mut self, Returned { pool: name, ticket }: Returned, context: &mut Self::Context) {
        let Some(pool) = self.pools.get_mut(&name) else { return };
        let fate = if ticket.resource().is_quarantined() { Fate::Quarantined } else { Fate::Used };
        let uses = ticket.uses();
        let id = pool.take_back(ticket);
        self.feed(context, &name, Event::Returned { id, uses, fate });
    }
}

impl Handler<RuntimeLost> for Supervisor {
    type Result = ();

    fn handle(&mut self, RuntimeLost { pool: name, id, cause }: RuntimeLost, context: &mut Self::Context) {
        crit!(self.log, "runtime actor lost"; "pool" => %name, "runtime" => %id, "cause" => &cause);
        self.trouble(&name, &cause);
        self.observe(&name, Change::Exited { runtime: id, cause });
        self.feed(context, &name, Event::Crashed(id));
        if let Some(pool) = self.pools.get_mut(&name) {
            pool.members.remove(&id);
        }
        self.forget(&name, id);
        self.observe(&name, Change::Gone { runtime: id });
    }
}

impl Handler<StockLow> for Supervisor {
    type Result = ();

    fn handle(&mut self, StockLow { pool: name }: StockLow, context: &mut Self::Context) {
        let Some(pool) = self.pools.get(&name) else { return };
        pool.shared.handoff.rearm();
        let lowest = pool.shared.handoff.stock().ready;
        self.feed(context, &name, Event::Tick { lowest });
    }
}

impl Handler<OverflowWanted> for Supervisor {
    type Result = ();

    fn handle(&mut self, OverflowWanted { pool }: OverflowWanted, context: &mut Self::Context) {
        self.feed(context, &pool, Event::OverflowWanted);
    }
}

impl Handler<Wake> for Supervisor {
    type Result = ();

    fn handle(&mut self, Wake { pool: name }: Wake, context: &mut Self::Context) {
        let Some(pool) = self.pools.get_mut(&name) else { return };
        pool.wake_at = None;
        let lowest = pool.shared.handoff.stock().ready;
        self.feed(context, &name, Event::Tick { lowest });
    }
}

impl Handler<Ticked> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: Ticked, context: &mut Self::Context) {
        let names: Vec<_> = self.pools.keys().cloned().collect();
        for name in names {
            let Some(pool) = self.pools.get(&name) else { continue };
            let lowest = pool.shared.handoff.low_water();
            self.feed(context, &name, Event::Tick { lowest });
        }
    }
}

impl Handler<Verdict> for Supervisor {
    type Result = ();

    fn handle(&mut self, Verdict { pool, id }: Verdict, context: &mut Self::Context) {
        self.trouble(&pool, &format!("{id} failed its health probes"));
        self.feed(context, &pool, Event::Unhealthy(id));
    }
}

impl Handler<Reconfigure> for Supervisor {
    type Result = ();

    fn handle(&mut self, request: Reconfigure, context: &mut Self::Context) {
        let Reconfigure { pool: name, spec, made_by } = request;
        let Some(pool) = self.pools.get_mut(&name) else { return };
        pool.reconfigure(&spec, made_by);
        info!(pool.log, "reconfigured"; "min" => spec.min, "max" => spec.max);
        self.feed(context, &name, Event::Reconfigured(Box::new(spec)));
    }
}

impl Handler<Drain> for Supervisor {
    type Result = ();

    fn handle(&mut self, Drain { pool: name, finished }: Drain, context: &mut Self::Context) {
        let Some(pool) = self.pools.get_mut(&name) else { return };
        pool.await_finish(finished);
        self.feed(context, &name, Event::Drain);
    }
}

impl Handler<DrainNow> for Supervisor {
    type Result = ();

    fn handle(&mut self, DrainNow { pool }: DrainNow, context: &mut Self::Context) {
        self.feed(context, &pool, Event::DrainNow);
    }
}

impl Handler<Inspect> for Supervisor {
    type Result = ();

    fn handle(&mut self, Inspect { pool, answer }: Inspect, _: &mut Self::Context) {
        if let Some(pool) = self.pools.get(&pool) {
            let snapshot =
                Snapshot { status: pool.shared.status(), runtimes: pool.runtimes(self.clock.now()) };
            // Whoever asked has gone.
            drop(answer.send(snapshot));
        }
    }
}

impl Handler<End> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: End, context: &mut Self::Context) {
        if let Some(health) = &self.health {
            health.do_send(End);
        }
        if let Some(maintenance) = &self.maintenance {
            maintenance.do_send(End);
        }
        if let Some(metrics) = &self.metrics {
            metrics.do_send(End);
        }
        context.stop();
    }
}
