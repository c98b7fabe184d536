//! Of those parts that the model checker includes with primitives of its own: here with the real ones.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use super::gate::{Gate, Sign};
use super::seat::Seats;
use super::sync::SEATS;
use super::{Handoff, Hooks, Stock, Taken};
use crate::model::RuntimeId;

/// With so many tickets ready; those that come home are gone.
fn stocked(tickets: u64) -> Handoff<()> {
    let hooks = Hooks { on_return: Box::new(drop), on_low: Box::new(|| {}) };
    let handoff = Handoff::new(8, 8, hooks);
    (1..=tickets).for_each(|id| handoff.issue(RuntimeId(id), ()).put());
    handoff
}

fn leased(mut taken: Taken<()>) -> Taken<()> {
    taken.lease();
    taken
}

fn give_back(mut lease: Taken<()>) {
    lease.reuse();
}

#[test]
fn a_thread_finds_first_what_it_gave_back_last() {
    let handoff = stocked(3);
    for _ in 0..5 {
        let lease = leased(handoff.try_take().expect("three are ready"));
        assert_eq!(lease.runtime(), RuntimeId(1));
        give_back(lease);
        assert_eq!(handoff.stock(), Stock { ready: 3, waiters: 0 });
    }
    // It has one pocket; what does not go into it is behind the others.
    let (first, second) = (handoff.try_take(), handoff.try_take());
    give_back(leased(second.expect("three are ready")));
    give_back(leased(first.expect("three are ready")));
    let order = [(); 3].map(|()| handoff.withdraw().map(|ticket| ticket.runtime()));
    assert_eq!(order, [2, 3, 1].map(|id| Some(RuntimeId(id))));
}

#[test]
fn what_lies_in_a_pocket_is_found_by_every_thread() {
    let handoff = stocked(1);
    std::thread::scope(|scope| {
        for _ in 0..20 {
            let lease = leased(handoff.try_take().expect("nobody else has it"));
            scope.spawn(|| give_back(lease)).join().expect("it only gives it back");
        }
    });
    assert_eq!(handoff.stock().ready, 1);
    let lease = leased(handoff.try_take().expect("nobody else has it"));
    lease.tether().condemn();
    assert_eq!(handoff.withdraw_condemned().len(), 0, "it is leased");
    drop(lease);
    assert_eq!(handoff.stock().ready, 0);
}

#[test]
fn condemned_tickets_are_withdrawn_from_pockets_and_queue() {
    let handoff = stocked(3);
    let leases = [(); 2].map(|()| leased(handoff.try_take().expect("three are ready")));
    let tethers = leases.each_ref().map(|lease| lease.tether().clone());
    // Into the pocket, and behind the third.
    leases.into_iter().for_each(give_back);
    tethers.iter().for_each(super::Tether::condemn);
    let withdrawn: Vec<_> = handoff.withdraw_condemned().iter().map(super::Ticket::runtime).collect();
    assert_eq!((withdrawn, handoff.stock().ready), (vec![RuntimeId(1), RuntimeId(2)], 1));
    assert_eq!(handoff.low_water(), 0, "nothing was noted since the beginning");
    drop(handoff.try_take());
    assert_eq!(handoff.low_water(), 0);
}

/// Threads beyond the number of pockets share theirs; so many don't all share this one's.
#[test]
fn threads_have_pockets_of_their_own() {
    let found = [(); 8].map(|()| {
        let handoff = stocked(2);
        std::thread::scope(|scope| {
            scope.spawn(|| give_back(leased(handoff.try_take().expect("two are ready"))));
        });
        handoff.try_take().map(|taken| taken.runtime())
    });
    assert!(found.contains(&Some(RuntimeId(2))), "{found:?}");
}

/// Whatever of it lies in pockets.
#[test]
fn how_few_were_ready_is_exact() {
    let handoff = stocked(4);
    give_back(leased(handoff.try_take().expect("four are ready")));
    assert_eq!(handoff.low_water(), 0, "nothing was noted before");
    give_back(leased(handoff.try_take().expect("four are ready")));
    assert_eq!(handoff.low_water(), 3);
    let leases = [(); 3].map(|()| leased(handoff.try_take().expect("four are ready")));
    leases.into_iter().for_each(give_back);
    assert_eq!((handoff.low_water(), handoff.low_water()), (1, 4));
}

