use super::Ticket;
use super::sync::{self, POCKETS, Queue};

/// The tickets that are ready.
///
/// Most lie in the queue. One that a lease gave back lies in the pocket of the thread that did: its next taker is
/// likely there, finds in its cache what the lease has used, and meets nobody on the way. Any thread may reach into
/// any pocket, when it finds nothing else.
pub(super) struct Ready<R> {
    pockets: [Queue<Ticket<R>>; POCKETS],
    queue: Queue<Ticket<R>>,
}

impl<R> Ready<R> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { pockets: std::array::from_fn(|_| Queue::new(1)), queue: Queue::new(capacity.max(1)) }
    }

    /// From this thread's pocket, else the one in the queue that has been ready for longest, else from any pocket.
    #[inline]
    pub(super) fn pop(&self) -> Option<Ticket<R>> {
        pick(self.pocket()).or_else(|| self.queue.pop()).or_else(|| self.pockets.iter().find_map(Queue::pop))
    }

    /// Behind all others. Gives the ticket back when there is no room.
    #[inline]
    pub(super) fn push(&self, ticket: Ticket<R>) -> Result<(), Ticket<R>> {
        self.queue.push(ticket)
    }

    /// Where the next take by this thread finds it, or behind all others. Gives the ticket back when there is no
    /// room.
    #[inline]
    pub(super) fn push_back(&self, ticket: Ticket<R>) -> Result<(), Ticket<R>> {
        self.pocket().push(ticket).or_else(|ticket| self.push(ticket))
    }

    pub(super) fn len(&self) -> usize {
        self.queued() + self.pockets.iter().map(Queue::len).sum::<usize>()
    }

    /// At least so many, at less cost than [`len`](Self::len): threads that find what they need in their pockets
    /// touch nothing that is looked at here.
    #[inline]
    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Empties the pockets.
    pub(super) fn pocketed(&self) -> impl Iterator<Item = Ticket<R>> {
        self.pockets.iter().filter_map(pick)
    }

    #[inline]
    fn pocket(&self) -> &Queue<Ticket<R>> {
        &self.pockets[sync::thread() % POCKETS]
    }
}

/// A look costs less than a pop that finds nothing.
#[inline]
fn pick<T>(pocket: &Queue<T>) -> Option<T> {
    if pocket.is_empty() { None } else { pocket.pop() }
}
