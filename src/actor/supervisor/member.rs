use std::sync::Arc;

use actix::Addr;

use crate::actor::runtime::{Badge, Runtime};
use crate::actor::shared::Resource;
use crate::actor::tenure::Tenure;
use crate::decide::Moment;
use crate::guest::Wire;
use crate::handoff::{Tether, Ticket};
use crate::model::{Epoch, Reason};
use crate::observe::Chart;

/// A runtime as the supervisor holds it.
pub(super) struct Member {
    /// Its actor.
    pub(super) address: Addr<Runtime>,
    /// What its actor says of itself.
    pub(super) badge: Arc<Badge>,
    /// The last of its reports that was listened to.
    pub(super) heard: u64,
    /// Set when its actor has been told.
    pub(super) retiring: Option<Reason>,
    /// While it is in the supervisor's hands: warmed and not yet put, or being reset.
    pub(super) ticket: Option<Ticket<Resource>>,
    /// Condemns the ticket wherever it is.
    pub(super) tether: Option<Tether<Resource>>,
    /// The lease that somebody has of it.
    pub(super) tenure: Option<Tenant>,
    pub(super) handle: Arc<str>,
    /// Once it has been leasable.
    pub(super) chart: Option<Arc<Chart>>,
    pub(super) since: Moment,
}

/// A lease, as far as the supervisor needs to know in order to end it.
pub(super) struct Tenant {
    pub(super) tenure: Arc<Tenure>,
    /// Which the lease works on.
    pub(super) wire: Arc<dyn Wire>,
}

impl Member {
    pub(super) fn launching(address: Addr<Runtime>, badge: Arc<Badge>, now: Moment) -> Self {
        Self {
            address,
            badge,
            heard: 0,
            retiring: None,
            ticket: None,
            tether: None,
            tenure: None,
            handle: "".into(),
            chart: None,
            since: now,
        }
    }

    /// The epoch of a lease that is over, though its holder has not given it back.
    pub(super) fn expired(&self) -> Option<Epoch> {
        let tenure = &self.tenure.as_ref()?.tenure;
        tenure.is_expired().then(|| tenure.epoch())
    }
}
