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
//! One signed counter `C` (above zero: ready tickets; below: waiters), a lock-free queue `Q` of ready tickets, and
//! the line `W` of waiters under a lock of its own, which no fast path touches.
//!
//! * put: push to `Q`; add one to `C`; if it was below zero, settle. A ticket that was awaited the last time goes to
//!   the oldest waiter past `Q`, under the lock, and one is added to `C`; if nobody waits, it is put as any other.
//! * take: subtract one from `C`; if it was above zero and `Q` yields a ticket, done. Else, under the lock: if nobody
//!   waits and `Q` yields after all, done; if there are both, settle first; else join `W` at the end.
//! * settle: under the lock, while both `W` and `Q` have something, hand the ticket to the oldest waiter; wake it
//!   after unlocking.
//! * cancel: under the lock, leave `W`; then add one to `C`. If a ticket had already been handed over, put it.
//!
//! # Why nobody waits beside a ready ticket
//!
//! Let `A` be the tickets in `Q`, less the puts that have pushed but not yet added their one; `T` the takers that
//! have subtracted but neither popped nor joined; `X` the waiters that are served past `Q` or gone, and not yet added
//! back. Each step keeps `C = A − W − T − X`.
//!
//! Whenever `W > 0` and `A > 0`, somebody is about to settle, which ends with `W` or `Q` empty:
//!
//! * A put that adds its one while `A ≤ 0 < W` finds `C < 0`, and settles.
//! * One that adds it while `A > 0` and `W > 0` leaves it to whoever is about to settle already.
//! * A taker joins only when it has seen `Q` empty under the lock: `A` is not above zero then.
//! * A waiter that finds its ticket condemned on the way rejoins where it was, and settles.
//!
//! At rest every put has added its one and nobody is about to settle, so `W` or `Q` is empty, and `C = Q − W`.
//!
//! # Why nobody is overtaken
//!
//! `A = C + W + T + X`: a take that finds `C > 0` leaves a ticket for each who waits, and somebody is about to hand
//! it over. All others go through the line, oldest first.

#![deny(unsafe_code)]

mod exchange;
mod gauge;
mod handle;
mod sync;
mod take;
mod taken;
mod tally;
mod ticket;
mod waiters;

pub use handle::{Handoff, Hooks};
pub use take::{Take, TakeError};
pub use taken::Taken;
pub use tally::Stock;
pub use ticket::{Tether, Ticket};
