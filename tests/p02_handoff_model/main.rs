//! P2 to P6, of the handoff, under a model checker: shuttle runs the handoff's own source on primitives whose
//! every step it schedules. A waiter that is never woken shows as a deadlock. Seeds are fixed; a failure prints
//! the schedule to replay.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};

use shuttle::future::block_on;
use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler, UrwRandomScheduler};
use shuttle::thread;
use shuttle::{Config, Runner};

use handoff::{Handoff, Hooks, Take, TakeError};
use model::RuntimeId;
use world::{Op, World};

mod sync;
mod world;

mod model {
    pub(crate) use ostler::model::{Epoch, RuntimeId};
}

#[path = "../../src/handoff"]
#[expect(dead_code, unreachable_pub, reason = "the handoff's own files, as the library has them")]
mod handoff {
    mod exchange;
    mod gate;
    mod gauge;
    mod handle;
    mod ready;
    mod seat;
    mod take;
    mod taken;
    mod ticket;
    mod waiters;

    use super::sync;
    pub(crate) use handle::{Handoff, Hooks, Stock};
    pub(crate) use take::{Take, TakeError};
    pub(crate) use taken::Taken;
    pub(crate) use ticket::{Tether, Ticket};
}

const SEED: u64 = 0x05_71e2;

/// Runs `scenario` under each scheduler, so many times, or `MODEL_CHECK_FACTOR` times as often.
fn check(times: usize, scenario: impl Fn() + Clone + Send + Sync + 'static) {
    let factor = std::env::var("MODEL_CHECK_FACTOR").ok().and_then(|factor| factor.parse().ok());
    let times = times * factor.unwrap_or(1);
    run(RandomScheduler::new_from_seed(SEED, times), scenario.clone());
    run(UrwRandomScheduler::new_from_seed(SEED, times), scenario.clone());
    run(PctScheduler::new_from_seed(SEED, 3, times), scenario);
}

fn run(scheduler: impl Scheduler + 'static, scenario: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    // It warns that it has no weak memory. What is not `SeqCst` here is changed under the lock, or handed on by a pair
    // of `Release` and `Acquire`, or a hint.
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(scenario);
}

fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// P2, P3, P5, P6: whatever two operations do to each other and to a lease beside them, no ticket is lost or
/// leased twice, nobody waits beside a ready ticket, and the count is right at rest.
#[test]
fn every_pair_of_operations() {
    for (index, first) in Op::ALL.into_iter().enumerate() {
        for second in Op::ALL.into_iter().skip(index) {
            check(15, move || {
                World::run(1, 8, &[&[Op::Lease], &[first], &[second]]);
            });
        }
    }
}

/// The same with longer random histories of two to four threads.
#[test]
fn random_histories() {
    check(400, || {
        let mut rng = thread_rng();
        let threads = rng.gen_range(2..=4);
        let histories: Vec<Vec<Op>> = (0..threads)
            .map(|_| (0..rng.gen_range(1..=4)).map(|_| Op::ALL[rng.gen_range(0..Op::ALL.len())]).collect())
            .collect();
        let histories: Vec<&[Op]> = histories.iter().map(Vec::as_slice).collect();
        World::run(rng.gen_range(1..=2), rng.gen_range(0..=3), &histories);
    });
}

/// P4: the waiters are served in the order they came, whoever puts or gives up meanwhile.
#[test]
fn waiters_are_served_in_order() {
    check(400, || {
        let world = World::new(0, 8);
        let mut takes: Vec<Take<'_, u32>> = (0..4).map(|_| world.handoff.take()).collect();
        for take in &mut takes {
            assert!(poll_once(take).is_pending());
        }
        let mut second = Some(takes.remove(1));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| world.issue().put());
            }
            let second = second.take();
            scope.spawn(move || drop(second));
            let mut served = [const { None }; 3];
            // Youngest first: who is served has all older ones served before.
            for (take, served) in takes.iter_mut().zip(&mut served).rev() {
                *served = match poll_once(take) {
                    Poll::Ready(got) => Some(got),
                    Poll::Pending => None,
                };
            }
            for pair in served.windows(2) {
                assert!(pair[0].is_some() || pair[1].is_none(), "a younger waiter was served first");
            }
        });
        drop(takes);
        world.end();
    });
}

