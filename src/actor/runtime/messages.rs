use std::time::Duration;

use actix::{Message, Recipient};

use super::probe::Finding;
use crate::backend::{BackendError, Exit, Launched};
use crate::model::{Epoch, PoolName, Reason, RuntimeId};

/// Make the runtime. First message, sent once.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(in crate::actor) struct Begin;

/// Clean it for the next lease.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(in crate::actor) struct Reset {
    /// The last epoch that has ended.
    pub(in crate::actor) ended: Epoch,
}

/// Probe it.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::actor) struct Probe {
    /// Who asks.
    pub(in crate::actor) answer: Recipient<Probed>,
}

/// What a probe came to. No answer at all is a verdict too, which Health draws itself.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(in crate::actor) struct Probed {
    pub(in crate::actor) pool: PoolName,
    pub(in crate::actor) id: RuntimeId,
    pub(in crate::actor) finding: Finding,
}

/// Destroy it, in whatever state it is.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(in crate::actor) struct Retire {
    pub(in crate::actor) reason: Reason,
    /// The epoch of a lease that must do nothing more, however long the destruction takes.
    pub(in crate::actor) fence: Option<Epoch>,
}

/// Something became of a runtime. To the supervisor.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(in crate::actor) struct Reported {
    pub(in crate::actor) pool: PoolName,
    pub(in crate::actor) id: RuntimeId,
    /// The first of a runtime's reports is number 1.
    pub(in crate::actor) number: u64,
    pub(in crate::actor) report: Report,
}

/// What became of it.
#[derive(Debug)]
pub(in crate::actor) enum Report {
    /// The backend made it.
    Launched,
    /// Its guest answers.
    Booted,
    /// Leasable; what its ticket is made of is on its badge.
    Warmed,
    /// It did not get that far.
    LaunchFailed(String),
    /// Clean after this epoch, looked at from inside and outside.
    ResetDone { ended: Epoch, took: Duration },
    /// Not clean, or not known to be.
    ResetFailed(String),
    /// It ended by itself.
    Exited(Exit),
    /// It could not be destroyed, and is tried again.
    Survived(String),
    /// Nothing is left of it.
    Gone,
}

/// The launch is over.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Made(pub(super) Result<Launched, BackendError>);

/// Template, `warm_up` and first probe are over.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct WarmedUp(pub(super) Result<(), String>);

/// A probe that Health asked for is over.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct ProbeEnded {
    pub(super) answer: Recipient<Probed>,
    /// Resets begun before it.
    pub(super) resets: u64,
    pub(super) finding: Finding,
}

/// Probe it before its first lease.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct FirstProbe;

/// A probe before the first lease is over.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct FirstProbeEnded(pub(super) Finding);

/// The reset is over; how long it took.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct ResetEnded {
    pub(super) ended: Epoch,
    pub(super) result: Result<Duration, String>,
}

/// The runtime ended by itself; how.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Ended(pub(super) Exit);

/// The destruction is over.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Destroyed(pub(super) Result<(), BackendError>);

/// Destroy it now, or again.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Destroy;
