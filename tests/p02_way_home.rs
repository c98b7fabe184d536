//! P2, of the handoff: wherever a ticket is dropped, it finds its way home.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use ostler::handoff::{Handoff, Hooks, Stock, Ticket};
use ostler::model::{Epoch, RuntimeId};

type Resource = Arc<()>;
type Returned = Arc<Mutex<Vec<Ticket<Resource>>>>;

/// A handoff with this many ready, and those that came home.
fn handoff(tickets: u64) -> (Handoff<Resource>, Returned) {
    let returned = Returned::default();
    let on_return = {
        let returned = Arc::clone(&returned);
        Box::new(move |ticket| returned.lock().expect("no panic under it").push(ticket))
    };
    let handoff = Handoff::new(8, 8, Hooks { on_return, on_low: Box::new(|| ()) });
    (0..tickets).for_each(|runtime| handoff.issue(RuntimeId(runtime), Arc::new(())).put());
    (handoff, returned)
}

fn come_home(returned: &Returned) -> Vec<Ticket<Resource>> {
    std::mem::take(&mut *returned.lock().expect("no panic under it"))
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn what_was_never_leased_is_put_back_as_it_was() {
    let (handoff, returned) = handoff(1);
    handoff.tick(500);
    let taken = handoff.try_take().expect("ready");
    assert_eq!(taken.idle(), 500);
    drop(taken);
    let taken = handoff.try_take().expect("ready again");
    assert_eq!((taken.uses(), taken.idle()), (0, 500));
    assert!(come_home(&returned).is_empty());
}

#[test]
fn what_was_leased_goes_to_its_owner() {
    let (handoff, returned) = handoff(1);
    let mut taken = handoff.try_take().expect("ready");
    assert_eq!(taken.lease(), Epoch(1));
    drop(taken);
    assert_eq!(handoff.stock(), Stock::default());
    let [ticket] = come_home(&returned).try_into().expect("one ticket");
    assert!(ticket.is_leased());
    ticket.put();
    let mut taken = handoff.try_take().expect("ready again");
    assert_eq!(taken.lease(), Epoch(2), "each lease has an epoch of its own");
}

#[test]
fn what_needs_no_cleaning_goes_straight_back() {
    let (handoff, returned) = handoff(1);
    handoff.tick(500);
    let mut taken = handoff.try_take().expect("ready");
    taken.lease();
    taken.reuse();
    drop(taken);
    let taken = handoff.try_take().expect("ready again");
    assert_eq!((taken.uses(), taken.epoch(), taken.idle()), (1, Epoch(1), 0));
    assert!(come_home(&returned).is_empty());
}

#[test]
fn a_panic_sends_the_lease_to_its_owner() {
    let (handoff, returned) = handoff(1);
    let mut taken = handoff.try_take().expect("ready");
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        taken.lease();
        let _held = taken;
        panic!("in the middle of a lease");
    }));
    assert!(panicked.is_err());
    assert_eq!(handoff.stock(), Stock::default());
    assert!(come_home(&returned)[0].is_leased());
}

#[test]
fn a_condemned_ticket_is_not_taken_but_the_next() {
    let (handoff, returned) = handoff(1);
    let spare = handoff.issue(RuntimeId(7), Arc::new(()));
    let first = handoff.withdraw().expect("ready");
    let tether = first.tether().clone();
    first.put();
    spare.put();
    tether.condemn();
    assert_eq!(handoff.try_take().expect("the next").runtime(), RuntimeId(7));
    let [condemned] = come_home(&returned).try_into().expect("one ticket");
    assert_eq!(condemned.runtime(), RuntimeId(0));
    assert!(condemned.is_condemned() && !condemned.is_leased());
    condemned.put();
    assert_eq!(come_home(&returned).len(), 1, "a condemned ticket becomes ready no more");
}

/// Served, condemned before the waiter looked, and another ready meanwhile: the waiter has that, at once.
#[test]
fn a_ticket_condemned_on_the_way_is_replaced_by_a_ready_one() {
    let (handoff, returned) = handoff(0);
    let mut take = handoff.take();
    assert!(poll(&mut take).is_pending());
    let doomed = handoff.issue(RuntimeId(1), Arc::new(()));
    let tether = doomed.tether().clone();
    doomed.put();
    handoff.issue(RuntimeId(2), Arc::new(())).put();
    tether.condemn();
    let Poll::Ready(Ok(taken)) = poll(&mut take) else { panic!("one is ready") };
    assert_eq!(taken.runtime(), RuntimeId(2));
    assert_eq!(come_home(&returned).len(), 1);
    drop(taken);
    assert_eq!(handoff.stock(), Stock { ready: 1, waiters: 0 });
}

