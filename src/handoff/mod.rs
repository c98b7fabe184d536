//! The hot path of a pool: tickets move by value between those who put them and those who take them.
//!
//! ```text
//!            issue, put                       take, try_take
//!   owner ──────────────▶ ready ⇄ waiters ──────────────────▶ Taken ──▶ lease
//!     ▲                     │                                   │
//!     │ withdraw            │                    put straight   │ reuse, or never leased
//!     ├─────────────────────┘      ready ◀──────────────────────┤
//!     │ on_return: leased, condemned, closed                    │ dropped
//!     └─────────────────────────────────────────────────────────┘
//! ```
//!
//! # Algorithm
//!
//! A lock-free store `Q` of ready tickets, the line `W` of waiters under a lock of its own (the desk), and the gate
//! `G`, one word that says how many wait. `G` changes under the lock only; who finds it open touches neither lock
//! nor line. While nobody waits it is never written, and while everybody waits `Q` is not touched.
//!
//! * take: if `G` is open and `Q` yields a ticket, done. Else, under the lock: if nobody waits, shut `G`, and if `Q`
//!   yields after all, open it again, done. Else join `W` at the end.
//! * put: if `G` is not open, hand the ticket to the oldest waiter, under the lock. If it is, or nobody waits any
//!   more, push to `Q`, and then look at `G`: if it is not open, settle.
//! * `Q` is a queue and, for tickets that leases give back, one place for each of some threads. A pop looks into its
//!   thread's place, the queue, and all places; it finds nothing only if each was empty when it looked, after it began.
//! * settle: under the lock, while both `W` and `Q` have something, hand the ticket to the oldest waiter; wake it
//!   after unlocking.
//! * handing over: under the lock, call the oldest waiter out of the line; after it, put the ticket into the waiter's
//!   seat, where it is found without the lock, and wake it. If something for somebody called long ago still lies there,
//!   the ticket is left at the desk. A waiter that looks in between finds itself called and nothing there, and looks
//!   again: whoever called it is about to bring the ticket, and does nothing else meanwhile.
//! * cancel: under the lock, leave `W`. If its turn had come, wait for the ticket, and put it.
//!
//! # Why nobody waits beside a ready ticket
//!
//! A put pushes and then looks at `G`; a taker that is the first to wait shuts `G` and then looks into `Q`. There is
//! one order of these four (all are `SeqCst`; the queue's push changes its tail so, and a pop that finds nothing has
//! looked at the tail behind a fence), so that either the put sees the gate shut, and settles, or the taker sees the
//! ticket, wherever in `Q` it lies. While others wait the gate is not open, and whoever pushes then settles. A waiter
//! that finds its ticket condemned on the way shuts `G`, rejoins where it was, and settles. So whenever `W` and `Q`
//! both have something, somebody is about to settle, which ends with one of them empty.
//!
//! # Why nobody is overtaken
//!
//! Past the line goes only who found the gate open: nobody waited when it came. All others go through the line,
//! oldest first. A ticket that is put while somebody waits goes to the oldest, or to one who came before him.

#![deny(unsafe_code)]

mod exchange;
mod gate;
mod gauge;
mod handle;
mod ready;
mod seat;
mod sync;
mod take;
mod taken;
#[cfg(test)]
mod tests;
mod ticket;
mod waiters;

pub use handle::{Handoff, Hooks, Stock};
pub use take::{Take, TakeError};
pub use taken::Taken;
pub use ticket::{Tether, Ticket};
