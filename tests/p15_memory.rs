//! P15, of the handoff: requests that never get anything cost nothing that stays.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use ostler::handoff::{Handoff, Hooks, Stock, Take, TakeError};

const REQUESTS: usize = 1_000_000;
const QUEUE: usize = 1024;
const ALLOWED: usize = 16 << 20;

/// One test, for its figure is that of the whole process.
#[test]
fn a_million_requests_to_an_empty_handoff_leave_nothing() {
    let handoff = Handoff::<()>::new(16, QUEUE, Hooks { on_return: Box::new(drop), on_low: Box::new(|| ()) });
    let before = resident();

    // A full queue, all of it timing out again and again, and as many more refused.
    let mut live: Vec<_> = (0..QUEUE).map(|_| waiting(&handoff)).collect();
    for request in 0..REQUESTS {
        assert!(matches!(
            poll(&mut handoff.take()),
            Poll::Ready(Err(TakeError::Overloaded { waiters: QUEUE }))
        ));
        let index = request * 7919 % QUEUE;
        drop(live.swap_remove(index));
        live.push(waiting(&handoff));
    }
    drop(live);
    assert_eq!(handoff.stock(), Stock::default());
    assert!(resident() <= before + ALLOWED, "grew from {before} to {} bytes", resident());

    // A flood that is let in: while it waits it takes what it takes, afterwards nothing.
    handoff.set_queue_limit(REQUESTS);
    let flood: Vec<_> = (0..REQUESTS).map(|_| waiting(&handoff)).collect();
    let at_its_height = resident();
    drop(flood);
    assert!(at_its_height > before + ALLOWED, "no flood at all: {at_its_height} bytes");
    assert!(resident() <= before + ALLOWED, "kept {} of {before} bytes", resident());
}

fn waiting(handoff: &Handoff<()>) -> Take<'_, ()> {
    let mut take = handoff.take();
    assert!(poll(&mut take).is_pending());
    take
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Resident memory of this process, bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a resident size");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number of kB") << 10
}
