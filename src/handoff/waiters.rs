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
pub(super) struct Waiters<T> {
    /// Sorted by number.
    line: VecDeque<Place<T>>,
    /// Nobody before this index waits.
    oldest: usize,
    waiting: usize,
    gaps: usize,
    /// How many have joined since the clock last ticked.
    recent: usize,
    limit: usize,
    closed: bool,
}

/// One waiter's, from joining to leaving.
#[derive(Debug)]
struct Place<T> {
    /// By which its waiter finds it, wherever it has moved.
    number: usize,
    /// It has seen the clock tick.
    reminded: bool,
    turn: Turn<T>,
}

/// How it stands with one waiter.
#[derive(Debug)]
pub(super) enum Turn<T> {
    /// To be woken by this.
    Waiting(Waker),
    /// Has what it waited for.
    Served(T),
    /// The handoff was closed.
    Refused,
    /// Gone.
    Left,
}

/// What a waiter that looks at its place finds.
#[derive(Debug)]
pub(super) enum Look<T> {
    /// Its turn has come. The place is gone.
    Served(T),
    /// The handoff was closed. The place is gone.
    Refused,
    /// Not yet.
    Waiting,
    /// Not yet, and the waker that would be woken is not this one.
    Moved,
    /// Its turn has come, but what it got is spoilt.
    Spoilt,
}

