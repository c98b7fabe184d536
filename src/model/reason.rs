use std::fmt;

use serde::Serialize;

/// Why a runtime was retired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It served `max_uses` leases.
    UsedUp,
    /// More were ready than anyone needed for `idle_timeout`.
    Idle,
    /// It outlived `max_lifetime`.
    Aged,
    /// Its health probes failed.
    Unhealthy,
    /// Its process or container ended by itself, or was ended from outside.
    Exited,
    /// It never became leasable.
    LaunchFailed,
    /// It could not be cleaned, or was not clean afterwards.
    ResetFailed,
    /// Its holder discarded it, panicked, or left an operation with an unknown outcome.
    Quarantined,
    /// Its lease ran out of time.
    LeaseExpired,
    /// The pool's spec changed.
    SpecChanged,
    /// The pool is draining, shrinking or shutting down.
    Drained,
    /// It belonged to an ostler that is no more.
    Orphaned,
    /// It was made beyond `max` for one lease, which ended.
    Overflow,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 13] = [
        Self::UsedUp,
        Self::Idle,
        Self::Aged,
        Self::Unhealthy,
        Self::Exited,
        Self::LaunchFailed,
        Self::ResetFailed,
        Self::Quarantined,
        Self::LeaseExpired,
        Self::SpecChanged,
        Self::Drained,
        Self::Orphaned,
        Self::Overflow,
    ];

    /// The name used in status, metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UsedUp => "used_up",
            Self::Idle => "idle",
            Self::Aged => "aged",
            Self::Unhealthy => "unhealthy",
            Self::Exited => "exited",
            Self::LaunchFailed => "launch_failed",
            Self::ResetFailed => "reset_failed",
            Self::Quarantined => "quarantined",
            Self::LeaseExpired => "lease_expired",
            Self::SpecChanged => "spec_changed",
            Self::Drained => "drained",
            Self::Orphaned => "orphaned",
            Self::Overflow => "overflow",
        }
    }

    /// Whether this end counts as a failure for the restart intensity window.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Unhealthy | Self::Exited | Self::LaunchFailed | Self::ResetFailed)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
