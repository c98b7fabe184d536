//! Health, Maintenance and Metrics, as far as the supervisor deals with them.

use std::sync::Arc;

use actix::Context;

use super::messages::{Attend, LookAlive, Unwatched};
use super::pool::Pool;
use super::{Supervisor, Takes};
use crate::actor::health::{Forget, Watch};
use crate::actor::maintenance::Tend;
use crate::actor::metrics::Flush;
use crate::actor::receipt::Receipt;
use crate::model::{PoolName, RuntimeId};
use crate::observe::Change;

impl Supervisor {
    pub(super) fn watch(&self, name: &PoolName, pool: &Pool, id: RuntimeId) {
        let Some(member) = pool.members.get(&id) else { return };
        if let (Some(health), Some(chart)) = (&self.estate.health, &member.chart) {
            let (runtime, chart) = (member.address.clone().recipient(), Arc::clone(chart));
            let spec = pool.blueprint.spec.health.clone();
            health.do_send(Watch { pool: name.clone(), id, runtime, spec, chart });
        }
    }

    pub(super) fn watch_all(&self) {
        for (name, pool) in &self.estate.pools {
            for id in pool.watched() {
                self.watch(name, pool, id);
            }
        }
    }

    pub(super) fn forget(&self, pool: &PoolName, id: RuntimeId) {
        if let Some(health) = &self.estate.health {
            health.do_send(Forget { pool: pool.clone(), id });
        }
    }
}

impl Takes<Attend> for Supervisor {
    fn take(&mut self, attend: Attend, _: &mut Context<Self>) -> Receipt {
        match attend {
            Attend::Metrics(metrics) => {
                self.estate.metrics = Some(metrics);
                if let Some(cause) = self.estate.unwatched.take() {
                    let names: Vec<_> = self.estate.pools.keys().cloned().collect();
                    for name in names {
                        self.observe(&name, Change::Unwatched { cause: cause.clone() });
                    }
                }
                self.tell_news();
            }
            Attend::Maintenance(maintenance) => {
                for pool in self.estate.pools.values() {
                    maintenance.do_send(Tend(Arc::clone(&pool.shared)));
                }
                self.estate.maintenance = Some(maintenance);
            }
            Attend::Health(health) => {
                self.estate.health = Some(health);
                self.watch_all();
            }
        }
        Receipt::Taken
    }
}

impl Takes<LookAlive> for Supervisor {
    fn take(&mut self, _: LookAlive, _: &mut Context<Self>) {}
}

impl Takes<Unwatched> for Supervisor {
    fn take(&mut self, Unwatched { cause }: Unwatched, _: &mut Context<Self>) {
        // Their mailboxes would fill, and with what they do in the end nobody would be served.
        (self.estate.health, self.estate.maintenance, self.estate.metrics) = (None, None, None);
        self.estate.unwatched = Some(cause);
    }
}

impl Takes<Flush> for Supervisor {
    fn take(&mut self, flush: Flush, _: &mut Context<Self>) {
        self.tell_news();
        // Without Metrics it is dropped, which answers as well.
        if let Some(metrics) = &self.estate.metrics {
            metrics.do_send(flush);
        }
    }
}