/// P4: a waiter whose ticket is condemned between its turn and its look keeps its turn.
#[test]
fn a_condemned_ticket_costs_nobody_the_turn() {
    check(400, || {
        let world = World::new(0, 8);
        let mut first = world.handoff.take();
        let mut second = world.handoff.take();
        assert!(poll_once(&mut first).is_pending() && poll_once(&mut second).is_pending());
        let ticket = world.issue();
        thread::scope(|scope| {
            scope.spawn(|| {
                let tether = ticket.tether().clone();
                ticket.put();
                tether.condemn();
            });
            for _ in 0..3 {
                match poll_once(&mut first) {
                    Poll::Ready(taken) => return drop(taken.expect("a ticket, or its replacement")),
                    Poll::Pending => assert!(poll_once(&mut second).is_pending(), "served before the first"),
                }
                thread::yield_now();
            }
            drop(block_on(first).expect("a ticket, or its replacement"));
        });
        drop(block_on(second).expect("what the first gave back"));
        world.end();
    });
}

/// P5: the same without a replacement, and with a ticket put meanwhile by somebody who saw nobody wait.
#[test]
fn a_waiter_that_waits_again_sees_what_came_meanwhile() {
    check(400, || {
        let handoff = Handoff::new(2, 8, Hooks { on_return: Box::new(drop), on_low: Box::new(|| ()) });
        let mut take = handoff.take();
        assert!(poll_once(&mut take).is_pending());
        let [doomed, spare] = [0, 1].map(|id| handoff.issue(RuntimeId(id), 0));
        let tether = doomed.tether().clone();
        doomed.put();
        tether.condemn();
        thread::scope(|scope| {
            scope.spawn(|| spare.put());
            let taken = block_on(take).expect("the spare one");
            assert_eq!(taken.runtime(), RuntimeId(1));
        });
    });
}

/// P4: as many waiters as tickets, and somebody who comes later with every trick: he gets none.
#[test]
fn nobody_barges() {
    check(400, || {
        let world = World::new(0, 8);
        let mut waiting = [world.handoff.take(), world.handoff.take()];
        for take in &mut waiting {
            assert!(poll_once(take).is_pending());
        }
        let tickets = [world.issue(), world.issue()];
        thread::scope(|scope| {
            for ticket in tickets {
                scope.spawn(|| ticket.put());
            }
            scope.spawn(|| {
                let mut late = world.handoff.take();
                assert!(poll_once(&mut late).is_pending());
                assert!(world.handoff.try_take().is_none());
                assert!(world.handoff.withdraw().is_none());
                assert!(poll_once(&mut late).is_pending());
            });
        });
        for take in waiting {
            drop(block_on(take).expect("a ticket each"));
        }
        world.end();
    });
}

/// P4: the same with a ticket that is put while the one who waits joins.
#[test]
fn nobody_barges_between() {
    check(400, || {
        let world = World::new(0, 8);
        let ticket = world.issue();
        thread::scope(|scope| {
            scope.spawn(|| ticket.put());
            let (mut first, mut late) = (world.handoff.take(), world.handoff.take());
            if poll_once(&mut first).is_pending() {
                assert!(poll_once(&mut late).is_pending(), "got the only ticket past who waits for it");
                assert!(world.handoff.try_take().is_none() && world.handoff.withdraw().is_none());
                drop(block_on(first).expect("the ticket"));
            }
        });
        world.end();
    });
}

