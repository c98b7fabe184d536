use std::collections::VecDeque;
use std::mem;
use std::task::Waker;

/// Places kept when nobody waits; beyond this the memory of a flood is given back.
const KEPT: usize = 1024;

/// Gaps in the line that are left alone.
const GAPS: usize = 64;

/// The takers that wait, oldest first: a ring, so that joining and serving each touch one place, and allocate
/// nothing once warm.
///
/// Whoever leaves from the middle leaves a gap. Gaps at either end go at once, the others when they outnumber
/// those who are there.
///
/// Wakers come in and go out by value: cloning, waking or dropping one runs foreign code, which must not happen
/// under the lock around this list.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Waiters {
    /// Sorted by number.
    line: VecDeque<Place>,
    gaps: usize,
    /// The number of whoever joins next.
    next: usize,
    // What follows is seldom written. Beyond the cache line that joining and serving write to, each processor has its
    // own copy of it.
    /// The number of who joined next after the clock last ticked.
    fresh: usize,
    limit: usize,
    closed: bool,
    /// Who waits once more: out of turn beside those who have been served since.
    again: Vec<usize>,
    /// When closed: the number from which on all were refused. Of those before it, who was waiting `again`.
    refused: usize,
    /// How many joined and got nothing.
    out: usize,
}

/// One waiter's, from joining until its turn comes or it leaves.
#[derive(Debug)]
pub(super) struct Place {
    /// By which its waiter finds it, wherever it has moved.
    pub(super) number: usize,
    /// To wake it; nothing in a gap.
    waker: Option<Waker>,
}

/// What a waiter that looks for its place finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    Waiting,
    /// The waker that would be woken is not this one.
    Moved,
    /// Its turn has come: what it gets is there, or just being brought.
    Called,
    /// The line was closed.
    Refused,
}

impl Waiters {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            line: VecDeque::new(),
            gaps: 0,
            next: 0,
            fresh: 0,
            limit,
            closed: false,
            again: Vec::new(),
            refused: 0,
            out: 0,
        }
    }

    /// How many wait.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.line.len() - self.gaps
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() >= self.limit
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) const fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// The number of whoever joins next.
    #[inline]
    pub(super) const fn next(&self) -> usize {
        self.next
    }

    /// A new waiter behind all others. Answers how many came before it since the clock ticked.
    #[inline]
    pub(super) fn join(&mut self, waker: Waker) -> usize {
        self.line.push_back(Place { number: self.next, waker: Some(waker) });
        self.next = self.next.wrapping_add(1);
        self.next.wrapping_sub(self.fresh) - 1
    }

    /// The oldest waiter's turn has come: its place, taken out of the line.
    #[inline]
    pub(super) fn serve(&mut self) -> Option<Place> {
        let served = self.line.pop_front();
        if self.gaps > 0 || self.line.is_empty() {
            self.tidy();
        }
        served
    }

    /// What has become of the waiter with this number, who would be woken by `waker`.
    pub(super) fn look(&self, number: usize, waker: &Waker) -> Look {
        match self.find(number).and_then(|index| self.line[index].waker.as_ref()) {
            Some(known) if known.will_wake(waker) => Look::Waiting,
            Some(_) => Look::Moved,
            None if self.has_refused(number) => Look::Refused,
            None => Look::Called,
        }
    }

    /// Whether the line was closed before this waiter's turn had come.
    pub(super) fn has_refused(&self, number: usize) -> bool {
        self.closed && (self.age(number) <= self.age(self.refused) || self.again.contains(&number))
    }

    /// How many got something.
    pub(super) fn served(&self) -> u64 {
        self.next.wrapping_sub(self.len()).wrapping_sub(self.out) as u64
    }

    /// Somebody got nothing after all, or gave it back.
    pub(super) const fn count_out(&mut self) {
        self.out = self.out.wrapping_add(1);
    }

    /// Has the waiter with this number woken by `waker` from now on, and answers the waker before; or gives this one
    /// back, if it waits no more.
    pub(super) fn renew(&mut self, number: usize, waker: Waker) -> Result<Waker, Waker> {
        match self.find(number).and_then(|index| self.line[index].waker.as_mut()) {
            Some(known) => Ok(mem::replace(known, waker)),
            None => Err(waker),
        }
    }

    /// Has a waiter whose turn had come for nothing wait once more in its old place.
    pub(super) fn rejoin(&mut self, number: usize, waker: Waker) {
        let older = |place: &Place| self.age(place.number) > self.age(number);
        let index = self.line.partition_point(older);
        self.line.insert(index, Place { number, waker: Some(waker) });
        self.forget_served();
        self.again.push(number);
    }

    /// The waiter with this number goes, if its turn has not come. Answers the waker.
    pub(super) fn leave(&mut self, number: usize) -> Option<Waker> {
        let index = self.find(number)?;
        let waker = self.line[index].waker.take();
        if waker.is_some() {
            self.gaps += 1;
            self.count_out();
        }
        self.tidy();
        waker
    }

    /// Refuses everybody, now and later. Answers who waited.
    pub(super) fn close(&mut self) -> VecDeque<Place> {
        self.closed = true;
        self.forget_served();
        let first = self.line.iter().find(|place| !self.again.contains(&place.number));
        self.refused = first.map_or(self.next, |place| place.number);
        self.out = self.out.wrapping_add(self.len());
        self.gaps = 0;
        mem::take(&mut self.line)
    }

    /// The clock ticked. Answers the wakers of those who joined since it last did: each is woken once though its
    /// turn has not come, to set itself a timer. Most never wait so long, and a timer costs more than all the rest
    /// of a wait.
    pub(super) fn remind(&mut self) -> Vec<Waker> {
        let fresh = self.next.wrapping_sub(mem::replace(&mut self.fresh, self.next));
        let next = self.next;
        let due = self.line.iter_mut().rev().take_while(|place| next.wrapping_sub(place.number) <= fresh);
        // Woken, it looks for its place and leaves its waker anew.
        due.filter_map(|place| place.waker.as_mut())
            .map(|waker| mem::replace(waker, Waker::noop().clone()))
            .collect()
    }

    /// Of those who waited once more, keeps who still does.
    fn forget_served(&mut self) {
        let mut again = mem::take(&mut self.again);
        again.retain(|number| self.find(*number).is_some());
        self.again = again;
    }

    /// Numbers wrap; their distance from the next one does not.
    const fn age(&self, number: usize) -> usize {
        self.next.wrapping_sub(number)
    }

    /// As far from the first place as its number says, or less where gaps have been closed.
    fn find(&self, number: usize) -> Option<usize> {
        let ahead = number.wrapping_sub(self.line.front()?.number);
        match self.line.get(ahead) {
            Some(place) if place.number == number => Some(ahead),
            _ => self.line.binary_search_by(|place| self.age(number).cmp(&self.age(place.number))).ok(),
        }
    }

    /// Closes the gaps at either end, and all of them when there are too many.
    #[cold]
    fn tidy(&mut self) {
        while self.line.pop_front_if(|place| place.is_gap()).is_some() {
            self.gaps -= 1;
        }
        while self.line.pop_back_if(|place| place.is_gap()).is_some() {
            self.gaps -= 1;
        }
        if self.gaps > self.line.len() / 2 + GAPS {
            self.line.retain(|place| place.waker.is_some());
            self.gaps = 0;
        }
        if self.line.is_empty() && self.line.capacity() > KEPT {
            self.line = VecDeque::new();
        }
    }
}

