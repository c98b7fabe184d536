use std::task::{Poll, Waker};

use super::super::sync::pause;
use super::super::waiters::Look;
use super::super::{TakeError, Ticket};
use super::desk::Desk;
use super::{Attempt, Exchange, Place};

/// The side of those who wait.
impl<R> Exchange<R> {
    /// For a taker whom the fast way did not serve.
    #[inline]
    pub(super) fn queue(&self, waker: &Waker) -> Attempt<'_, R> {
        let attempt = self.join(waker.clone());
        if !matches!(attempt, Attempt::Taken(_)) {
            self.note(-1);
        }
        attempt
    }

    #[inline]
    fn join(&self, waker: Waker) -> Attempt<'_, R> {
        let mut desk = self.lock();
        if desk.waiters.is_empty()
            && let Some(attempt) = self.join_first(&mut desk)
        {
            return attempt;
        }
        if desk.waiters.is_full() {
            self.count_waiters(&desk);
            return Attempt::Refused(TakeError::Overloaded { waiters: desk.waiters.len() });
        }
        let number = desk.waiters.next();
        let nth = desk.waiters.join(waker);
        self.count_waiters(&desk);
        Attempt::Queued(Place { number, seat: self.seats.at(number), nth })
    }

    /// When nobody waits yet, a ticket may have come meanwhile.
    fn join_first(&self, desk: &mut Desk<R>) -> Option<Attempt<'_, R>> {
        if desk.waiters.is_closed() {
            return Some(Attempt::Refused(TakeError::Closed));
        }
        self.gate.shut();
        let ticket = self.pop(desk)?;
        self.count_waiters(desk);
        Some(Attempt::Taken(ticket))
    }

    /// What has become of the waiter at `place`, to be woken by `waker`. When it is `Ready`, the place is gone.
    #[inline]
    pub(in crate::handoff) fn look(
        &self,
        place: &Place<'_, R>,
        waker: &Waker,
    ) -> Poll<Result<Ticket<R>, TakeError>> {
        match place.collect() {
            Some(ticket) if !ticket.is_spoilt() => Poll::Ready(Ok(ticket)),
            Some(ticket) => self.rejoin(place, ticket, waker),
            None => self.look_at_desk(place, waker),
        }
    }

    fn look_at_desk(&self, place: &Place<'_, R>, waker: &Waker) -> Poll<Result<Ticket<R>, TakeError>> {
        loop {
            let (look, collected) = {
                let mut desk = self.lock();
                let look = desk.waiters.look(place.number, waker);
                let collected = if look == Look::Called { desk.collect(place) } else { None };
                (look, collected)
            };
            match (look, collected) {
                (Look::Waiting, _) => return Poll::Pending,
                (Look::Moved, _) if self.renew(place.number, waker.clone()) => return Poll::Pending,
                (Look::Moved, _) => {}
                (Look::Called, Some(ticket)) if ticket.is_spoilt() => {
                    return self.rejoin(place, ticket, waker);
                }
                (Look::Called, Some(ticket)) => return Poll::Ready(Ok(ticket)),
                (Look::Called, None) => pause(),
                (Look::Refused, _) => return Poll::Ready(Err(TakeError::Closed)),
            }
        }
    }

    /// Whether the waiter still waits, to be woken by `waker`.
    fn renew(&self, place: usize, waker: Waker) -> bool {
        let renewed = self.lock().waiters.renew(place, waker);
        renewed.is_ok()
    }

    /// The ticket was condemned after it was handed over: the waiter's turn is still to come, and the next.
    #[cold]
    fn rejoin(
        &self,
        place: &Place<'_, R>,
        spoilt: Ticket<R>,
        waker: &Waker,
    ) -> Poll<Result<Ticket<R>, TakeError>> {
        let rejoining = waker.clone();
        let rejoined = {
            let mut desk = self.lock();
            let open = !desk.waiters.is_closed();
            if open {
                self.gate.shut();
                desk.waiters.rejoin(place.number, rejoining);
                self.count_waiters(&desk);
            } else {
                desk.waiters.count_out();
            }
            open
        };
        self.return_to_owner(spoilt);
        self.settle();
        if rejoined { self.look_at_desk(place, waker) } else { Poll::Ready(Err(TakeError::Closed)) }
    }

    /// The waiter at `place` gives up. A ticket it already had goes to the next.
    pub(in crate::handoff) fn leave(&self, place: &Place<'_, R>) {
        // A ticket that is on its way to it is waited for: who brings it does nothing else meanwhile.
        let (waker, collected) = loop {
            let mut desk = self.lock();
            let waker = desk.waiters.leave(place.number);
            self.count_waiters(&desk);
            let collected = desk.collect(place);
            if collected.is_some() {
                desk.waiters.count_out();
            }
            if waker.is_some() || collected.is_some() || desk.waiters.has_refused(place.number) {
                break (waker, collected);
            }
            drop(desk);
            pause();
        };
        drop(waker);
        if let Some(ticket) = collected {
            self.put(ticket);
        }
    }
}
