//! P5, of the handoff: waiters are bounded, woken by whatever makes a ticket leasable, and failed at once on close.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use ostler::handoff::{Handoff, Hooks, Stock, TakeError, Ticket};
use ostler::model::RuntimeId;

/// A handoff and what it told its surroundings.
struct Told {
    handoff: Handoff<()>,
    returned: Arc<Mutex<Vec<Ticket<()>>>>,
    low: Arc<AtomicUsize>,
}

fn told(tickets: u64, queue_limit: usize) -> Told {
    let returned = Arc::new(Mutex::new(Vec::new()));
    let low = Arc::new(AtomicUsize::new(0));
    let hooks = Hooks {
        on_return: Box::new({
            let returned = Arc::clone(&returned);
            move |ticket| returned.lock().expect("no panic").push(ticket)
        }),
        on_low: Box::new({
            let low = Arc::clone(&low);
            move || {
                low.fetch_add(1, SeqCst);
            }
        }),
    };
    let handoff = Handoff::new(4, queue_limit, hooks);
    (0..tickets).for_each(|runtime| handoff.issue(RuntimeId(runtime), ()).put());
    Told { handoff, returned, low }
}

/// Counts how often it was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_with(future, Waker::noop())
}

fn poll_with<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

#[test]
fn a_release_wakes_the_waiter() {
    let Told { handoff, .. } = told(1, 4);
    let held = handoff.try_take();
    let woken = Arc::new(Woken::default());
    let mut take = handoff.take();
    assert!(poll_with(&mut take, &Arc::clone(&woken).into()).is_pending());
    assert_eq!(woken.0.load(SeqCst), 0);
    drop(held);
    assert_eq!(woken.0.load(SeqCst), 1);
    assert!(poll(&mut take).is_ready());
}

/// A future may be polled from another task than before: the last one counts.
#[test]
fn a_release_wakes_who_looked_last() {
    let Told { handoff, .. } = told(1, 4);
    let held = handoff.try_take();
    let woken = [Arc::new(Woken::default()), Arc::new(Woken::default())];
    let mut take = handoff.take();
    for woken in &woken {
        assert!(poll_with(&mut take, &Arc::clone(woken).into()).is_pending());
    }
    drop(held);
    assert_eq!(woken.map(|woken| woken.0.load(SeqCst)), [0, 1]);
    assert!(poll(&mut take).is_ready());
}

/// By which the pool decides whose wait it times.
#[test]
fn a_take_knows_whether_it_waits_and_behind_how_many() {
    let Told { handoff, .. } = told(1, 4);
    let mut takes: Vec<_> = (0..4).map(|_| handoff.take()).collect();
    assert!(poll(&mut takes[0]).is_ready());
    let held = handoff.try_take().expect("what the first had is ready again");
    for take in &mut takes[1..] {
        assert!(poll(take).is_pending());
    }
    let seen: Vec<_> = takes.iter().map(|take| (take.is_queued(), take.nth_waiter())).collect();
    assert_eq!(seen, [(false, 0), (true, 0), (true, 1), (true, 2)]);
    handoff.tick(1);
    let mut next = handoff.take();
    assert!(poll(&mut next).is_pending());
    assert_eq!(next.nth_waiter(), 0, "the clock has ticked");
    drop(held);
}

#[test]
fn new_capacity_wakes_the_waiter() {
    let Told { handoff, .. } = told(0, 4);
    let woken = Arc::new(Woken::default());
    let mut take = handoff.take();
    assert!(poll_with(&mut take, &Arc::clone(&woken).into()).is_pending());
    handoff.issue(RuntimeId(7), ()).put();
    assert_eq!(woken.0.load(SeqCst), 1);
    let Poll::Ready(Ok(taken)) = poll(&mut take) else { panic!("not served") };
    assert_eq!(taken.runtime(), RuntimeId(7));
}

#[test]
fn closing_fails_everybody_at_once() {
    let Told { handoff, returned, .. } = told(0, 4);
    let woken = Arc::new(Woken::default());
    let mut takes = [handoff.take(), handoff.take()];
    for take in &mut takes {
        assert!(poll_with(take, &Arc::clone(&woken).into()).is_pending());
    }
    let spare = handoff.issue(RuntimeId(0), ());
    assert!(!handoff.is_closed());
    handoff.close();
    assert!(handoff.is_closed());
    assert_eq!(woken.0.load(SeqCst), 2);
    for take in &mut takes {
        assert!(matches!(poll(take), Poll::Ready(Err(TakeError::Closed))));
    }
    assert!(matches!(poll(&mut handoff.take()), Poll::Ready(Err(TakeError::Closed))));
    assert!(handoff.try_take().is_none());
    spare.put();
    assert_eq!(returned.lock().expect("no panic").len(), 1);
    assert_eq!(handoff.stock(), Stock::default());
}

