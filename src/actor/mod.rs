//! The actors: a thin shell around [`decide`](crate::decide).
//!
//! ```text
//!   supervisor's arbiter     thread "ostler"            watchers' arbiter
//!   ┌────────────┐           ┌─────────────────┐        ┌──────────────────────────┐
//!   │ Supervisor │── Begin ─▶│ Runtime ×N      │        │ Health       probes, verdicts
//!   │ ▲  ▲  ▲    │   Reset   │  │   ▲  their   │        │ Maintenance  ticks, the coarse clock
//!   │ │  │  │    │   Retire  │  │   │  I/O     │        │ Metrics      figures, event stream
//!   │ │  │  └────┼─ Reported ┼──┘   └──────────┼─ Probe ┤                          │
//!   │ │  └───────┼───────────┼─────────────────┼────────┤ Verdict, Ticked          │
//!   └─┼──────────┘           │ Office   Watch  │        └──────────────────────────┘
//!     │                      └─────────────────┘
//!     └── Returned, StockLow: from the handoff, on any thread
//! ```
//!
//! Decisions, runtimes and watching are on three threads, so that a flood of one cannot hold up the others. A panic ends
//! with the handler it happened in: the Supervisor starts over from what the Runtimes say of themselves, a Runtime
//! ends what it stands for and is replaced; a Health, Maintenance or Metrics that panics is started again. When the
//! watchers' thread [hangs](watch::Watch) all three are started on another, and when the supervisor's
//! [does](office::Office), another supervisor takes over what it left. Tickers are tasks of their own, because a flooded
//! actor would starve its own timers.

mod chair;
mod clock;
mod contain;
mod end;
mod faults;
mod health;
mod maintenance;
mod metrics;
mod office;
mod pulse;
mod receipt;
mod runtime;
mod shared;
mod supervisor;
mod tenure;
mod tree;
mod vigil;
mod watch;
mod watchers;

pub(crate) use chair::{Chair, Unheard};
pub(crate) use faults::Faults;
pub(crate) use metrics::Subscriber;
pub(crate) use receipt::Receipt;
pub(crate) use shared::{Resource, Shared, TIMER_AT_ONCE, Wish};
pub(crate) use supervisor::{
    Charter, Drain, DrainNow, Inspect, LetGo, MadeBy, OpenPool, Reconfigure, Resize, Supervisor,
};
pub(crate) use tree::{Placement, Tree};