/// Whatever of it lies in pockets.
#[test]
fn low_stock_is_told_below_the_mark_and_not_at_it() {
    static TOLD: AtomicUsize = AtomicUsize::new(0);
    let on_low = || {
        TOLD.fetch_add(1, Ordering::Relaxed);
    };
    let handoff = Handoff::new(8, 8, Hooks { on_return: Box::new(drop), on_low: Box::new(on_low) });
    (1..=4).for_each(|id| handoff.issue(RuntimeId(id), ()).put());
    // Into the pocket of another thread.
    std::thread::scope(|scope| {
        scope.spawn(|| give_back(leased(handoff.try_take().expect("four are ready"))));
    });
    handoff.set_low_mark(Some(3));
    let lease = handoff.try_take().expect("four are ready");
    assert_eq!((handoff.stock().ready, TOLD.load(Ordering::Relaxed)), (3, 0));
    let other = handoff.try_take().expect("three are ready");
    assert_eq!((handoff.stock().ready, TOLD.load(Ordering::Relaxed)), (2, 1));
    drop((lease, other));
}

#[test]
fn each_sign_is_told_from_the_others() {
    let gate = Gate::new();
    assert_eq!((gate.is_open(), gate.sign()), (true, Sign::Open));
    gate.shut();
    assert_eq!((gate.is_open(), gate.sign()), (false, Sign::Shut));
    for waiting in [1, 2, 1 << 40] {
        gate.set_waiting(waiting);
        assert_eq!((gate.is_open(), gate.sign()), (false, Sign::Waiting(waiting)));
    }
    gate.set_waiting(0);
    assert_eq!((gate.is_open(), gate.sign()), (true, Sign::Open));
    gate.close();
    assert_eq!((gate.is_open(), gate.sign()), (false, Sign::Closed));
}

#[test]
fn a_seat_keeps_one_waiters_gift_until_it_is_collected() {
    let seats = Seats::<u32>::new();
    let seat = seats.at(5);
    assert!(std::ptr::eq(seat, seats.at(5 + SEATS)), "the same for the one so many behind it");
    assert_eq!(seat.collect(5), None);
    assert_eq!(seat.give(5, 7), Ok(()));
    assert_eq!(seat.give(5 + SEATS, 8), Err(8), "it is taken");
    assert_eq!((seat.collect(5 + SEATS), seat.collect(5), seat.collect(5)), (None, Some(7), None));
    assert_eq!(seat.give(5 + SEATS, 8), Ok(()));
    assert_eq!(seat.collect(5 + SEATS), Some(8));
}

#[test]
fn a_row_of_waiters_has_a_seat_each() {
    let seats = Seats::new();
    assert!((100..100 + SEATS).all(|number| seats.at(number).give(number, number).is_ok()));
    assert!((100..100 + SEATS).all(|number| seats.at(number).collect(number) == Some(number)));
    // The last numbers before they wrap have seats too.
    assert_eq!(seats.at(usize::MAX - 1).give(usize::MAX - 1, 0), Ok(()));
}

/// P4: with so many before them who have not looked yet that the last has no seat.
#[test]
fn one_without_a_seat_keeps_its_turn_when_its_ticket_is_condemned() {
    let (returned, told) = std::sync::mpsc::channel();
    let on_return = Box::new(move |ticket: super::Ticket<()>| drop(returned.send(ticket)));
    let tickets = SEATS + 2;
    let handoff = Handoff::new(tickets, tickets, Hooks { on_return, on_low: Box::new(|| {}) });
    let mut context = Context::from_waker(Waker::noop());
    let mut takes: Vec<_> = (0..=SEATS).map(|_| handoff.take()).collect();
    for take in &mut takes {
        assert!(Pin::new(take).poll(&mut context).is_pending());
    }
    let mut ids = (0..).map(RuntimeId);
    let mut last = None;
    for id in ids.by_ref().take(takes.len()) {
        let ticket = handoff.issue(id, ());
        last = Some(ticket.tether().clone());
        ticket.put();
    }
    last.expect("it was handed over").condemn();
    let mut take = takes.pop().expect("there are many");
    assert!(Pin::new(&mut take).poll(&mut context).is_pending(), "it got one that is condemned");
    assert_eq!(told.try_recv().map(|ticket| ticket.runtime()), Ok(RuntimeId(SEATS as u64)));
    let next = ids.next().expect("there is always one more");
    handoff.issue(next, ()).put();
    let Poll::Ready(Ok(served)) = Pin::new(&mut take).poll(&mut context) else { panic!("not served") };
    assert_eq!(served.runtime(), next);
}
