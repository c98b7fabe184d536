//! What the public face asks for.

use std::mem;
use std::sync::Arc;

use actix::{ActorContext, Context};
use slog::{info, o};

use super::charter::Charter;
use super::messages::{Drain, DrainNow, Inspect, LetGo, OpenPool, Reconfigure, Resize};
use super::pool::{MadeBy, Pool, tell};
use super::{Supervisor, Takes};
use crate::actor::end::End;
use crate::actor::maintenance::Tend;
use crate::actor::receipt::Receipt;
use crate::actor::shared::Shared;
use crate::decide::{Decider, Event};
use crate::model::PoolSpec;
use crate::observe::Snapshot;

impl Supervisor {
    /// The pool itself, and none of the same name that came before or after it.
    fn entry(&mut self, pool: &Arc<Shared>) -> Option<&mut Pool> {
        self.estate.pools.get_mut(&pool.name).filter(|entry| Arc::ptr_eq(&entry.shared, pool))
    }
}

impl Takes<OpenPool> for Supervisor {
    fn take(&mut self, OpenPool { charter, answer }: OpenPool, context: &mut Context<Self>) {
        let Charter { shared, made_by, inbox } = charter;
        let name = &shared.name;
        if !self.estate.pools.contains_key(name) {
            let log = self.log.new(o!("pool" => name.to_string()));
            self.estate.seed = self
                .estate
                .seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let decider = Decider::new(shared.settings().spec.clone(), self.clock.now(), self.estate.seed);
            let pool = Pool::new(decider, Arc::clone(&shared), made_by, inbox, log);
            self.estate.pools.insert(name.clone(), pool);
            if let Some(maintenance) = &self.estate.maintenance {
                maintenance.do_send(Tend(Arc::clone(&shared)));
            }
            self.feed(context, name, Event::Tick { lowest: 0 });
        }
        if self.entry(&shared).is_some() {
            // Whoever asked and has gone since drains it.
            tell(answer);
        }
    }
}

impl Takes<Reconfigure> for Supervisor {
    fn take(&mut self, request: Reconfigure, context: &mut Context<Self>) -> Receipt {
        let Reconfigure { pool, spec, made_by } = request;
        self.reconfigure(context, &pool, spec, made_by);
        Receipt::Taken
    }
}

impl Takes<Resize> for Supervisor {
    fn take(&mut self, Resize { pool, min, max }: Resize, context: &mut Context<Self>) -> Receipt {
        let spec = PoolSpec { min, max, ..pool.settings().spec.clone() };
        self.reconfigure(context, &pool, spec, None);
        Receipt::Taken
    }
}

impl Supervisor {
    fn reconfigure(
        &mut self,
        context: &mut Context<Self>,
        pool: &Arc<Shared>,
        spec: PoolSpec,
        made_by: Option<MadeBy>,
    ) {
        let Some(entry) = self.entry(pool) else { return };
        entry.reconfigure(&spec, made_by);
        let (min, max) = (spec.min, spec.max);
        self.feed(context, &pool.name, Event::Reconfigured(Box::new(spec)));
        self.note(&pool.name, |log| info!(log, "reconfigured"; "min" => min, "max" => max));
    }
}

impl Takes<Drain> for Supervisor {
    fn take(&mut self, Drain { pool, finished }: Drain, context: &mut Context<Self>) {
        match self.entry(&pool) {
            Some(entry) => {
                entry.await_finish(finished);
                self.feed(context, &pool.name, Event::Drain);
            }
            // It never opened, or has been let go. Whoever asked may have gone.
            None => tell(finished),
        }
    }
}

impl Takes<DrainNow> for Supervisor {
    fn take(&mut self, DrainNow { pool }: DrainNow, context: &mut Context<Self>) -> Receipt {
        if self.entry(&pool).is_some() {
            self.feed(context, &pool.name, Event::DrainNow);
        }
        Receipt::Taken
    }
}

impl Takes<LetGo> for Supervisor {
    fn take(&mut self, LetGo { pool }: LetGo, _: &mut Context<Self>) -> Receipt {
        if self.entry(&pool).is_some_and(|entry| entry.is_over()) {
            let entry = self.estate.pools.remove(&pool.name);
            self.outside(|| drop(entry));
        }
        Receipt::Taken
    }
}

impl Takes<Inspect> for Supervisor {
    fn take(&mut self, Inspect { pool, answer }: Inspect, _: &mut Context<Self>) {
        let now = self.clock.now();
        let runtimes = self.entry(&pool).map(|entry| entry.runtimes(now)).unwrap_or_default();
        // Whoever asked may have gone.
        drop(answer.send(Snapshot { status: pool.status(), runtimes }));
    }
}

impl Takes<End> for Supervisor {
    fn take(&mut self, _: End, context: &mut Context<Self>) -> Receipt {
        if let Some(health) = &self.estate.health {
            health.do_send(End);
        }
        if let Some(maintenance) = &self.estate.maintenance {
            maintenance.do_send(End);
        }
        if let Some(metrics) = &self.estate.metrics {
            metrics.do_send(End);
        }
        context.stop();
        let estate = mem::take(&mut self.estate);
        self.outside(|| drop(estate));
        Receipt::Taken
    }
}
