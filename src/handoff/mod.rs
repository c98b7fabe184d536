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
//! * put: push to `Q`; add one to `C`; if it was below zero, settle. (If `C` is below zero from the start, the lock
//!   is taken first and the oldest waiter gets the ticket past `Q`. The rest is the same.)
//! * take: subtract one from `C`; if it was above zero and `Q` yields a ticket, done. Else, under the lock: if nobody
//!   waits and `Q` yields after all, done; otherwise join `W` at the end.
//! * settle: under the lock, while both `W` and `Q` have something, hand the ticket to the oldest waiter; wake it
//!   after unlocking.
//! * cancel: under the lock, leave `W`; then add one to `C`, and settle if it was below zero. If a ticket had
//!   already been handed over, put it.
//!
//! # Why nobody waits beside a ready ticket
//!
//! Let `T` be takers that have subtracted but neither popped nor joined, `U` puts that have pushed but not added,
//! `X` waiters that have left but not added. Each step keeps `C = Q − W − T − U − X`, hence at rest `C = Q − W`.
//!
//! Whoever ends a settle, or joins, has seen `Q` empty under the lock with a waiter (or itself) in `W + T`. At that
//! moment `C < 0`. For a ticket to lie in `Q` beside a waiter later, somebody must have pushed it after that
//! moment, and then added. If the addition found `C < 0`, its owner settles. If not, somebody's addition since
//! that moment had crossed from −1 to 0, and that one settles. Either settle takes the lock after that moment, and
//! ends with `Q` or `W` empty. So whenever both have something, a settle is still to come.
//!
//! # Why nobody is overtaken
//!
//! While a waiter is not served, a take finds `C > 0` only if more tickets lie in `Q` than there are waiters, for
//! `Q = C + W + T + U + X`: it leaves one for each of them. All else goes through the list, oldest first.

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