impl Place {
    const fn is_gap(&self) -> bool {
        self.waker.is_none()
    }

    /// Wakes who waits.
    #[inline]
    pub(super) fn wake(self) {
        if let Some(waker) = self.waker {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(waiters: &mut Waiters) -> usize {
        let number = waiters.next();
        waiters.join(Waker::noop().clone());
        number
    }

    /// Each once, whatever else happens.
    #[test]
    fn those_who_wait_when_the_clock_ticks_are_reminded_once() {
        let mut waiters = Waiters::new(usize::MAX);
        let first = join(&mut waiters);
        join(&mut waiters);
        assert_eq!(waiters.remind().len(), 2);
        assert_eq!(waiters.remind().len(), 0);
        join(&mut waiters);
        assert!(waiters.leave(first).is_some());
        assert_eq!(waiters.remind().len(), 1);
        assert!(waiters.serve().is_some(), "a reminder is no turn");
    }

    /// What was served is on its way to who was called, and must be waited for.
    #[test]
    fn who_was_called_is_not_refused_though_somebody_older_is() {
        let mut waiters = Waiters::new(usize::MAX);
        let [spoilt, called, waiting] = [(); 3].map(|()| join(&mut waiters));
        for number in [spoilt, called] {
            assert_eq!(waiters.serve().map(|place| place.number), Some(number));
        }
        waiters.rejoin(spoilt, Waker::noop().clone());
        assert_eq!(waiters.close().len(), 2);
        assert_eq!([spoilt, called, waiting].map(|number| waiters.has_refused(number)), [true, false, true]);
        assert_eq!(waiters.served(), 1);
    }

    /// By which the pool decides whose wait it times.
    #[test]
    fn those_who_join_are_counted_from_tick_to_tick() {
        let mut waiters = Waiters::new(usize::MAX);
        let count = |waiters: &mut Waiters| waiters.join(Waker::noop().clone());
        assert_eq!((count(&mut waiters), count(&mut waiters)), (0, 1));
        assert!(waiters.serve().is_some(), "those served are counted too");
        assert_eq!(count(&mut waiters), 2);
        waiters.remind();
        assert_eq!(count(&mut waiters), 0);
    }

    /// As long as they cost less than moving those behind them.
    #[test]
    fn gaps_are_closed_when_they_outnumber_those_who_are_there() {
        let mut waiters = Waiters::new(usize::MAX);
        let numbers: Vec<_> = (0..400).map(|_| join(&mut waiters)).collect();
        let left = 400 / 2 + GAPS;
        for number in &numbers[1..=left] {
            assert!(waiters.leave(*number).is_some());
            assert_eq!(waiters.line.len(), 400);
        }
        assert!(waiters.leave(numbers[left + 1]).is_some());
        assert_eq!((waiters.line.len(), waiters.len(), waiters.gaps), (399 - left, 399 - left, 0));
        assert_ne!(waiters.look(numbers[399], Waker::noop()), Look::Called, "it is found where it has moved");
    }

    /// Gaps at either end go at once.
    #[test]
    fn whoever_leaves_from_an_end_takes_the_gaps_beside_it_along() {
        let mut waiters = Waiters::new(usize::MAX);
        let numbers: Vec<_> = (0..8).map(|_| join(&mut waiters)).collect();
        for (leaves, line, gaps) in [(1, 8, 1), (6, 8, 2), (0, 6, 1), (7, 4, 0), (3, 4, 1)] {
            assert!(waiters.leave(numbers[leaves]).is_some());
            assert_eq!((waiters.line.len(), waiters.gaps), (line, gaps), "when {leaves} left");
        }
        assert_eq!(waiters.serve().map(|place| place.number), Some(numbers[2]));
        assert_eq!((waiters.line.len(), waiters.gaps), (2, 0));
    }

    /// P15: a flood's memory is given back, and what is of use every day is kept.
    #[test]
    fn the_places_of_a_flood_are_given_back() {
        let mut waiters = Waiters::new(usize::MAX);
        for (flood, kept) in [(KEPT, true), (KEPT + 1, false), (10, true)] {
            for _ in 0..flood {
                join(&mut waiters);
            }
            let capacity = waiters.line.capacity();
            while waiters.serve().is_some() {}
            assert_eq!(waiters.line.capacity(), if kept { capacity } else { 0 }, "after {flood}");
        }
    }

    #[test]
    fn who_is_to_be_woken_is_who_looked_last() {
        struct Other;
        impl std::task::Wake for Other {
            fn wake(self: std::sync::Arc<Self>) {}
        }
        let other = Waker::from(std::sync::Arc::new(Other));
        let mut waiters = Waiters::new(usize::MAX);
        let number = join(&mut waiters);
        assert_eq!(waiters.look(number, &other), Look::Moved);
        assert!(waiters.renew(number, other.clone()).is_ok());
        // Wakers that wake the same need not be told to do so.
        let same = if other.will_wake(&other.clone()) { Look::Waiting } else { Look::Moved };
        assert_eq!(waiters.look(number, &other), same);
        assert!(waiters.serve().is_some());
        assert_eq!(waiters.look(number, &other), Look::Called);
        assert!(waiters.renew(number, other).is_err());
    }

    /// Against a plain list that is searched from the front.
    #[test]
    fn a_long_random_history_keeps_the_order() {
        // Miri takes a thousand times as long.
        for seed in 0..if cfg!(miri) { 1 } else { 50 } {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut waiters = Waiters::new(usize::MAX);
            // Numbers wrap in the middle of it.
            waiters.next = usize::MAX - 500;
            waiters.fresh = waiters.next;
            let mut expected: Vec<usize> = Vec::new();
            let mut served: Vec<usize> = Vec::new();
            let busy = rng.u8(2..9);
            for _ in 0..2000 {
                match rng.u8(..10) {
                    roll if roll < busy => expected.push(join(&mut waiters)),
                    9 if !expected.is_empty() => {
                        let number = expected.remove(rng.usize(..expected.len()));
                        assert!(waiters.leave(number).is_some(), "seed {seed}");
                        assert!(waiters.leave(number).is_none(), "seed {seed}");
                    }
                    8 if !expected.is_empty() => {
                        let number = expected[rng.usize(..expected.len())];
                        assert!(waiters.renew(number, Waker::noop().clone()).is_ok(), "seed {seed}");
                        assert_ne!(waiters.look(number, Waker::noop()), Look::Called, "seed {seed}");
                    }
                    7 if !served.is_empty() => {
                        let number = served.swap_remove(rng.usize(..served.len()));
                        assert_eq!(waiters.look(number, Waker::noop()), Look::Called, "seed {seed}");
                        waiters.rejoin(number, Waker::noop().clone());
                        let age = |number: &usize| waiters.age(*number);
                        let older = expected.partition_point(|other| age(other) > age(&number));
                        expected.insert(older, number);
                    }
                    _ => {
                        let place = waiters.serve();
                        assert_eq!(place.is_some(), !expected.is_empty(), "seed {seed}");
                        if let Some(place) = place {
                            assert_eq!(place.number, expected.remove(0), "seed {seed}");
                            served.push(place.number);
                        }
                    }
                }
                assert_eq!(waiters.len(), expected.len(), "seed {seed}");
                assert!(waiters.line.len() <= 2 * (expected.len() + GAPS), "seed {seed}");
            }
        }
    }
}
