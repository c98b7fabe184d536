use std::sync::{Arc, Weak};

use crossbeam_queue::SegQueue;

use super::messages::{OverflowWanted, Returned, StockLow};
use super::pool::{Inbox, MadeBy};
use crate::actor::shared::{Calls, Shared};
use crate::actor::tree::Tree;
use crate::model::{PoolName, PoolSpec};

/// All that makes a pool: what leases see of it, which is also who it is, where the supervisor finds what comes home,
/// and what its runtimes are made by.
#[derive(Clone)]
pub(crate) struct Charter {
    pub(crate) shared: Arc<Shared>,
    pub(crate) made_by: MadeBy,
    pub(super) inbox: Inbox,
}

impl Charter {
    pub(crate) fn new(name: PoolName, spec: PoolSpec, made_by: MadeBy, tree: &Tree) -> Self {
        let Tree { supervisor, runtime, clock, .. } = tree;
        let inbox = Inbox { returned: Arc::new(SegQueue::new()) };
        let calls = Calls {
            returned: {
                let (chair, pool, returned) =
                    (supervisor.clone(), name.clone(), Arc::downgrade(&inbox.returned));
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
                let (chair, pool) = (supervisor.clone(), name.clone());
                Box::new(move || chair.do_send(StockLow { pool: pool.clone() }))
            },
            overflow_wanted: {
                let (chair, pool) = (supervisor.clone(), name.clone());
                // At most one per waiter, and waiters are bounded by `queue`.
                Box::new(move || chair.do_send(OverflowWanted { pool: pool.clone() }))
            },
        };
        let (kind, clock) = (made_by.kind.clone(), Arc::clone(clock));
        let shared = Shared::new(name, kind, spec, calls, runtime.clone(), clock);
        Self { shared, made_by, inbox }
    }
}
