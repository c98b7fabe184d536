//! What comes from the handoff, and from time.

use actix::Context;

use super::messages::{OverflowWanted, Returned, StockLow, Wake};
use super::pool::Pool;
use super::{Supervisor, Takes};
use crate::actor::maintenance::Ticked;
use crate::decide::Event;

impl Takes<Returned> for Supervisor {
    fn take(&mut self, Returned { pool: name }: Returned, context: &mut Context<Self>) {
        let Some(pool) = self.pools.get_mut(&name) else { return };
        // None is left when the supervisor has started over meanwhile.
        let Some(id) = pool.next_returned() else { return };
        if let Some(returned) = pool.as_returned(id) {
            self.feed(context, &name, returned);
        }
    }
}

impl Takes<StockLow> for Supervisor {
    fn take(&mut self, StockLow { pool: name }: StockLow, context: &mut Context<Self>) {
        let Some(pool) = self.pools.get(&name) else { return };
        pool.shared.handoff.rearm();
        let lowest = pool.shared.handoff.stock().ready;
        self.feed(context, &name, Event::Tick { lowest });
    }
}

impl Takes<OverflowWanted> for Supervisor {
    fn take(&mut self, OverflowWanted { pool: name }: OverflowWanted, context: &mut Context<Self>) {
        let wanted = self.pools.get(&name).map_or(0, Pool::overflow_wanted);
        for _ in 0..wanted {
            self.feed(context, &name, Event::OverflowWanted);
        }
    }
}

impl Takes<Wake> for Supervisor {
    fn take(&mut self, Wake { pool: name }: Wake, context: &mut Context<Self>) {
        let Some(pool) = self.pools.get_mut(&name) else { return };
        pool.wake_at = None;
        let lowest = pool.shared.handoff.stock().ready;
        self.feed(context, &name, Event::Tick { lowest });
    }
}

impl Takes<Ticked> for Supervisor {
    fn take(&mut self, _: Ticked, context: &mut Context<Self>) {
        let names: Vec<_> = self.pools.keys().cloned().collect();
        for name in names {
            let Some(pool) = self.pools.get(&name) else { continue };
            let lowest = pool.shared.handoff.low_water();
            self.feed(context, &name, Event::Tick { lowest });
        }
    }
}
