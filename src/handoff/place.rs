use std::mem;
use std::task::{Poll, Waker};

use super::sync::{AtomicUsize, Mutex, MutexGuard, Ordering, PoisonError};

/// One waiter's place in the queue, shared by the waiter and whoever serves it. Whichever of them is last to let
/// go of it drops what was handed over and never collected.
#[derive(Debug)]
pub(super) struct Place<T> {
    /// The two of them meet here and nobody else; no waker is cloned, woken or dropped while it is held.
    turn: Mutex<Turn<T>>,
    /// Kept by the list, under its lock.
    number: AtomicUsize,
}

/// How it stands with one waiter.
#[derive(Debug)]
enum Turn<T> {
    /// To be woken by this.
    Waiting(Waker),
    Served(T),
    /// The handoff was closed, or the waiter has already got what it waited for.
    Over,
}

/// The handoff was closed while the waiter waited.
#[derive(Debug)]
pub(super) struct Closed;

impl<T> Place<T> {
    pub(super) const fn new(waker: Waker) -> Self {
        Self { turn: Mutex::new(Turn::Waiting(waker)), number: AtomicUsize::new(0) }
    }

    /// Hands over what was waited for.
    pub(super) fn serve(&self, gift: T) {
        self.end(Turn::Served(gift));
    }

    /// Ends the wait in vain.
    pub(super) fn refuse(&self) {
        self.end(Turn::Over);
    }

    fn end(&self, turn: Turn<T>) {
        let before = mem::replace(&mut *self.lock(), turn);
        if let Turn::Waiting(waker) = before {
            waker.wake();
        }
    }

    /// What was waited for, or else a note to wake `waker`.
    pub(super) fn look(&self, waker: &Waker) -> Poll<Result<T, Closed>> {
        let looked = self.look_as(waker);
        looked.unwrap_or_else(|| self.renew(waker.clone()))
    }

    /// Nothing, if another waker would be woken.
    fn look_as(&self, waker: &Waker) -> Option<Poll<Result<T, Closed>>> {
        let mut turn = self.lock();
        match &*turn {
            Turn::Waiting(known) => known.will_wake(waker).then_some(Poll::Pending),
            Turn::Served(_) | Turn::Over => Some(Poll::Ready(turn.collect())),
        }
    }

    fn renew(&self, waker: Waker) -> Poll<Result<T, Closed>> {
        let mut waker = waker;
        let mut turn = self.lock();
        match &mut *turn {
            Turn::Waiting(known) => {
                mem::swap(known, &mut waker);
                drop(turn);
                Poll::Pending
            }
            Turn::Served(_) | Turn::Over => Poll::Ready(turn.collect()),
        }
    }

    pub(super) fn number(&self) -> usize {
        self.number.load(Ordering::Relaxed)
    }

    pub(super) fn set_number(&self, number: usize) {
        self.number.store(number, Ordering::Relaxed);
    }

    /// A panic cannot happen under this lock.
    fn lock(&self) -> MutexGuard<'_, Turn<T>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Turn<T> {
    fn collect(&mut self) -> Result<T, Closed> {
        match mem::replace(self, Self::Over) {
            Self::Served(gift) => Ok(gift),
            Self::Waiting(_) | Self::Over => Err(Closed),
        }
    }
}
