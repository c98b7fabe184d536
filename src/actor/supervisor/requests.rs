//! What the public face asks for.

use std::mem;
use std::sync::{Arc, Weak};

use actix::{ActorContext, Context};
use crossbeam_queue::SegQueue;
use slog::{info, o};

use super::messages::{Drain, DrainNow, Inspect, OpenPool, OverflowWanted, Reconfigure, Returned, StockLow};
use super::pool::{Inbox, Pool};
use super::{Supervisor, Takes};
use crate::actor::end::End;
use crate::actor::maintenance::Tend;
use crate::actor::receipt::Receipt;
use crate::actor::shared::{Calls, Shared};
use crate::decide::{Decider, Event};
use crate::observe::Snapshot;

impl Takes<OpenPool> for Supervisor {
    fn take(&mut self, open: OpenPool, context: &mut Context<Self>) {
        let OpenPool { name, spec, made_by, answer } = open;
        let log = self.log.new(o!("pool" => name.to_string()));
        let returned = Arc::new(SegQueue::new());
        let calls = Calls {
            returned: {
                let (chair, pool, returned) = (self.chair.clone(), name.clone(), Arc::downgrade(&returned));
                Box::new(move |ticket| {
                    // Without a supervisor the ticket ends here, and with it nothing but itself.
                    if let Some(returned) = Weak::upgrade(&returned) {
                        returned.push(ticket);
                        // At most one per ticket is under way, so the mailbox stays bounded by the pool's size.
                        chair.do_send(Returned { pool: pool.clone() });
                    }
                })
            },
            low: {
                let (chair, pool) = (self.chair.clone(), name.clone());
                Box::new(move || chair.do_send(StockLow { pool: pool.clone() }))
            },
            overflow_wanted: {
                let (chair, pool) = (self.chair.clone(), name.clone());
                // At most one per waiter, and waiters are bounded by `queue`.
                Box::new(move || chair.do_send(OverflowWanted { pool: pool.clone() }))
            },
        };
        let backend = made_by.kind.clone();
        let shared = Shared::new(name.clone(), backend, spec.clone(), calls, self.runtime.clone());
        self.estate.seed =
            self.estate.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let decider = Decider::new(spec, self.clock.now(), self.estate.seed);
        let inbox = Inbox { returned };
        let pool = Pool::new(decider, Arc::clone(&shared), made_by, inbox, log);
        self.estate.pools.insert(name.clone(), pool);
        if let Some(maintenance) = &self.estate.maintenance {
            maintenance.do_send(Tend(Arc::clone(&shared)));
        }
        self.feed(context, &name, Event::Tick { lowest: 0 });
        // Whoever asked may have gone; then nobody holds the pool, and it is drained with the rest.
        drop(answer.send(shared));
    }
}

impl Takes<Reconfigure> for Supervisor {
    fn take(&mut self, request: Reconfigure, context: &mut Context<Self>) -> Receipt {
        let Reconfigure { pool: name, spec, made_by } = request;
        let Some(pool) = self.estate.pools.get_mut(&name) else { return Receipt::Taken };
        pool.reconfigure(&spec, made_by);
        let (min, max) = (spec.min, spec.max);
        self.feed(context, &name, Event::Reconfigured(Box::new(spec)));
        self.note(&name, |log| info!(log, "reconfigured"; "min" => min, "max" => max));
        Receipt::Taken
    }
}

impl Takes<Drain> for Supervisor {
    fn take(&mut self, Drain { pool: name, finished }: Drain, context: &mut Context<Self>) {
        let Some(pool) = self.estate.pools.get_mut(&name) else { return };
        pool.await_finish(finished);
        self.feed(context, &name, Event::Drain);
    }
}

impl Takes<DrainNow> for Supervisor {
    fn take(&mut self, DrainNow { pool }: DrainNow, context: &mut Context<Self>) -> Receipt {
        self.feed(context, &pool, Event::DrainNow);
        Receipt::Taken
    }
}

impl Takes<Inspect> for Supervisor {
    fn take(&mut self, Inspect { pool, answer }: Inspect, _: &mut Context<Self>) {
        if let Some(pool) = self.estate.pools.get(&pool) {
            let snapshot =
                Snapshot { status: pool.shared.status(), runtimes: pool.runtimes(self.clock.now()) };
            // Whoever asked has gone.
            drop(answer.send(snapshot));
        }
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
