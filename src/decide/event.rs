use crate::model::{PoolSpec, Reason, RuntimeId};

use super::Moment;

/// What happened. Everything a pool ever learns comes in as one of these.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Time passed, stock ran low, or a waiter queued. `lowest` is the lowest ready count since the last tick.
    /// Ages and idle stock are looked at in ticks, so one should come every second or so without cause.
    Tick {
        /// See above.
        lowest: usize,
    },
    /// The backend made the runtime; its guest is being greeted.
    Launched(RuntimeId),
    /// The guest answered.
    Booted(RuntimeId),
    /// Template, `warm_up` and first probe are through: leasable.
    Warmed(RuntimeId),
    /// It did not get that far.
    LaunchFailed(RuntimeId),
    /// Its lease ended and its ticket is in the supervisor's hands.
    Returned {
        /// Whose.
        id: RuntimeId,
        /// Leases served so far.
        uses: u64,
        /// How the lease left it.
        fate: Fate,
    },
    /// Its ticket was taken out of the ready ones, as asked by [`Command::Withdraw`] or [`Command::Condemn`].
    Withdrawn {
        /// Whose.
        id: RuntimeId,
        /// The reason the command gave.
        reason: Reason,
    },
    /// Its lease is over, though the holder has not given it back.
    LeaseExpired(RuntimeId),
    /// Clean again.
    ResetDone(RuntimeId),
    /// Not clean, or not known to be.
    ResetFailed(RuntimeId),
    /// Its process or container ended by itself, and not well.
    Exited(RuntimeId),
    /// Its process or container ended by itself, with status 0.
    Finished(RuntimeId),
    /// Its probes failed.
    Unhealthy(RuntimeId),
    /// Its actor died of a panic; what it stood for was destroyed with it.
    Crashed(RuntimeId),
    /// Destroyed, nothing left.
    Gone(RuntimeId),
    /// A lease was asked for with overflow allowed, none was ready, and its waiter is queued.
    OverflowWanted,
    /// The pool has new settings.
    Reconfigured(Box<PoolSpec>),
    /// End: no new leases, everything retired as it comes free.
    Drain,
    /// End now: leased runtimes and those being cleaned go too.
    DrainNow,
}

/// How a lease left its runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// As a lease leaves a runtime: used.
    Used,
    /// Discarded, panicked over, or with an operation whose outcome is unknown.
    Quarantined,
}

/// What must be done. The shell does each at once, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Make a runtime.
    Launch(RuntimeId),
    /// Its ticket goes to the ready ones, or the oldest waiter. Also the answer to [`Event::Withdrawn`] when it is
    /// needed again.
    Put(RuntimeId),
    /// Clean it.
    Reset(RuntimeId),
    /// Destroy it, whatever it is doing. If its ticket is in the supervisor's hands, that ends too.
    Retire(RuntimeId, Reason),
    /// It must not be leased again: if its ticket is ready, take it out and say [`Event::Withdrawn`]. A ticket
    /// handed to a waiter is leased, whether the waiter has woken up or not.
    Condemn(RuntimeId, Reason),
    /// Take one ready ticket out, if there is one, and say [`Event::Withdrawn`].
    Withdraw(Reason),
    /// From now on, signal when ready tickets are below this mark or a waiter queues; `None`, as at first: never,
    /// because nothing could be done about it.
    Watch(Option<usize>),
    /// Come back with a [`Event::Tick`] at this moment at the latest. Each holds until its own moment; a later one
    /// does not replace it.
    WakeAt(Moment),
    /// No more leases: fail the waiters.
    Close,
    /// The pool became degraded, or healed.
    Degraded(bool),
    /// A drained pool has no runtime left.
    Finished,
}

/// Tickets and waiters at the handoff, as the shell sees them when it calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stock {
    /// Leasable now.
    pub ready: usize,
    /// Queued.
    pub waiters: usize,
    /// Of these, those that may have a runtime beyond `max`.
    pub overflow: usize,
}

impl Stock {
    /// What it is once these have been done; of a condemned or withdrawn ticket that is not known before.
    pub(super) fn after(mut self, commands: &[Command]) -> Self {
        for _ in commands.iter().filter(|command| matches!(command, Command::Put(_))) {
            if self.waiters > 0 {
                self.waiters -= 1;
            } else {
                self.ready += 1;
            }
        }
        self
    }

    /// How many are ready for certain, once these have been done: any that is condemned may have been.
    pub(super) fn surely_ready(self, commands: &[Command]) -> usize {
        let condemned = commands.iter().filter(|command| matches!(command, Command::Condemn(..))).count();
        self.ready.saturating_sub(condemned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_goes_to_those_who_wait_and_then_to_the_ready_ones() {
        let put = |id| Command::Put(RuntimeId(id));
        let commands = [put(1), Command::Reset(RuntimeId(2)), put(3), put(4)];
        let stock = Stock { waiters: 1, ..Stock::default() };
        assert_eq!(stock.after(&commands[..1]), Stock::default());
        assert_eq!(stock.after(&commands), Stock { ready: 2, ..Stock::default() });
    }
}
