use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, Context, Handler, Message, Recipient};
use slog::{debug, warn};

use super::chair::Chair;
use super::clock::Clock;
use super::end::End;
use super::faults::{Faults, before};
use super::pulse::{Post, Pulse};
use super::receipt::Receipt;
use super::runtime::{Probe, Probed};
use crate::decide::Moment;
use crate::model::{self, HealthSpec, PoolName, RuntimeId};
use crate::observe::Chart;

/// Probe this runtime from now on.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Watch {
    pub(super) pool: PoolName,
    pub(super) id: RuntimeId,
    pub(super) runtime: Recipient<Probe>,
    pub(super) spec: HealthSpec,
    /// Where its health is written down.
    pub(super) chart: Arc<Chart>,
}

/// Probe it no more.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Forget {
    pub(super) pool: PoolName,
    pub(super) id: RuntimeId,
}

/// Look who is due.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct HealthTick;

/// A runtime failed its probes. To the supervisor.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Verdict {
    pub(super) pool: PoolName,
    pub(super) id: RuntimeId,
}

type Key = (PoolName, RuntimeId);

/// State: who is watched, and who is due when. Receives [`Watch`] and [`Forget`] from the supervisor, [`Probed`]
/// from runtimes and [`HealthTick`] from its ticker; sends [`Probe`] to runtimes, [`Verdict`] to the supervisor.
///
/// A runtime counts a failure when its probe fails *or* is not answered when its time is up and the next one is
/// due, so a Runtime actor that hangs is noticed too. Probes begin with a ping on the control wire: they are not activity,
/// and never stand in a lease's way.
pub(super) struct Health {
    watched: BTreeMap<Key, Watched>,
    due: BinaryHeap<Reverse<(Moment, Key)>>,
    supervisor: Chair,
    answers: Recipient<Probed>,
    clock: Arc<Clock>,
    pulse: Arc<Pulse>,
    rng: fastrand::Rng,
    faults: Faults,
    log: slog::Logger,
}

struct Watched {
    runtime: Recipient<Probe>,
    spec: HealthSpec,
    chart: Arc<Chart>,
    failures: u32,
    /// Since when a probe is out.
    asked: Option<Moment>,
}

impl Health {
    pub(super) fn new(
        supervisor: Chair,
        answers: Recipient<Probed>,
        clock: Arc<Clock>,
        pulse: Arc<Pulse>,
        seed: u64,
        faults: Faults,
        log: slog::Logger,
    ) -> Self {
        Self {
            watched: BTreeMap::new(),
            due: BinaryHeap::new(),
            supervisor,
            answers,
            clock,
            pulse,
            rng: fastrand::Rng::with_seed(seed),
            faults,
            log,
        }
    }

    fn schedule(&mut self, now: Moment, key: Key, interval: Duration) {
        let jitter = 0.9 + self.rng.f64() / 10.0;
        self.due.push(Reverse((now + interval.mul_f64(jitter), key)));
    }

    fn failed(&mut self, key: &Key, cause: &str) {
        let Some(watched) = self.watched.get_mut(key) else { return };
        watched.failures += 1;
        let (pool, runtime) = key;
        debug!(self.log, "probe failed";
            "pool" => %pool, "runtime" => %runtime, "in a row" => watched.failures, "cause" => cause);
        if watched.failures >= watched.spec.retries {
            watched.chart.note(model::Health::Unhealthy);
            warn!(self.log, "unhealthy"; "pool" => %pool, "runtime" => %runtime, "cause" => cause);
            self.watched.remove(key);
            self.supervisor.do_send(Verdict { pool: key.0.clone(), id: key.1 });
        }
    }
}

impl Actor for Health {
    type Context = Context<Self>;
}

impl Handler<Watch> for Health {
    type Result = ();

    fn handle(&mut self, watch: Watch, _: &mut Self::Context) {
        self.faults.pass("Health", before::<Watch>);
        let key = (watch.pool.clone(), watch.id);
        let interval = watch.spec.interval;
        let Watch { runtime, spec, chart, .. } = watch;
        let watched = Watched { runtime, spec, chart, failures: 0, asked: None };
        if self.watched.insert(key.clone(), watched).is_none() {
            self.schedule(self.clock.now(), key, interval);
        }
    }
}

impl Handler<Forget> for Health {
    type Result = ();

    fn handle(&mut self, Forget { pool, id }: Forget, _: &mut Self::Context) {
        self.faults.pass("Health", before::<Forget>);
        self.watched.remove(&(pool, id));
    }
}

impl Handler<HealthTick> for Health {
    type Result = ();

    fn handle(&mut self, _: HealthTick, context: &mut Self::Context) {
        self.faults.pass("Health", before::<HealthTick>);
        if !self.pulse.beat(Post::Health) {
            return context.stop();
        }
        let now = self.clock.now();
        while let Some(Reverse((at, _))) = self.due.peek() {
            if *at > now {
                return;
            }
            let Some(Reverse((_, key))) = self.due.pop() else { return };
            let Some(watched) = self.watched.get(&key) else { continue };
            let (interval, timeout) = (watched.spec.interval, watched.spec.timeout);
            match watched.asked {
                // One at a time: this one may still succeed.
                Some(since) if now < since + timeout => {
                    self.schedule(now, key, interval);
                    continue;
                }
                Some(_) => self.failed(&key, "no answer by the time of the next probe"),
                None => {}
            }
            let Some(watched) = self.watched.get_mut(&key) else { continue };
            watched.asked = Some(now);
            watched.runtime.do_send(Probe { answer: self.answers.clone() });
            self.schedule(now, key, interval);
        }
    }
}

impl Handler<Probed> for Health {
    type Result = ();

    fn handle(&mut self, Probed { pool, id, finding }: Probed, _: &mut Self::Context) {
        self.faults.pass("Health", before::<Probed>);
        let key = (pool, id);
        let Some(watched) = self.watched.get_mut(&key) else { return };
        watched.asked = None;
        match finding.health {
            model::Health::Healthy => {
                watched.failures = 0;
                watched.chart.note(model::Health::Healthy);
            }
            model::Health::Unknown => watched.chart.note(model::Health::Unknown),
            model::Health::Unhealthy => self.failed(&key, finding.cause.as_deref().unwrap_or_default()),
        }
    }
}

impl Handler<End> for Health {
    type Result = Receipt;

    fn handle(&mut self, _: End, context: &mut Self::Context) -> Receipt {
        context.stop();
        Receipt::Taken
    }
}
