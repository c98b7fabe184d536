use std::mem;
use std::task::Waker;

use slab::Slab;

/// No place: the end of the list.
const NONE: usize = usize::MAX;

/// Places kept when nobody waits; beyond this the memory of a flood is given back.
const KEPT: usize = 1024;

/// The takers that wait, oldest first: a doubly linked list inside a slab, so that waiting allocates nothing
/// once warm and leaving takes constant time from anywhere.
///
/// Wakers come in and go out by value: cloning, waking or dropping one runs foreign code, which must not happen
/// under the lock around this list.
#[derive(Debug)]
pub(super) struct Waiters<T> {
    places: Slab<Place<T>>,
    oldest: usize,
    newest: usize,
    waiting: usize,
    limit: usize,
    closed: bool,
}

/// One waiter's, from joining to leaving. Linked only while it waits.
#[derive(Debug)]
struct Place<T> {
    older: usize,
    newer: usize,
    turn: Turn<T>,
}

/// How it stands with one waiter.
#[derive(Debug)]
pub(super) enum Turn<T> {
    /// In the list; to be woken by this.
    Waiting(Waker),
    /// Out of the list, with what it waited for.
    Served(T),
    /// Out of the list: the handoff was closed.
    Refused,
}

/// What a waiter that looks at its place finds.
#[derive(Debug)]
pub(super) enum Look<T> {
    /// Its turn has come; the place is free again.
    Over(Result<T, Closed>),
    /// Not yet.
    Waiting,
    /// Not yet, and the waker that would be woken is not this one.
    Moved,
}

/// The handoff was closed while the waiter waited.
#[derive(Debug)]
pub(super) struct Closed;

impl<T> Waiters<T> {
    pub(super) const fn new(limit: usize) -> Self {
        Self { places: Slab::new(), oldest: NONE, newest: NONE, waiting: 0, limit, closed: false }
    }

    /// How many wait. Those served or refused no longer do.
    pub(super) const fn len(&self) -> usize {
        self.waiting
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    pub(super) const fn is_full(&self) -> bool {
        self.waiting >= self.limit
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) const fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// A new waiter behind all others. Answers its place.
    pub(super) fn join_behind(&mut self, waker: Waker) -> usize {
        self.link(self.newest, NONE, waker)
    }

    /// A new waiter ahead of all others. Answers its place.
    pub(super) fn join_ahead(&mut self, waker: Waker) -> usize {
        self.link(NONE, self.oldest, waker)
    }

    /// Hands `ticket` to the oldest waiter. Answers what was its turn before, with the waker in it. Somebody
    /// must be waiting.
    pub(super) fn serve(&mut self, ticket: T) -> Turn<T> {
        self.end_turn(Turn::Served(ticket))
    }

    /// What has become of the waiter at `place`, who would be woken by `waker`.
    pub(super) fn look(&mut self, place: usize, waker: &Waker) -> Look<T> {
        match &self.places[place].turn {
            Turn::Waiting(known) if known.will_wake(waker) => Look::Waiting,
            Turn::Waiting(_) => Look::Moved,
            Turn::Served(_) | Turn::Refused => match self.leave(place) {
                Turn::Served(ticket) => Look::Over(Ok(ticket)),
                Turn::Waiting(_) | Turn::Refused => Look::Over(Err(Closed)),
            },
        }
    }

    /// Has the waiter at `place` woken by `waker` from now on, if it still waits. Answers the waker not needed.
    pub(super) fn renew(&mut self, place: usize, waker: Waker) -> Waker {
        match &mut self.places[place].turn {
            Turn::Waiting(known) => mem::replace(known, waker),
            Turn::Served(_) | Turn::Refused => waker,
        }
    }

    /// Frees `place`, whether its turn has come or not.
    pub(super) fn leave(&mut self, place: usize) -> Turn<T> {
        if matches!(self.places[place].turn, Turn::Waiting(_)) {
            self.unlink(place);
        }
        let turn = self.places.remove(place).turn;
        if self.places.is_empty() && self.places.capacity() > KEPT {
            self.places = Slab::new();
        }
        turn
    }

    /// Refuses everybody, now and later. Answers their turns, with the wakers in them.
    pub(super) fn close(&mut self) -> Vec<Turn<T>> {
        self.closed = true;
        (0..self.waiting).map(|_| self.end_turn(Turn::Refused)).collect()
    }

    fn end_turn(&mut self, turn: Turn<T>) -> Turn<T> {
        let oldest = self.oldest;
        self.unlink(oldest);
        mem::replace(&mut self.places[oldest].turn, turn)
    }

    fn link(&mut self, older: usize, newer: usize, waker: Waker) -> usize {
        let place = self.places.insert(Place { older, newer, turn: Turn::Waiting(waker) });
        self.bind(older, place);
        self.bind(place, newer);
        self.waiting += 1;
        place
    }

    fn unlink(&mut self, place: usize) {
        let Place { older, newer, .. } = self.places[place];
        self.bind(older, newer);
        self.waiting -= 1;
    }

    /// Makes two places neighbours; at [`NONE`], the end of the list.
    fn bind(&mut self, older: usize, newer: usize) {
        match self.places.get_mut(older) {
            Some(place) => place.newer = newer,
            None => self.oldest = newer,
        }
        match self.places.get_mut(newer) {
            Some(place) => place.older = older,
            None => self.newest = older,
        }
    }
}

impl<T> Turn<T> {
    /// Wakes who waits.
    pub(super) fn wake(self) {
        if let Self::Waiting(waker) = self {
            waker.wake();
        }
    }
}