#[test]
fn closing_sends_home_what_is_ready_and_what_is_held() {
    let Told { handoff, returned, .. } = told(3, 4);
    let held = handoff.try_take().expect("ready");
    handoff.close();
    assert_eq!(returned.lock().expect("no panic").len(), 2);
    drop(held);
    assert_eq!(returned.lock().expect("no panic").len(), 3);
}

#[test]
fn the_queue_is_bounded_and_the_bound_can_move() {
    let Told { handoff, .. } = told(0, 2);
    let mut takes: Vec<_> = (0..3).map(|_| handoff.take()).collect();
    assert!(poll(&mut takes[0]).is_pending());
    assert!(poll(&mut takes[1]).is_pending());
    assert!(matches!(poll(&mut takes[2]), Poll::Ready(Err(TakeError::Overloaded { waiters: 2 }))));
    handoff.set_queue_limit(1);
    takes.pop();
    takes.pop();
    assert_eq!(handoff.stock(), Stock { ready: 0, waiters: 1 });
    assert!(matches!(poll(&mut handoff.take()), Poll::Ready(Err(TakeError::Overloaded { waiters: 1 }))));
    handoff.set_queue_limit(2);
    assert!(poll(&mut handoff.take()).is_pending());
}

#[test]
fn a_queue_of_none_still_serves_what_is_ready() {
    let Told { handoff, .. } = told(1, 0);
    let Poll::Ready(Ok(taken)) = poll(&mut handoff.take()) else { panic!("one was ready") };
    assert!(matches!(poll(&mut handoff.take()), Poll::Ready(Err(TakeError::Overloaded { waiters: 0 }))));
    drop(taken);
    assert!(poll(&mut handoff.take()).is_ready());
}

/// A served waiter that gives up instead of looking: the next in line is woken.
#[test]
fn an_uncollected_ticket_goes_to_the_next() {
    let Told { handoff, .. } = told(0, 4);
    let woken = Arc::new(Woken::default());
    let (mut first, mut second) = (handoff.take(), handoff.take());
    assert!(poll(&mut first).is_pending());
    assert!(poll_with(&mut second, &Arc::clone(&woken).into()).is_pending());
    handoff.issue(RuntimeId(0), ()).put();
    assert_eq!(woken.0.load(SeqCst), 0);
    drop(first);
    assert_eq!(woken.0.load(SeqCst), 1);
    assert!(poll(&mut second).is_ready());
}

/// What the pool's figures are made of: each wait that came to something, once.
#[test]
fn waits_are_counted() {
    let Told { handoff, .. } = told(1, 4);
    let Poll::Ready(Ok(held)) = poll(&mut handoff.take()) else { panic!("one was ready") };
    assert_eq!(handoff.waits(), 0, "it did not wait");
    let [mut first, mut second, mut third] = [handoff.take(), handoff.take(), handoff.take()];
    assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending() && poll(&mut third).is_pending());
    drop(first);
    assert_eq!(handoff.waits(), 0, "it gave up");
    drop(held);
    drop(second);
    assert_eq!(handoff.waits(), 1, "it gave up what it was handed, which the third has now");
    let Poll::Ready(Ok(taken)) = poll(&mut third) else { panic!("served") };
    let tether = taken.tether().clone();
    let mut last = handoff.take();
    assert!(poll(&mut last).is_pending());
    drop(taken);
    tether.condemn();
    assert!(poll(&mut last).is_pending(), "handed what must not be leased");
    assert_eq!(handoff.waits(), 1);
    handoff.issue(RuntimeId(9), ()).put();
    assert!(poll(&mut last).is_ready());
    assert_eq!(handoff.waits(), 2);
}

/// Demand is told once until rearmed: when the stock falls below the mark, and when somebody waits.
#[test]
fn low_stock_is_told_once() {
    let Told { handoff, low, .. } = told(3, 4);
    handoff.set_low_mark(Some(2));
    let _first = handoff.try_take();
    assert_eq!(low.load(SeqCst), 0, "two left are enough");
    let _second = handoff.try_take();
    let _third = handoff.try_take();
    assert_eq!(low.load(SeqCst), 1);
    handoff.set_low_mark(Some(0));
    handoff.rearm();
    let mut waiting = handoff.take();
    assert!(poll(&mut waiting).is_pending());
    let mut another = handoff.take();
    assert!(poll(&mut another).is_pending());
    assert_eq!(low.load(SeqCst), 2);
    handoff.set_low_mark(None);
    handoff.rearm();
    let mut third = handoff.take();
    assert!(poll(&mut third).is_pending());
    assert_eq!(low.load(SeqCst), 2, "nothing could be done about it");
}

/// What was never needed since the last look, for the decision to trim.
#[test]
fn the_low_water_is_kept() {
    let Told { handoff, .. } = told(5, 4);
    assert_eq!(handoff.low_water(), 0, "there were none at first");
    let taken: Vec<_> = (0..3).map(|_| handoff.try_take()).collect();
    drop(taken);
    assert_eq!(handoff.stock().ready, 5);
    assert_eq!(handoff.low_water(), 2);
    assert_eq!(handoff.low_water(), 5);
}
