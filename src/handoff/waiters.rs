use std::collections::VecDeque;
use std::mem;
use std::task::Waker;

use slab::Slab;

/// What is kept when nobody waits; beyond this the memory of a flood is given back.
const KEPT: usize = 1024;

/// Gaps in the line that are left alone.
const GAPS: usize = 64;

/// The takers that wait, oldest first. Once warm, waiting allocates nothing.
///
/// Wakers come in and go out by value: cloning, waking or dropping one runs foreign code, which must not happen
/// under the lock around this list.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Waiters<T> {
    /// Those who wait, in order, by their places. Whoever leaves from the middle leaves a gap; gaps at either
    /// end go at once, the others when they outnumber those who wait. A linked list would need none, but joining
    /// or serving would write to a neighbour's memory too, which another processor has just used.
    line: VecDeque<Option<u32>>,
    /// The number of the first in line. Waiters are numbered as they join.
    first: usize,
    waiting: usize,
    places: Slab<Place<T>>,
    limit: usize,
    closed: bool,
}

/// One waiter's, from joining to leaving.
#[derive(Debug)]
struct Place<T> {
    number: usize,
    turn: Turn<T>,
}

/// How it stands with one waiter.
#[derive(Debug)]
pub(super) enum Turn<T> {
    /// In line; to be woken by this.
    Waiting(Waker),
    /// Out of the line, with what it waited for.
    Served(T),
    /// Out of the line: the handoff was closed.
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
    /// Its turn has come, but what it got is spoilt.
    Spoilt,
}

/// The handoff was closed while the waiter waited.
#[derive(Debug)]
pub(super) struct Closed;

impl<T> Waiters<T> {
    pub(super) const fn new(limit: usize) -> Self {
        Self { line: VecDeque::new(), first: 0, waiting: 0, places: Slab::new(), limit, closed: false }
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
    #[expect(clippy::cast_possible_truncation, reason = "2³² waiters fit no memory")]
    pub(super) fn join(&mut self, waker: Waker) -> u32 {
        let number = self.first.wrapping_add(self.line.len());
        let place = self.places.insert(Place { number, turn: Turn::Waiting(waker) }) as u32;
        self.line.push_back(Some(place));
        self.waiting += 1;
        place
    }

    /// Has the waiter at `place`, whose turn had come for nothing, wait once more, ahead of all others; or refuses
    /// it, if it is too late for that. Answers what its turn was.
    pub(super) fn rejoin(&mut self, place: u32, waker: Waker) -> Turn<T> {
        let waiter = &mut self.places[place as usize];
        if self.closed {
            return mem::replace(&mut waiter.turn, Turn::Refused);
        }
        self.first = self.first.wrapping_sub(1);
        waiter.number = self.first;
        self.line.push_front(Some(place));
        self.waiting += 1;
        mem::replace(&mut waiter.turn, Turn::Waiting(waker))
    }

    /// Hands `ticket` to the oldest waiter, and answers what was its turn before, with the waker in it. Gives the
    /// ticket back if nobody waits.
    pub(super) fn serve(&mut self, ticket: T) -> Result<Turn<T>, T> {
        match self.next() {
            Some(place) => Ok(mem::replace(&mut self.places[place as usize].turn, Turn::Served(ticket))),
            None => Err(ticket),
        }
    }

    fn next(&mut self) -> Option<u32> {
        while let Some(oldest) = self.line.pop_front() {
            self.first = self.first.wrapping_add(1);
            if oldest.is_some() {
                self.waiting -= 1;
                return oldest;
            }
        }
        None
    }

    /// What has become of the waiter at `place`, who would be woken by `waker` and wants nothing `spoilt`.
    pub(super) fn look(&mut self, place: u32, waker: &Waker, spoilt: impl Fn(&T) -> bool) -> Look<T> {
        match &self.places[place as usize].turn {
            Turn::Waiting(known) if known.will_wake(waker) => Look::Waiting,
            Turn::Waiting(_) => Look::Moved,
            Turn::Served(ticket) if spoilt(ticket) => Look::Spoilt,
            Turn::Served(_) | Turn::Refused => match self.leave(place) {
                Turn::Served(ticket) => Look::Over(Ok(ticket)),
                Turn::Waiting(_) | Turn::Refused => Look::Over(Err(Closed)),
            },
        }
    }

    /// Has the waiter at `place` woken by `waker` from now on, and answers the waker before; or gives this one
    /// back, if it waits no more.
    pub(super) fn renew(&mut self, place: u32, waker: Waker) -> Result<Waker, Waker> {
        match &mut self.places[place as usize].turn {
            Turn::Waiting(known) => Ok(mem::replace(known, waker)),
            Turn::Served(_) | Turn::Refused => Err(waker),
        }
    }

    /// Frees `place`, whether its turn has come or not.
    pub(super) fn leave(&mut self, place: u32) -> Turn<T> {
        let Place { number, turn } = self.places.remove(place as usize);
        if let Turn::Waiting(_) = turn {
            self.waiting -= 1;
            if let Some(entry) = self.line.get_mut(number.wrapping_sub(self.first)) {
                *entry = None;
            }
            self.close_gaps();
        }
        if self.places.is_empty() && self.places.capacity() > KEPT {
            self.places = Slab::new();
            self.line = VecDeque::new();
        }
        turn
    }

    fn close_gaps(&mut self) {
        while let Some(None) = self.line.back() {
            self.line.pop_back();
        }
        while let Some(None) = self.line.front() {
            self.line.pop_front();
            self.first = self.first.wrapping_add(1);
        }
        if self.line.len() > 2 * self.waiting + GAPS {
            self.line.retain(Option::is_some);
            for (index, place) in self.line.iter().flatten().enumerate() {
                self.places[*place as usize].number = self.first.wrapping_add(index);
            }
        }
    }

    /// Refuses everybody, now and later. Answers their turns, with the wakers in them.
    pub(super) fn close(&mut self) -> Vec<Turn<T>> {
        self.closed = true;
        self.waiting = 0;
        let line = mem::take(&mut self.line);
        let refuse = |place| mem::replace(&mut self.places[place as usize].turn, Turn::Refused);
        line.into_iter().flatten().map(refuse).collect()
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
