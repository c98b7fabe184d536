//! P4, of the handoff: strict order among those who wait, whatever a holder or a neighbour does.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};

use ostler::handoff::{Handoff, Hooks};
use ostler::model::RuntimeId;
use tokio::task::{self, LocalSet, coop};

fn handoff(tickets: u64) -> Handoff<()> {
    let handoff = Handoff::new(16, 100_000, Hooks { on_return: Box::new(drop), on_low: Box::new(|| ()) });
    (0..tickets).for_each(|runtime| handoff.issue(RuntimeId(runtime), ()).put());
    handoff
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Every third of ten thousand waiters gives up, from anywhere in the line; the others are served as they came.
#[test]
fn waiters_are_served_in_the_order_they_came() {
    let handoff = handoff(1);
    let mut held = handoff.try_take();
    let mut waiting: Vec<_> = (0..10_000).map(|_| handoff.take()).collect();
    assert!(waiting.iter_mut().all(|take| poll(take).is_pending()));
    let mut number = 0..;
    waiting.retain(|_| number.next().is_some_and(|number: u32| !number.is_multiple_of(3)));
    for index in 0..waiting.len() {
        drop(held.take());
        if let Some(next) = waiting.get_mut(index + 1) {
            assert!(poll(next).is_pending(), "overtook number {index}");
        }
        let Poll::Ready(taken) = poll(&mut waiting[index]) else { panic!("number {index} was not served") };
        held = taken.ok();
    }
}

/// Takers that come, wait and come again, in every order a seed can think of: nobody who joined the queue later
/// is served before one who joined it earlier, and nobody is served past the queue while there is one.
#[tokio::test]
async fn nobody_is_overtaken() {
    let handoff = Rc::new(handoff(3));
    let joined = Rc::new(Cell::new(0_u64));
    let waiting = Rc::new(RefCell::new(BTreeSet::new()));
    let overtakes = Rc::new(Cell::new(0));
    let here = LocalSet::new();
    let takers = (0..20).map(|seed| {
        let (handoff, joined) = (Rc::clone(&handoff), Rc::clone(&joined));
        let (waiting, overtakes) = (Rc::clone(&waiting), Rc::clone(&overtakes));
        here.spawn_local(async move {
            let mut rng = fastrand::Rng::with_seed(seed);
            for _ in 0..500 {
                let mut take = pin!(handoff.take());
                let mut number = None;
                let served = poll_fn(|cx| {
                    let waiters = handoff.stock().waiters;
                    let polled = take.as_mut().poll(cx);
                    if number.is_none() && polled.is_ready() {
                        assert_eq!(waiters, 0, "served past the queue");
                    } else if handoff.stock().waiters > waiters {
                        number = Some(joined.replace(joined.get() + 1));
                        waiting.borrow_mut().extend(number);
                    }
                    polled
                });
                let taken = served.await.expect("open, with room to wait");
                // Woken takers run in the order they were served: this is one thread with a fair queue.
                if let Some(number) = number {
                    let oldest = waiting.borrow_mut().pop_first();
                    overtakes.set(overtakes.get() + u32::from(oldest != Some(number)));
                }
                for _ in 0..rng.u8(..3) {
                    task::yield_now().await;
                }
                drop(taken);
            }
        })
    });
    let takers: Vec<_> = takers.collect();
    here.await;
    for taker in takers {
        taker.await.expect("no panic");
    }
    assert!(joined.get() > 1000, "hardly anybody waited");
    assert_eq!(overtakes.get(), 0);
}

/// bb8's defect: a holder that gives back and takes again at once, for ever. Whoever waits is next. (bb8: not served
/// in 2 s and 1.53 million turns.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_takes_again_does_not_starve_a_waiter() {
    let handoff = Arc::new(handoff(1));
    let turns = Arc::new(AtomicU64::new(0));
    let done = Arc::new(AtomicBool::new(false));
    let holder = tokio::spawn({
        let (handoff, turns, done) = (Arc::clone(&handoff), Arc::clone(&turns), Arc::clone(&done));
        async move {
            while !done.load(SeqCst) {
                let taken = handoff.take().await.expect("open, with room to wait");
                turns.fetch_add(1, SeqCst);
                drop(taken);
            }
        }
    });
    let mut waits = 0;
    while waits < 1000 {
        let mut take = handoff.take();
        let first = poll_fn(|cx| Poll::Ready(Pin::new(&mut take).poll(cx))).await;
        let before = turns.load(SeqCst);
        if first.is_pending() {
            let taken = take.await.expect("open, with room to wait");
            let after = turns.load(SeqCst);
            drop(taken);
            assert!(after <= before + 1, "overtaken {} times", after - before);
            waits += 1;
        }
        task::yield_now().await;
    }
    done.store(true, SeqCst);
    holder.await.expect("no panic");
}

/// A loop of takes that are all served at once still lets its neighbours on the thread run.
#[tokio::test]
async fn a_tight_loop_lets_its_neighbours_run() {
    let handoff = handoff(1);
    let here = LocalSet::new();
    let turns = here.run_until(async move {
        let ran = Rc::new(Cell::new(false));
        let neighbour = Rc::clone(&ran);
        task::spawn_local(async move { neighbour.set(true) });
        for turn in 0..1000 {
            drop(handoff.take().await.expect("always ready"));
            if ran.get() {
                return turn;
            }
        }
        panic!("the neighbour never ran");
    });
    assert!(turns.await > 0, "it ran before the loop did");
}

/// Leaves the task that runs nothing of what it may do before it lets others run.
fn use_up_budget(cx: &mut Context<'_>) {
    while let Poll::Ready(budget) = coop::poll_proceed(cx) {
        budget.made_progress();
    }
}

/// Whoever has had his turn is not served from what is ready, and does not count as one who waits.
#[tokio::test]
async fn a_taker_that_has_had_its_turn_lets_others_run_first() {
    let handoff = handoff(1);
    let mut take = handoff.take();
    poll_fn(|cx| {
        use_up_budget(cx);
        assert!(Pin::new(&mut take).poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    assert!(!take.is_queued());
    assert_eq!((handoff.stock().ready, handoff.stock().waiters), (1, 0));
    drop(take.await.expect("ready"));
}

/// Where others wait, a place among them is not lost to who comes later.
#[tokio::test]
async fn a_taker_that_has_had_its_turn_joins_those_who_wait_at_once() {
    let handoff = handoff(0);
    let mut first = handoff.take();
    assert!(poll(&mut first).is_pending());
    let mut second = handoff.take();
    poll_fn(|cx| {
        use_up_budget(cx);
        assert!(Pin::new(&mut second).poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    assert!(second.is_queued());
    assert_eq!(handoff.stock().waiters, 2);
}
