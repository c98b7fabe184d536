use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ostler::{Epoch, RuntimeId};
use tokio::time::Instant;

use super::order::{Order, Overtaking};

/// Runtimes that are remembered without being leased.
const REMEMBERED: usize = 512;

/// Who has which runtime of one pool, kept by the clients themselves.
#[derive(Debug, Default)]
pub(in super::super) struct Ledger {
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    runtimes: BTreeMap<RuntimeId, Page>,
    order: Order,
}

#[derive(Debug, Default)]
struct Page {
    /// Epoch and holder of the lease there is.
    lease: Option<(Epoch, usize)>,
    last: Option<Epoch>,
    /// When it was still leased, before it last came back.
    busy: Option<u64>,
    left: Option<Instant>,
}

/// How somebody came to a lease.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Arrival {
    pub(in super::super) client: usize,
    /// Before it asked.
    pub(in super::super) began: u64,
    /// From here on it was among the waiters for certain.
    pub(in super::super) queued: Option<u64>,
    /// When it had its lease.
    pub(in super::super) granted: u64,
    pub(in super::super) at: Instant,
}

/// What is to be said of a new lease.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Entered {
    /// In which way it is one too many.
    pub(in super::super) doubled: Option<String>,
    pub(in super::super) overtaken: Option<Overtaking>,
    /// Whether its order could be judged.
    pub(in super::super) judged: bool,
}

impl Ledger {
    /// Enters a lease, right after it was had.
    pub(in super::super) fn enter(&self, runtime: RuntimeId, epoch: Epoch, arrival: Arrival) -> Entered {
        let Arrival { client, began, queued, granted, at } = arrival;
        let mut book = self.lock();
        book.forget();
        let Book { runtimes, order } = &mut *book;
        let page = runtimes.entry(runtime).or_default();
        let mut entered = Entered::default();
        if let Some((other, holder)) = page.lease {
            entered.doubled = Some(format!(
                "{runtime} is leased to client {client} as {epoch} and still to client {holder} as {other}"
            ));
        } else if let Some(last) = page.last.filter(|last| *last >= epoch) {
            entered.doubled = Some(format!("{runtime} is leased as {epoch} and was leased as {last} before"));
        }
        if let (Some(queued), Some(busy)) = (queued, page.busy) {
            entered.judged = true;
            entered.overtaken = order.judge(queued, busy);
        }
        order.note(began, granted, at);
        page.lease = Some((epoch, client));
        page.last = page.last.max(Some(epoch));
        entered
    }

    /// Takes a lease out, right before it is given back.
    pub(in super::super) fn leave(&self, runtime: RuntimeId, epoch: Epoch, now: u64) {
        if let Some(page) = self.lock().runtimes.get_mut(&runtime)
            && page.lease.is_some_and(|(current, _)| current == epoch)
        {
            page.lease = None;
            page.busy = Some(now);
            page.left = Some(Instant::now());
        }
    }

    /// For how long nobody has had it, as far as is known.
    pub(in super::super) fn idle(&self, runtime: RuntimeId) -> Option<Duration> {
        let book = self.lock();
        let page = book.runtimes.get(&runtime)?;
        if page.lease.is_some() { Some(Duration::ZERO) } else { page.left.map(|left| left.elapsed()) }
    }

    /// Whether somebody has it.
    pub(in super::super) fn is_leased(&self, runtime: RuntimeId) -> bool {
        self.lock().runtimes.get(&runtime).is_some_and(|page| page.lease.is_some())
    }

    /// How many leases there are.
    pub(in super::super) fn live(&self) -> usize {
        self.lock().runtimes.values().filter(|page| page.lease.is_some()).count()
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// Lets go of the oldest runtimes, which are most likely gone: their numbers never come again.
    fn forget(&mut self) {
        if self.runtimes.len() > REMEMBERED {
            let mut spare = self.runtimes.len() - REMEMBERED / 2;
            self.runtimes.retain(|_, page| {
                let keep = spare == 0 || page.lease.is_some();
                spare -= usize::from(!keep);
                keep
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(client: usize, began: u64, queued: Option<u64>, granted: u64) -> Arrival {
        Arrival { client, began, queued, granted, at: Instant::now() }
    }

    fn enter(ledger: &Ledger, runtime: u64, epoch: u64, arrival: Arrival) -> Entered {
        ledger.enter(RuntimeId(runtime), Epoch(epoch), arrival)
    }

    #[test]
    fn a_second_lease_on_a_leased_runtime_is_doubled() {
        let ledger = Ledger::default();
        assert_eq!(enter(&ledger, 1, 1, arrival(0, 1, None, 2)).doubled, None);
        assert_eq!(enter(&ledger, 2, 1, arrival(1, 3, None, 4)).doubled, None);
        let doubled = enter(&ledger, 1, 2, arrival(2, 5, None, 6)).doubled.unwrap();
        assert!(doubled.contains("client 2") && doubled.contains("client 0"), "{doubled}");
        assert_eq!(ledger.live(), 2);
    }

    #[test]
    fn a_number_that_was_used_before_is_doubled() {
        let ledger = Ledger::default();
        for epoch in 1..4 {
            assert_eq!(enter(&ledger, 1, epoch, arrival(0, 1, None, 2)).doubled, None, "{epoch}");
            ledger.leave(RuntimeId(1), Epoch(epoch), 3);
        }
        assert!(enter(&ledger, 1, 3, arrival(0, 4, None, 5)).doubled.is_some());
    }

    #[test]
    fn a_waiter_served_after_a_later_one_is_overtaken() {
        let ledger = Ledger::default();
        enter(&ledger, 1, 1, arrival(0, 1, None, 2));
        enter(&ledger, 2, 1, arrival(1, 3, None, 4));
        // Client 2 waits from 5 on; client 3 begins at 6 and gets what comes free first.
        ledger.leave(RuntimeId(1), Epoch(1), 7);
        assert_eq!(enter(&ledger, 1, 2, arrival(3, 6, Some(7), 8)).overtaken, None);
        ledger.leave(RuntimeId(2), Epoch(1), 9);
        let entered = enter(&ledger, 2, 2, arrival(2, 4, Some(5), 10));
        let Overtaking { queued, began, granted, busy, .. } = entered.overtaken.unwrap();
        assert_eq!((queued, began, granted, busy), (5, 6, 8, 9));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let ledger = Ledger::default();
        enter(&ledger, 0, 1, arrival(0, 1, None, 2));
        for runtime in 1..20_000 {
            enter(&ledger, runtime, 1, arrival(0, 1, None, 2));
            ledger.leave(RuntimeId(runtime), Epoch(1), 3);
        }
        assert!(ledger.lock().runtimes.len() <= REMEMBERED + 1);
        assert_eq!(ledger.live(), 1, "a lease is never forgotten");
    }
}
