use std::sync::Arc;

use actix::{Addr, Message};
use tokio::sync::oneshot;

use super::charter::Charter;
pub(crate) use super::pool::MadeBy;
use crate::actor::health::Health;
use crate::actor::maintenance::Maintenance;
use crate::actor::metrics::Metrics;
use crate::actor::receipt::Receipt;
use crate::actor::shared::Shared;
use crate::model::{PoolName, PoolSpec, RuntimeId};
use crate::observe::Snapshot;

/// One of the others has started, or has been started again after a panic.
#[derive(Clone, Message)]
#[rtype(result = "Receipt")]
pub(in crate::actor) enum Attend {
    Health(Addr<Health>),
    Maintenance(Addr<Maintenance>),
    Metrics(Addr<Metrics>),
}

/// Nobody attends any more, until others do.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::actor) struct Unwatched {
    pub(in crate::actor) cause: String,
}

/// Show that you are alive.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::actor) struct LookAlive;

/// Start over from what your predecessor left. First message of everyone who has one.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::actor) struct TakeOver {
    pub(in crate::actor) cause: String,
}

/// Start a pool, unless one of its name is there. The answer comes when its first launches are under way; dropped
/// unsent, it was lost in a panic, or there is a namesake. Can be sent twice.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct OpenPool {
    pub(crate) charter: Charter,
    pub(crate) answer: oneshot::Sender<()>,
}

/// Give a pool new settings; with `made_by`, roll its runtimes over to new ones.
#[derive(Clone, Message)]
#[rtype(result = "Receipt")]
pub(crate) struct Reconfigure {
    pub(crate) pool: Arc<Shared>,
    pub(crate) spec: PoolSpec,
    pub(crate) made_by: Option<MadeBy>,
}

/// Give a pool other bounds, whatever else its settings are by now.
#[derive(Clone, Message)]
#[rtype(result = "Receipt")]
pub(crate) struct Resize {
    pub(crate) pool: Arc<Shared>,
    pub(crate) min: usize,
    pub(crate) max: usize,
}

/// No new leases; `finished` when the last runtime is gone. Dropped unsent, it was lost in a panic.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Drain {
    pub(crate) pool: Arc<Shared>,
    pub(crate) finished: oneshot::Sender<()>,
}

/// As [`Drain`], but leased runtimes go at once too.
#[derive(Clone, Message)]
#[rtype(result = "Receipt")]
pub(crate) struct DrainNow {
    pub(crate) pool: Arc<Shared>,
}

/// A pool that has drained is needed no more, and neither is its backend.
#[derive(Clone, Message)]
#[rtype(result = "Receipt")]
pub(crate) struct LetGo {
    pub(crate) pool: Arc<Shared>,
}

/// Describe a pool.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Inspect {
    pub(crate) pool: Arc<Shared>,
    pub(crate) answer: oneshot::Sender<Snapshot>,
}

/// A ticket came home: its lease ended, or it was condemned, or the handoff is closed. It waits beside the mailbox,
/// where no panic reaches it.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Returned {
    pub(super) pool: PoolName,
}

/// Ready tickets dropped below the mark, or somebody waits. At most one is under way per pool.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct StockLow {
    pub(super) pool: PoolName,
}

/// Somebody waits who may have a runtime beyond `max`.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct OverflowWanted {
    pub(super) pool: PoolName,
}

/// A pause that the decider asked for is over.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Wake {
    pub(super) pool: PoolName,
}

/// A runtime's actor died of a panic.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct RuntimeLost {
    pub(super) pool: PoolName,
    pub(super) id: RuntimeId,
    pub(super) cause: String,
}