#[test]
fn a_sweep_takes_the_condemned_and_leaves_the_rest_in_order() {
    let (handoff, _returned) = handoff(0);
    // More than the queue holds, so that some are beyond it.
    let tickets: Vec<_> = (0..12).map(|id| handoff.issue(RuntimeId(id), Arc::new(()))).collect();
    let tethers: Vec<_> = tickets.iter().map(|ticket| ticket.tether().clone()).collect();
    tickets.into_iter().for_each(Ticket::put);
    for index in [1, 3, 9] {
        tethers[index].condemn();
    }
    let mut swept: Vec<_> = handoff.withdraw_condemned().iter().map(|ticket| ticket.runtime().0).collect();
    swept.sort_unstable();
    assert_eq!(swept, [1, 3, 9]);
    assert_eq!(handoff.stock(), Stock { ready: 9, waiters: 0 });
    assert_eq!(handoff.withdraw().expect("the oldest").runtime(), RuntimeId(0));
}

/// Tickets hold on to their handoff, and ready ones are held by it: the last handle unties them.
#[test]
fn nothing_outlives_the_handoff() {
    let (handoff, returned) = handoff(0);
    let resource = Arc::new(());
    handoff.issue(RuntimeId(0), Arc::clone(&resource)).put();
    let taken = {
        handoff.issue(RuntimeId(1), Arc::clone(&resource)).put();
        handoff.try_take()
    };
    drop(handoff);
    drop(taken);
    assert_eq!(come_home(&returned).len(), 2);
    assert_eq!(Arc::strong_count(&resource), 1);
}

/// What is beyond the fast queue is found all the same, by whoever withdraws as by whoever takes.
#[test]
fn what_is_beyond_the_queue_is_ready_too() {
    for withdraw in [false, true] {
        let (handoff, _returned) = handoff(12);
        for ready in (0..12).rev() {
            if withdraw {
                drop(handoff.withdraw().expect("ready").into_resource());
            } else {
                drop(handoff.try_take().expect("ready").withdraw().into_resource());
            }
            assert_eq!(handoff.stock(), Stock { ready, waiters: 0 });
        }
        assert!(handoff.withdraw().is_none() && handoff.try_take().is_none());
        let mut take = handoff.take();
        assert!(poll(&mut take).is_pending());
        assert!(handoff.withdraw().is_none(), "nor is there any while somebody waits");
        assert_eq!(handoff.stock(), Stock { ready: 0, waiters: 1 });
    }
}

/// Its runtime is as good as ever, and was only to be leased once more.
#[test]
fn an_expired_ticket_serves_whom_it_was_handed_to_and_nobody_else() {
    for condemned in [false, true] {
        let (handoff, returned) = handoff(0);
        let mut take = handoff.take();
        assert!(poll(&mut take).is_pending());
        let ticket = handoff.issue(RuntimeId(1), Arc::new(()));
        let tether = ticket.tether().clone();
        ticket.put();
        assert!(!tether.is_condemned());
        if condemned {
            tether.condemn();
        } else {
            tether.expire();
        }
        assert!(tether.is_condemned());
        match poll(&mut take) {
            Poll::Ready(taken) => {
                assert!(!condemned);
                drop(taken);
            }
            Poll::Pending => assert!(condemned),
        }
        assert!(handoff.try_take().is_none());
        assert_eq!(come_home(&returned).len(), 1);
    }
}

#[test]
fn a_tether_is_loose_when_its_ticket_has_ended() {
    let (handoff, _returned) = handoff(0);
    handoff.tick(300);
    let ticket = handoff.issue(RuntimeId(1), Arc::new(()));
    let tether = ticket.tether().clone();
    assert!(!tether.is_loose());
    assert_eq!((ticket.runtime(), ticket.uses(), ticket.idle_since()), (RuntimeId(1), 0, 0));
    ticket.put();
    let taken = handoff.try_take().expect("ready");
    assert_eq!((taken.idle_since(), handoff.now()), (300, 300));
    assert!(!tether.is_loose());
    drop(taken.withdraw().into_resource());
    assert!(tether.is_loose());
    let other = tether.clone();
    assert!(!tether.is_loose());
    drop(other);
}

/// What is shown while somebody looks for a defect names what it is and whose.
#[test]
fn what_is_shown_names_whose_it_is() {
    let (handoff, _returned) = handoff(1);
    let taken = handoff.try_take().expect("ready");
    let mut take = handoff.take();
    assert!(poll(&mut take).is_pending());
    let hooks = Hooks::<()> { on_return: Box::new(drop), on_low: Box::new(|| ()) };
    let tether = taken.tether();
    let shown = format!("{handoff:?} {taken:?} {take:?} {tether:?} {hooks:?}");
    for part in ["Handoff(Exchange", "Ticket", "RuntimeId(0)", "Place", "number: 0", "Tether", "Hooks"] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
}
