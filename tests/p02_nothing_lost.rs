//! P2, of the handoff, with real threads: after a million random cancellations every ticket is still leasable, and
//! none was made beside those. (deadpool makes 343 objects for 4 slots under the same treatment.)

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;

use ostler::handoff::{Handoff, Hooks, Stock};
use ostler::model::RuntimeId;

const TICKETS: u64 = 4;
const THREADS: usize = 4;
const CANCELS: usize = 1_000_000;
const SEED: u64 = 0x05_71e2;

#[test]
fn a_million_cancellations_lose_no_ticket() {
    let (to_owner, returned) = mpsc::channel();
    let hooks = Hooks {
        on_return: Box::new(move |ticket| to_owner.send(ticket).expect("the owner outlives the handoff")),
        on_low: Box::new(|| ()),
    };
    let handoff = Handoff::new(2, usize::MAX, hooks);
    (0..TICKETS).for_each(|runtime| handoff.issue(RuntimeId(runtime), ()).put());

    let cancels: usize = thread::scope(|scope| {
        let threads: Vec<_> = (SEED..)
            .take(THREADS)
            .map(|seed| {
                let handoff = &handoff;
                scope.spawn(move || cancel(handoff, fastrand::Rng::with_seed(seed)))
            })
            .collect();
        // The owner: what comes home goes back into circulation.
        while !threads.iter().all(thread::ScopedJoinHandle::is_finished) {
            returned.try_iter().for_each(ostler::handoff::Ticket::put);
            thread::yield_now();
        }
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    returned.try_iter().for_each(ostler::handoff::Ticket::put);

    assert!(cancels >= CANCELS, "{cancels} cancellations prove too little; seed {SEED}");
    let all: BTreeSet<_> = std::iter::from_fn(|| handoff.withdraw()).map(|left| left.runtime()).collect();
    assert_eq!(all, (0..TICKETS).map(RuntimeId).collect(), "seed {SEED}");
    assert_eq!(handoff.stock(), Stock::default(), "seed {SEED}");
}

/// Holds up to a dozen takes at once and drops them at any point: not yet polled, waiting, served unseen, taken,
/// leased. Answers how many were dropped before their end.
fn cancel(handoff: &Handoff<()>, mut rng: fastrand::Rng) -> usize {
    let mut cancelled = 0;
    let mut takes: Vec<_> = (0..12).map(|_| handoff.take()).collect();
    while cancelled < CANCELS / THREADS {
        let index = rng.usize(..takes.len());
        if rng.u8(..3) == 0 {
            takes[index] = handoff.take();
            cancelled += 1;
        } else if let Poll::Ready(served) = poll(&mut takes[index]) {
            let mut ticket = served.expect("open, and without a limit");
            let way_home = rng.u8(..3);
            if way_home > 0 {
                ticket.lease();
            }
            if way_home > 1 {
                ticket.reuse();
            }
            drop(ticket);
            takes[index] = handoff.take();
        }
    }
    cancelled
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}
