//! What comes from the handoff, and from time.

use std::sync::Arc;

use actix::Context;
use slog::{error, info, warn};

use super::messages::{OverflowWanted, Returned, StockLow, Wake};
use super::pool::Overdue;
use super::{Supervisor, Takes};
use crate::actor::contain::catch;
use crate::actor::maintenance::Ticked;
use crate::actor::tenure::Finding;
use crate::decide::Event;
use crate::model::PoolName;
use crate::observe::{Change, count};

impl Takes<Returned> for Supervisor {
    fn take(&mut self, Returned { pool: name }: Returned, context: &mut Context<Self>) {
        let Some(pool) = self.estate.pools.get_mut(&name) else { return };
        // None is left when the supervisor has started over meanwhile.
        let Some(id) = pool.next_returned() else { return };
        if let Some(returned) = pool.as_returned(id) {
            self.feed(context, &name, returned);
        }
    }
}

impl Takes<StockLow> for Supervisor {
    fn take(&mut self, StockLow { pool: name }: StockLow, context: &mut Context<Self>) {
        let Some(pool) = self.estate.pools.get(&name) else { return };
        pool.shared.handoff.rearm();
        let lowest = pool.shared.handoff.stock().ready;
        self.feed(context, &name, Event::Tick { lowest });
    }
}

impl Takes<OverflowWanted> for Supervisor {
    fn take(&mut self, OverflowWanted { pool: name }: OverflowWanted, context: &mut Context<Self>) {
        self.feed(context, &name, Event::OverflowWanted);
    }
}

impl Takes<Wake> for Supervisor {
    fn take(&mut self, Wake { pool: name }: Wake, context: &mut Context<Self>) {
        let Some(pool) = self.estate.pools.get_mut(&name) else { return };
        pool.wake_at = None;
        let lowest = pool.shared.handoff.stock().ready;
        self.feed(context, &name, Event::Tick { lowest });
    }
}

impl Takes<Ticked> for Supervisor {
    fn take(&mut self, _: Ticked, context: &mut Context<Self>) {
        self.tell_news();
        let names: Vec<_> = self.estate.pools.keys().cloned().collect();
        for name in names {
            let Some(pool) = self.estate.pools.get(&name) else { continue };
            let lowest = pool.shared.handoff.low_water();
            if pool.shared.knobs.times_leases() {
                self.end_overdue(context, &name);
            }
            self.heed_backend(&name);
            self.feed(context, &name, Event::Tick { lowest });
        }
    }
}

impl Supervisor {
    /// A pool whose backend is in trouble is degraded, whether or not it wants to launch anything just now.
    fn heed_backend(&mut self, name: &PoolName) {
        let Some(backend) = self.estate.pools.get(name).map(|pool| Arc::clone(&pool.backend)) else { return };
        let asked = self.outside(|| catch(|| backend.trouble()));
        let trouble = asked.unwrap_or_else(|panicked| Some(format!("its backend's trouble: {panicked}")));
        let Some(pool) = self.estate.pools.get_mut(name) else { return };
        if trouble.is_some() == pool.ailing {
            return;
        }
        pool.ailing = trouble.is_some();
        if pool.decider.is_degraded() {
            return;
        }
        let board = &pool.shared.board;
        board.set_degraded(trouble.as_deref());
        board.set_trouble(trouble.as_deref());
        if let Some(cause) = trouble {
            self.observe(name, Change::Degraded { cause: cause.clone() });
            self.note(name, |log| error!(log, "degraded"; "cause" => &cause));
        } else {
            self.observe(name, Change::Healed);
            self.note(name, |log| info!(log, "healed"));
        }
    }

    fn end_overdue(&mut self, context: &mut Context<Self>, name: &PoolName) {
        let Some(pool) = self.estate.pools.get(name) else { return };
        for Overdue { runtime, epoch, finding, acquired_at, wire } in pool.overdue() {
            match finding {
                Finding::Expired => {
                    // It can do nothing any more.
                    self.outside(|| wire.end());
                    self.note(name, |log| {
                        warn!(log, "lease expired"; "runtime" => %runtime, "epoch" => %epoch,
                            "acquired at" => &acquired_at);
                    });
                    self.observe(name, Change::LeaseExpired { runtime, epoch, acquired_at });
                    self.feed(context, name, Event::LeaseExpired(runtime));
                }
                Finding::Leaked(held) => {
                    self.note(name, |log| {
                        warn!(log, "lease held for long"; "runtime" => %runtime, "epoch" => %epoch,
                            "acquired at" => &acquired_at, "held" => ?held);
                    });
                    if let Some(pool) = self.estate.pools.get(name) {
                        count(&pool.shared.board.leaked);
                    }
                    self.observe(name, Change::LeaseLeaked { runtime, epoch, acquired_at, held });
                }
            }
        }
    }
}
