use super::super::Ticket;
use super::super::waiters;
use super::Exchange;
use super::desk::Desk;

/// One step of settling.
enum Step<R> {
    /// Nothing is left for each other.
    Done,
    /// Somebody's turn has come, to be woken.
    Served(waiters::Place),
    /// The handoff is closed: a ticket that nobody will take.
    TooLate(Ticket<R>),
}

/// The side of those who bring tickets to the waiters.
impl<R> Exchange<R> {
    /// Hands over to the oldest waiter past the queue. Gives the ticket back if nobody waits.
    #[inline]
    pub(super) fn serve(&self, ticket: Ticket<R>) -> Option<Ticket<R>> {
        let mut desk = self.lock();
        let Some(place) = desk.waiters.serve() else { return Some(ticket) };
        self.hand_over(&mut desk, place.number, ticket);
        drop(desk);
        place.wake();
        None
    }

    /// To who waited under this number, and is out of the line.
    #[inline]
    fn hand_over(&self, desk: &mut Desk<R>, number: usize, mut ticket: Ticket<R>) {
        self.count_waiters(desk);
        desk.waits += 1;
        ticket.set_awaited(true);
        if let Err(ticket) = self.seats.at(number).give(number, ticket) {
            desk.standing.push((number, ticket));
        }
    }

    /// Brings ready tickets and waiters together until either is used up; once closed, sends the tickets home.
    #[cold]
    pub(super) fn settle(&self) {
        loop {
            match self.settle_one() {
                Step::Done => return,
                Step::Served(place) => place.wake(),
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
        let Some(place) = desk.waiters.serve() else { return Step::TooLate(ticket) };
        self.hand_over(&mut desk, place.number, ticket);
        Step::Served(place)
    }
}
