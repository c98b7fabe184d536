use super::super::Ticket;
use super::super::waiters;
use super::Exchange;
use super::desk::Desk;

/// One step of settling.
enum Step<R> {
    /// Nothing is left for each other.
    Done,
    /// Somebody's turn has come.
    Called(waiters::Place, Ticket<R>),
    /// The handoff is closed: a ticket that nobody will take.
    TooLate(Ticket<R>),
}

/// The side of those who bring tickets to the waiters.
impl<R> Exchange<R> {
    /// Hands over to the oldest waiter past the queue. Gives the ticket back if nobody waits.
    #[inline]
    pub(super) fn serve(&self, ticket: Ticket<R>) -> Option<Ticket<R>> {
        let called = self.call(&mut self.lock());
        let Some(place) = called else { return Some(ticket) };
        self.hand_over(place, ticket);
        None
    }

    /// The oldest waiter's turn has come: it is out of the line, and the caller owes it a ticket.
    #[inline]
    fn call(&self, desk: &mut Desk<R>) -> Option<waiters::Place> {
        let place = desk.waiters.serve()?;
        self.count_waiters(desk);
        Some(place)
    }

    /// Pays what is owed. Without the lock: a seat's cache line may have to come from another processor first, and
    /// everybody else would wait for it, too.
    #[inline]
    fn hand_over(&self, place: waiters::Place, mut ticket: Ticket<R>) {
        ticket.set_awaited(true);
        if let Err(ticket) = self.seats.at(place.number).give(place.number, ticket) {
            self.lock().standing.push((place.number, ticket));
        }
        place.wake();
    }

    /// Brings ready tickets and waiters together until either is used up; once closed, sends the tickets home.
    #[cold]
    pub(super) fn settle(&self) {
        loop {
            match self.settle_one() {
                Step::Done => return,
                Step::Called(place, ticket) => self.hand_over(place, ticket),
                Step::TooLate(ticket) => self.return_to_owner(ticket),
            }
        }
    }

    fn settle_one(&self) -> Step<R> {
        let mut desk = self.lock();
        if desk.waiters.is_empty() && !desk.waiters.is_closed() {
            return Step::Done;
        }
        let Some(ticket) = self.pop(&mut desk) else { return Step::Done };
        let Some(place) = self.call(&mut desk) else { return Step::TooLate(ticket) };
        Step::Called(place, ticket)
    }
}
