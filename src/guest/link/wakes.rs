use std::task::Waker;

/// Wakers taken out of the connection's state, to be woken or dropped once its lock is free: both run code
/// that isn't ours and may well come back to the same connection.
#[derive(Debug, Default)]
pub(super) struct Wakes {
    /// The usual case, without an allocation.
    first: Option<Waker>,
    rest: Vec<Waker>,
    replaced: Option<Waker>,
}

impl Wakes {
    /// Wakes it later.
    pub(super) fn wake(&mut self, waker: Option<Waker>) {
        let Some(waker) = waker else { return };
        if self.first.is_none() {
            self.first = Some(waker);
        } else {
            self.rest.push(waker);
        }
    }

    /// Stores the poller's waker in `slot`; the one that was there is dropped later.
    pub(super) fn store(&mut self, slot: &mut Option<Waker>, waker: &Waker) {
        if slot.as_ref().is_none_or(|old| !old.will_wake(waker)) {
            self.replaced = slot.replace(waker.clone());
        }
    }

    /// Call it with the lock free.
    pub(super) fn run(self) {
        drop(self.replaced);
        for waker in self.first.into_iter().chain(self.rest) {
            waker.wake();
        }
    }
}