/// P4: bb8's defect. A holder that gives back and takes again at once gets its turn after who waited.
#[test]
fn a_holder_that_takes_again_waits_its_turn() {
    check(400, || {
        let world = World::new(1, 8);
        let turns = AtomicUsize::new(0);
        let held = world.handoff.try_take().expect("the only ticket");
        let mut waiting = world.handoff.take();
        assert!(poll_once(&mut waiting).is_pending());
        thread::scope(|scope| {
            scope.spawn(|| {
                drop(block_on(waiting).map(|taken| (turns.fetch_add(1, SeqCst), taken)));
            });
            drop(held);
            drop(block_on(world.handoff.take()).expect("the ticket again"));
            assert_eq!(turns.load(SeqCst), 1, "served before who waited");
        });
        world.end();
    });
}

/// P5, P15: the limit counts live waiters, neither fewer nor more.
#[test]
fn the_queue_limit_is_exact() {
    check(400, || {
        let world = World::new(0, 2);
        let refused = AtomicUsize::new(0);
        let mut takes: Vec<_> = (0..4).map(|_| world.handoff.take()).collect();
        thread::scope(|scope| {
            for take in &mut takes {
                scope.spawn(|| match poll_once(take) {
                    Poll::Ready(Err(TakeError::Overloaded { waiters })) => {
                        assert_eq!(waiters, 2);
                        refused.fetch_add(1, SeqCst);
                    }
                    other => assert!(other.is_pending()),
                });
            }
        });
        assert_eq!(refused.load(SeqCst), 2);
        drop(takes);
        assert!(poll_once(&mut world.handoff.take()).is_pending(), "who gave up takes no room");
        world.end();
    });
}

/// P5: closing fails every waiter, also those who are about to become one.
#[test]
fn closing_wakes_everybody() {
    check(400, || {
        let world = World::new(0, 8);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    assert!(matches!(block_on(world.handoff.take()), Err(TakeError::Closed)));
                });
            }
            scope.spawn(|| world.close());
        });
        world.end();
    });
}

/// P2: a ticket on its way to a waiter who is called, while an older one, who waits once more, is refused.
#[test]
fn closing_loses_nothing_that_is_on_its_way() {
    check(2000, || {
        let world = World::new(0, 8);
        let mut takes = [world.handoff.take(), world.handoff.take()];
        for take in &mut takes {
            assert!(poll_once(take).is_pending());
        }
        let [mut older, called] = takes;
        let [doomed, spare] = [world.issue(), world.issue()];
        let tether = doomed.tether().clone();
        doomed.put();
        tether.condemn();
        thread::scope(|scope| {
            scope.spawn(|| spare.put());
            scope.spawn(|| {
                let _ = poll_once(&mut older);
                world.close();
            });
            // Waits for what is on its way, and gives it back.
            drop(called);
        });
        drop(older);
        world.end();
    });
}

/// P6: a waiter polled by one task and then by another is woken where it was polled last.
#[test]
fn a_waiter_that_moves_is_woken_where_it_went() {
    check(300, || {
        let world = World::new(0, 8);
        let mut take = world.handoff.take();
        assert!(poll_once(&mut take).is_pending());
        let ticket = world.issue();
        thread::scope(|scope| {
            scope.spawn(|| ticket.put());
            scope.spawn(|| drop(block_on(take).expect("a ticket")));
        });
        world.end();
    });
}

/// Low stock is told once, however many take at once, and again after rearming.
#[test]
fn low_stock_is_told_once() {
    check(300, || {
        let world = World::new(3, 8);
        world.handoff.set_low_mark(Some(3));
        for told in 1..=2 {
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| drop(world.handoff.try_take()));
                }
            });
            assert_eq!(world.told_low(), told);
            world.handoff.rearm();
        }
        world.end();
    });
}

/// More tickets than the queue has room for: the rest is found all the same.
#[test]
fn a_pool_that_outgrew_its_queue() {
    check(300, || {
        let world = World::new(World::CAPACITY + 1, 8);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut take = pin!(world.handoff.take());
                    let taken = block_on(poll_fn(|cx| take.as_mut().poll(cx))).expect("enough for all");
                    thread::yield_now();
                    drop(taken);
                });
            }
            scope.spawn(|| {
                world.condemn_one();
                world.handoff.withdraw_condemned().into_iter().for_each(|ticket| world.bury(ticket));
            });
        });
        world.end();
    });
}