impl<T> Waiters<T> {
    pub(super) const fn new(limit: usize) -> Self {
        Self { line: VecDeque::new(), oldest: 0, waiting: 0, gaps: 0, recent: 0, limit, closed: false }
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

    /// A new waiter behind all others. Answers the number of its place, and how many came before it since the
    /// clock ticked.
    #[inline]
    pub(super) fn join(&mut self, waker: Waker) -> (usize, usize) {
        let number = self.line.back().map_or(0, |newest| newest.number.wrapping_add(1));
        self.line.push_back(Place { number, reminded: false, turn: Turn::Waiting(waker) });
        self.waiting += 1;
        self.recent += 1;
        (number, self.recent - 1)
    }

    /// Hands `ticket` to the oldest waiter, and answers what was its turn before, with the waker in it. Gives the
    /// ticket back if nobody waits.
    #[inline]
    pub(super) fn serve(&mut self, ticket: T) -> Result<Turn<T>, T> {
        while let Some(place) = self.line.get_mut(self.oldest) {
            self.oldest += 1;
            if let Turn::Waiting(_) = place.turn {
                self.waiting -= 1;
                return Ok(mem::replace(&mut place.turn, Turn::Served(ticket)));
            }
        }
        Err(ticket)
    }

    /// What has become of the waiter at `number`, who would be woken by `waker` and wants nothing `spoilt`.
    #[inline]
    pub(super) fn look(&mut self, number: usize, waker: &Waker, spoilt: impl Fn(&T) -> bool) -> Look<T> {
        let Some(index) = self.find(number) else { return Look::Refused };
        match &self.line[index].turn {
            Turn::Waiting(known) if known.will_wake(waker) => Look::Waiting,
            Turn::Waiting(_) => Look::Moved,
            Turn::Served(ticket) if spoilt(ticket) => Look::Spoilt,
            _ => match self.vacate(index) {
                Turn::Served(ticket) => Look::Served(ticket),
                _ => Look::Refused,
            },
        }
    }

    /// Has the waiter at `number` woken by `waker` from now on, and answers the waker before; or gives this one
    /// back, if it waits no more.
    pub(super) fn renew(&mut self, number: usize, waker: Waker) -> Result<Waker, Waker> {
        match self.find(number).map(|index| &mut self.line[index].turn) {
            Some(Turn::Waiting(known)) => Ok(mem::replace(known, waker)),
            _ => Err(waker),
        }
    }

    /// Has the waiter at `number`, whose turn had come for nothing, wait once more in its old place. Answers what
    /// its turn was.
    pub(super) fn rejoin(&mut self, number: usize, waker: Waker) -> Turn<T> {
        let Some(index) = self.find(number) else { return Turn::Waiting(waker) };
        self.oldest = self.oldest.min(index);
        self.waiting += 1;
        mem::replace(&mut self.line[index].turn, Turn::Waiting(waker))
    }

    /// Refuses the waiter at `number`, whose turn had come for nothing. Answers what its turn was.
    pub(super) fn refuse(&mut self, number: usize) -> Turn<T> {
        let Some(index) = self.find(number) else { return Turn::Left };
        mem::replace(&mut self.line[index].turn, Turn::Refused)
    }

    /// The waiter at `number` goes, whether its turn has come or not. Answers what it was.
    pub(super) fn leave(&mut self, number: usize) -> Turn<T> {
        let turn = self.find(number).map_or(Turn::Left, |index| self.vacate(index));
        if let Turn::Waiting(_) = turn {
            self.waiting -= 1;
        }
        turn
    }

    /// Refuses everybody, now and later. Answers their turns, with the wakers in them.
    pub(super) fn close(&mut self) -> Vec<Turn<T>> {
        self.closed = true;
        self.waiting = 0;
        let waiting = self.line.iter_mut().filter(|place| matches!(place.turn, Turn::Waiting(_)));
        waiting.map(|place| mem::replace(&mut place.turn, Turn::Refused)).collect()
    }

    /// The clock ticked. Answers the turns of those who joined since it last did, with their wakers in them: each
    /// is woken once though its turn has not come, to set itself a timer. Most never wait so long, and a timer
    /// costs more than all the rest of a wait.
    pub(super) fn remind(&mut self) -> Vec<Turn<T>> {
        self.recent = 0;
        let mut due = Vec::new();
        // Those before one who was reminded were so with it.
        for place in self.line.iter_mut().rev().take_while(|place| !place.reminded) {
            place.reminded = true;
            if let Turn::Waiting(waker) = &mut place.turn {
                // Woken, it looks at its place and leaves its waker anew.
                due.push(Turn::Waiting(mem::replace(waker, Waker::noop().clone())));
            }
        }
        due
    }

    /// As far from the first place as its number says, or less where gaps have been closed.
    #[inline]
    fn find(&self, number: usize) -> Option<usize> {
        let ahead = number.wrapping_sub(self.line.front()?.number);
        match self.line.get(ahead) {
            Some(place) if place.number == number => Some(ahead),
            _ => self.search(number),
        }
    }

    #[cold]
    fn search(&self, number: usize) -> Option<usize> {
        let first = self.line.front()?.number;
        let ahead = |place: &Place<T>| place.number.wrapping_sub(first);
        self.line.binary_search_by_key(&number.wrapping_sub(first), ahead).ok()
    }

    #[inline]
    fn vacate(&mut self, index: usize) -> Turn<T> {
        if index == 0 {
            return self.advance();
        }
        self.gaps += 1;
        let turn = mem::replace(&mut self.line[index].turn, Turn::Left);
        self.close_gaps();
        turn
    }

    /// Out with the first, and with the gaps behind it.
    #[inline]
    fn advance(&mut self) -> Turn<T> {
        let turn = self.line.pop_front().map_or(Turn::Left, |first| first.turn);
        self.oldest = self.oldest.saturating_sub(1);
        while self.gaps > 0 && self.line.pop_front_if(Place::is_gap).is_some() {
            self.gaps -= 1;
            self.oldest = self.oldest.saturating_sub(1);
        }
        if self.line.is_empty() && self.line.capacity() > KEPT {
            self.line = VecDeque::new();
        }
        turn
    }

    fn close_gaps(&mut self) {
        while self.line.pop_back_if(Place::is_gap).is_some() {
            self.gaps -= 1;
        }
        self.oldest = self.oldest.min(self.line.len());
        if self.gaps > self.line.len() / 2 + GAPS {
            self.line.retain(|place| !matches!(place.turn, Turn::Left));
            self.gaps = 0;
            self.oldest = 0;
        }
    }
}

impl<T> Place<T> {
    /// By mutable reference, for that is how the ring asks.
    const fn is_gap(&mut self) -> bool {
        matches!(self.turn, Turn::Left)
    }
}

impl<T> Turn<T> {
    /// Wakes who waits.
    #[inline]
    pub(super) fn wake(self) {
        if let Self::Waiting(waker) = self {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each once, whatever else happens.
    #[test]
    fn those_who_wait_when_the_clock_ticks_are_reminded_once() {
        let mut waiters: Waiters<()> = Waiters::new(usize::MAX);
        let (first, _) = waiters.join(Waker::noop().clone());
        waiters.join(Waker::noop().clone());
        assert_eq!(waiters.remind().len(), 2);
        assert_eq!(waiters.remind().len(), 0);
        waiters.join(Waker::noop().clone());
        assert!(matches!(waiters.leave(first), Turn::Waiting(_)));
        assert_eq!(waiters.remind().len(), 1);
        assert!(waiters.serve(()).is_ok(), "a reminder is no turn");
    }

    /// By which the pool decides whose wait it times.
    #[test]
    fn those_who_join_are_counted_from_tick_to_tick() {
        let mut waiters: Waiters<()> = Waiters::new(usize::MAX);
        let join = |waiters: &mut Waiters<()>| waiters.join(Waker::noop().clone()).1;
        assert_eq!((join(&mut waiters), join(&mut waiters)), (0, 1));
        assert!(waiters.serve(()).is_ok(), "those served are counted too");
        assert_eq!(join(&mut waiters), 2);
        waiters.remind();
        assert_eq!(join(&mut waiters), 0);
    }

    /// Against a plain list that is searched from the front.
    #[test]
    fn a_long_random_history_keeps_the_order() {
        for seed in 0..50 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut waiters = Waiters::new(usize::MAX);
            let mut expected: Vec<usize> = Vec::new();
            let mut served: Vec<(usize, u64)> = Vec::new();
            let busy = rng.u8(2..9);
            for ticket in 0..2000 {
                match rng.u8(..10) {
                    roll if roll < busy => expected.push(waiters.join(Waker::noop().clone()).0),
                    9 if !expected.is_empty() => {
                        let number = expected.remove(rng.usize(..expected.len()));
                        assert!(matches!(waiters.leave(number), Turn::Waiting(_)), "seed {seed}");
                    }
                    8 if !served.is_empty() => {
                        let (number, ticket) = served.swap_remove(rng.usize(..served.len()));
                        let look = waiters.look(number, Waker::noop(), |_| false);
                        assert!(matches!(look, Look::Served(got) if got == ticket), "seed {seed}");
                    }
                    7 if !served.is_empty() => {
                        let (number, ticket) = served.swap_remove(rng.usize(..served.len()));
                        let turn = waiters.rejoin(number, Waker::noop().clone());
                        assert!(matches!(turn, Turn::Served(got) if got == ticket), "seed {seed}");
                        let older = expected.iter().take_while(|other| **other < number).count();
                        expected.insert(older, number);
                    }
                    _ => {
                        let turn = waiters.serve(ticket);
                        assert_eq!(turn.is_ok(), !expected.is_empty(), "seed {seed}");
                        if turn.is_ok() {
                            served.push((expected.remove(0), ticket));
                        }
                    }
                }
                assert_eq!(waiters.len(), expected.len(), "seed {seed}");
                assert!(waiters.line.len() <= 2 * (expected.len() + served.len() + GAPS), "seed {seed}");
            }
        }
    }
}
