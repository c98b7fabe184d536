use std::fmt;

use serde::Serialize;

/// Where a runtime stands in its life.
///
/// ```text
///  Launching ─▶ Booting ─▶ Warming ─▶ Circulating ⇄ Resetting
///      │           │          │           │            │
///      └───────────┴──────────┴───────────┴────────────┴──▶ Retiring ─▶ Gone
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The backend is making it. Exits: `Booting`, `Retiring`.
    Launching,
    /// It exists; the guest has not yet said hello. Exits: `Warming`, `Retiring`.
    Booting,
    /// Workspace template, `warm_up` command and first probe. Exits: `Circulating`, `Retiring`.
    Warming,
    /// Its ticket is ready or leased. Exits: `Resetting`, `Retiring`.
    Circulating,
    /// Being cleaned between two leases. Exits: `Circulating`, `Retiring`.
    Resetting,
    /// Being destroyed. Exits: `Gone`.
    Retiring,
    /// Destroyed, or known never to have existed. Final.
    Gone,
}

impl State {
    /// Every state, in order of life.
    pub const ALL: [Self; 7] = [
        Self::Launching,
        Self::Booting,
        Self::Warming,
        Self::Circulating,
        Self::Resetting,
        Self::Retiring,
        Self::Gone,
    ];

    /// The name used in status, metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Launching => "launching",
            Self::Booting => "booting",
            Self::Warming => "warming",
            Self::Circulating => "circulating",
            Self::Resetting => "resetting",
            Self::Retiring => "retiring",
            Self::Gone => "gone",
        }
    }

    /// Whether a runtime may go from this state to `next`.
    #[must_use]
    #[expect(clippy::unnested_or_patterns, reason = "an edge a line, as the diagram has them")]
    pub const fn may_become(self, next: Self) -> bool {
        use State::{Booting, Circulating, Gone, Launching, Resetting, Retiring, Warming};
        matches!(
            (self, next),
            (Launching, Booting)
                | (Booting, Warming)
                | (Warming, Circulating)
                | (Circulating, Resetting)
                | (Resetting, Circulating)
                | (Launching | Booting | Warming | Circulating | Resetting, Retiring)
                | (Retiring, Gone)
        )
    }

    /// Whether the runtime is on its way to being leasable for the first time.
    #[must_use]
    pub const fn is_arriving(self) -> bool {
        matches!(self, Self::Launching | Self::Booting | Self::Warming)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
