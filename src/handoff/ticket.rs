use std::fmt;

use crate::model::{Epoch, RuntimeId};

use super::exchange::Exchange;
use super::sync::{Arc, AtomicBool, Ordering};

/// The owned value that stands for one leasable runtime: who holds it holds the runtime. One pointer wide.
///
/// A ticket out of circulation is a plain value: dropping it drops the resource and nothing else. In
/// circulation it is ready, or it is with a taker, guarded by [`Taken`](super::Taken).
#[must_use = "dropped, the runtime is in circulation no more"]
pub struct Ticket<R>(Box<Record<R>>);

struct Record<R> {
    runtime: RuntimeId,
    epoch: Epoch,
    uses: u64,
    idle_since: u64,
    leased: bool,
    /// Whether it was handed to a waiter when last put: then it will be awaited again.
    awaited: bool,
    tether: Tether<R>,
    resource: R,
}

/// Ties a ticket to its handoff, and lets the runtime's owner condemn it wherever it is. Cheap to clone.
pub struct Tether<R>(Arc<Knot<R>>);

/// One per ticket. A ticket that goes home pushes itself into a queue that it alone leads to, so that something
/// else must hold on to that queue meanwhile: a reference to the knot, whose count no other lease touches.
struct Knot<R> {
    /// To be leased no more.
    condemned: AtomicBool,
    /// Not even by whom it has been handed to.
    spoilt: AtomicBool,
    home: Arc<Exchange<R>>,
}

impl<R> Ticket<R> {
    pub(super) fn new(runtime: RuntimeId, resource: R, home: Arc<Exchange<R>>) -> Self {
        let tether = Tether(Arc::new(Knot {
            condemned: AtomicBool::new(false),
            spoilt: AtomicBool::new(false),
            home,
        }));
        Self(Box::new(Record {
            runtime,
            epoch: Epoch::default(),
            uses: 0,
            idle_since: 0,
            leased: false,
            awaited: false,
            tether,
            resource,
        }))
    }

    /// The runtime it stands for.
    #[must_use]
    pub fn runtime(&self) -> RuntimeId {
        self.0.runtime
    }

    /// The epoch of the current lease, or of the last one.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.0.epoch
    }

    /// Leases begun, the current one included.
    #[must_use]
    pub fn uses(&self) -> u64 {
        self.0.uses
    }

    /// When it was last put, by the handoff's coarse clock, milliseconds.
    #[must_use]
    pub fn idle_since(&self) -> u64 {
        self.0.idle_since
    }

    /// How long it has been ready, by the handoff's coarse clock, milliseconds.
    #[must_use]
    pub fn idle(&self) -> u64 {
        self.tether().home().gauge.now().saturating_sub(self.0.idle_since)
    }

    /// Whether it was leased since it was last put.
    #[must_use]
    pub fn is_leased(&self) -> bool {
        self.0.leased
    }

    /// Whether its runtime must not be leased any more.
    #[must_use]
    pub fn is_condemned(&self) -> bool {
        self.tether().is_condemned()
    }

    /// Whether not even a waiter that it has been handed to may lease it.
    pub(super) fn is_spoilt(&self) -> bool {
        self.tether().is_spoilt()
    }

    /// What a lease works with.
    #[must_use]
    pub fn resource(&self) -> &R {
        &self.0.resource
    }

    pub(super) fn resource_mut(&mut self) -> &mut R {
        &mut self.0.resource
    }

    /// Its tie to the handoff, for the runtime's owner to keep.
    #[must_use]
    pub fn tether(&self) -> &Tether<R> {
        &self.0.tether
    }

    /// Makes the runtime leasable: to the oldest waiter, or else ready. A condemned ticket, or one whose
    /// handoff is closed, goes to `on_return` instead.
    pub fn put(mut self) {
        self.rest();
        let tether = self.0.tether.clone();
        tether.home().put(self);
    }

    /// Ends its life as a ticket.
    #[must_use]
    pub fn into_resource(self) -> R {
        self.0.resource
    }

    /// Back into circulation as it is.
    pub(super) fn restore(self) {
        let tether = self.0.tether.clone();
        tether.home().put_back(self);
    }

    /// To the `on_return` hook.
    pub(super) fn go_home(self) {
        let tether = self.0.tether.clone();
        tether.home().return_to_owner(self);
    }

    pub(super) fn was_awaited(&self) -> bool {
        self.0.awaited
    }

    pub(super) fn set_awaited(&mut self, awaited: bool) {
        self.0.awaited = awaited;
    }

    pub(super) fn lease(&mut self) -> Epoch {
        self.0.epoch.0 += 1;
        self.0.uses += 1;
        self.0.leased = true;
        self.0.epoch
    }

    pub(super) fn rest(&mut self) {
        self.0.idle_since = self.tether().home().gauge.now();
        self.0.leased = false;
    }
}

impl<R> Tether<R> {
    /// Has the runtime leased no more: its ticket goes to `on_return` at the latest when somebody would take
    /// it. A lease under way is not disturbed.
    pub fn condemn(&self) {
        // In this order: a ticket that is found spoilt goes to the owner, who asks whether it is condemned.
        self.0.condemned.store(true, Ordering::Release);
        self.0.spoilt.store(true, Ordering::Release);
    }

    /// As [`condemn`](Self::condemn), but a waiter it has been handed to may still lease it: nothing is wrong with
    /// its runtime, it is only to be the last lease.
    pub fn expire(&self) {
        self.0.condemned.store(true, Ordering::Release);
    }

    pub(super) fn is_spoilt(&self) -> bool {
        self.0.spoilt.load(Ordering::Acquire)
    }

    /// Whether it has been condemned.
    #[must_use]
    pub fn is_condemned(&self) -> bool {
        self.0.condemned.load(Ordering::Acquire)
    }

    /// Whether nothing is tied to it any more: the ticket has ended, and this is the only end of its tether.
    #[must_use]
    pub fn is_loose(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    fn home(&self) -> &Exchange<R> {
        &self.0.home
    }
}

impl<R> Clone for Tether<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R> fmt::Debug for Ticket<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("runtime", &self.0.runtime)
            .field("epoch", &self.0.epoch)
            .field("uses", &self.0.uses)
            .field("leased", &self.0.leased)
            .field("condemned", &self.is_condemned())
            .finish_non_exhaustive()
    }
}

impl<R> fmt::Debug for Tether<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tether").field("condemned", &self.is_condemned()).finish_non_exhaustive()
    }
}
