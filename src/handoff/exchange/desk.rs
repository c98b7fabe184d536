use super::super::Ticket;
use super::super::waiters::Waiters;
use super::Place;

/// What is behind the lock.
#[repr(C)]
pub(super) struct Desk<R> {
    pub(super) waiters: Waiters,
    /// What served waiters have not collected yet, by number, whose seat was taken.
    pub(super) standing: Vec<(usize, Ticket<R>)>,
    /// Ready tickets beyond the capacity of the queue; none, unless the pool has outgrown it.
    pub(super) spill: Vec<Ticket<R>>,
}

impl<R> Desk<R> {
    pub(super) const fn new(queue_limit: usize) -> Self {
        Self { waiters: Waiters::new(queue_limit), standing: Vec::new(), spill: Vec::new() }
    }

    /// What a served waiter has not collected yet.
    pub(super) fn collect(&mut self, place: &Place<'_, R>) -> Option<Ticket<R>> {
        place.collect().or_else(|| {
            let index = self.standing.iter().position(|(number, _)| *number == place.number)?;
            Some(self.standing.swap_remove(index).1)
        })
    }
}
