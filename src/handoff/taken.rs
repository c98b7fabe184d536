use std::fmt;
use std::ops::Deref;

use crate::model::Epoch;

use super::Ticket;

/// A ticket that somebody took, and a guard: dropped anywhere, in a cancelled future or a panic, the ticket finds
/// its way home. Not leased, it is put back as if it had never been taken; leased, it goes to the `on_return`
/// hook, on the thread that drops it.
#[must_use = "dropped, it goes straight back"]
pub struct Taken<R>(Option<Ticket<R>>);

impl<R> Taken<R> {
    pub(super) const fn new(ticket: Ticket<R>) -> Self {
        Self(Some(ticket))
    }

    /// Begins a lease: counts the use and starts a new epoch, which is the answer.
    pub fn lease(&mut self) -> Epoch {
        self.ticket_mut().lease()
    }

    /// Ends the lease with nothing to clean: dropped after this, the ticket is put straight back.
    pub fn reuse(&mut self) {
        self.ticket_mut().rest();
    }

    /// What the lease works with, for the taker alone.
    pub fn resource_mut(&mut self) -> &mut R {
        self.ticket_mut().resource_mut()
    }

    /// Takes the ticket out of circulation.
    #[must_use = "the runtime leaves circulation"]
    pub fn withdraw(mut self) -> Ticket<R> {
        self.0.take().expect(HELD)
    }

    fn ticket_mut(&mut self) -> &mut Ticket<R> {
        self.0.as_mut().expect(HELD)
    }
}

/// Only [`Taken::withdraw`] and the drop empty it, and nothing comes after either.
const HELD: &str = "a taken ticket is held until it is withdrawn or dropped";

impl<R> Deref for Taken<R> {
    type Target = Ticket<R>;

    fn deref(&self) -> &Ticket<R> {
        self.0.as_ref().expect(HELD)
    }
}

impl<R> Drop for Taken<R> {
    fn drop(&mut self) {
        match self.0.take() {
            Some(ticket) if ticket.is_leased() => ticket.go_home(),
            Some(ticket) => ticket.restore(),
            None => {}
        }
    }
}

impl<R> fmt::Debug for Taken<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Taken").field(&self.0).finish()
    }
}
