use std::collections::VecDeque;

use super::place::Place;
use super::sync::Arc;

/// Room kept when nobody waits; beyond this the memory of a flood is given back.
const KEPT: usize = 1024;

/// Gaps that are left alone.
const GAPS: usize = 64;

/// The takers that wait, oldest first.
///
/// A ring: takers join behind and are served in front, at memory that two threads seldom touch together. Whoever
/// leaves from the middle leaves a gap; gaps at either end go at once, and the others when they outnumber those
/// who wait.
#[derive(Debug)]
pub(super) struct Waiters<T> {
    ring: VecDeque<Option<Arc<Place<T>>>>,
    /// The number of the place in front. Places are numbered as they join.
    front: usize,
    waiting: usize,
    limit: usize,
    closed: bool,
}

impl<T> Waiters<T> {
    pub(super) const fn new(limit: usize) -> Self {
        Self { ring: VecDeque::new(), front: 0, waiting: 0, limit, closed: false }
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

    /// Behind all others.
    pub(super) fn join_behind(&mut self, place: Arc<Place<T>>) {
        place.set_number(self.front.wrapping_add(self.ring.len()));
        self.ring.push_back(Some(place));
        self.waiting += 1;
    }

    /// Ahead of all others.
    pub(super) fn join_ahead(&mut self, place: Arc<Place<T>>) {
        self.front = self.front.wrapping_sub(1);
        place.set_number(self.front);
        self.ring.push_front(Some(place));
        self.waiting += 1;
    }

    /// The oldest, who waits no more.
    pub(super) fn next(&mut self) -> Option<Arc<Place<T>>> {
        while let Some(oldest) = self.ring.pop_front() {
            self.front = self.front.wrapping_add(1);
            if oldest.is_some() {
                self.waiting -= 1;
                return oldest;
            }
        }
        None
    }

    /// Out of the queue, if still in it. Answers the place.
    pub(super) fn leave(&mut self, place: &Arc<Place<T>>) -> Option<Arc<Place<T>>> {
        let index = place.number().wrapping_sub(self.front);
        let left = self.ring.get_mut(index)?.take_if(|known| Arc::ptr_eq(known, place))?;
        self.waiting -= 1;
        self.tidy();
        Some(left)
    }

    /// Refuses later ones. Answers those who wait now.
    pub(super) fn close(&mut self) -> VecDeque<Option<Arc<Place<T>>>> {
        self.closed = true;
        self.waiting = 0;
        std::mem::take(&mut self.ring)
    }

    fn tidy(&mut self) {
        while let Some(None) = self.ring.back() {
            self.ring.pop_back();
        }
        while let Some(None) = self.ring.front() {
            self.ring.pop_front();
            self.front = self.front.wrapping_add(1);
        }
        if self.ring.len() > 2 * self.waiting + GAPS {
            self.ring.retain(Option::is_some);
            for (index, place) in self.ring.iter().flatten().enumerate() {
                place.set_number(self.front.wrapping_add(index));
            }
        }
        if self.ring.capacity() > KEPT && self.ring.is_empty() {
            self.ring = VecDeque::new();
        }
    }
}
