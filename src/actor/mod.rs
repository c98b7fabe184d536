//! The actors: a thin shell around [`decide`](crate::decide).
//!
//! ```text
//!   arbiter "ostler"                                   arbiter "ostler-watch"
//!   ┌────────────────────────────────────┐             ┌──────────────────────────┐
//!   │ Supervisor ── Begin Reset Retire ─▶│ Runtime ×N  │ Health       probes, verdicts
//!   │   ▲  ▲  ▲                          │  │   ▲      │ Maintenance  ticks, the coarse clock
//!   │   │  │  └──────── Reported ────────┼──┘   └─Probe┤ Metrics      figures, event stream
//!   │   │  └─────────── Verdict, Ticked ─┼─────────────┤                          │
//!   └───┼────────────────────────────────┘             └──────────────────────────┘
//!       └── Returned, StockLow: from the handoff, on any thread
//! ```
//!
//! Lease traffic and watching are on two threads, so that a flood of one cannot hold up the other. A panic ends
//! with the handler it happened in: the Supervisor starts over from what the Runtimes say of themselves, a Runtime
//! ends what it stands for and is replaced; a Health, Maintenance or Metrics that panics is started again, and all three on another
//! thread when theirs [hangs](watch::Watch). Tickers are tasks of their own, because a flooded actor would starve its own timers.

mod clock;
mod contain;
mod end;
mod faults;
mod health;
mod maintenance;
mod metrics;
mod pulse;
mod receipt;
mod runtime;
mod shared;
mod supervisor;
mod tenure;
mod tree;
mod watch;
mod watchers;

pub(crate) use faults::Faults;
pub(crate) use metrics::Subscriber;
pub(crate) use receipt::Receipt;
pub(crate) use shared::{Resource, Shared, TIMER_AT_ONCE};
pub(crate) use supervisor::{Drain, DrainNow, Inspect, MadeBy, OpenPool, Reconfigure, Supervisor};
pub(crate) use tree::{Placement, Tree};
