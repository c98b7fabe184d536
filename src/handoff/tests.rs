//! Of those parts that the model checker includes with primitives of its own: here with the real ones.

use super::gate::{Gate, Sign};
use super::seat::Seats;
use super::sync::SEATS;

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
fn a_seat_is_one_waiters_until_it_gets_up() {
    let seats = Seats::<u32>::new();
    let seat = seats.at(5);
    seat.occupy(5);
    assert!(seat.is_of(5) && !seat.is_of(5 + SEATS));
    assert!(std::ptr::eq(seat, seats.at(5 + SEATS)), "the same for the one so many behind it");
    seat.occupy(5 + SEATS);
    assert!(seat.is_of(5), "it is taken");
    seat.give(7);
    assert_eq!((seat.collect(), seat.collect()), (Some(7), None));
    seat.vacate();
    assert!(!seat.is_of(5));
    seat.occupy(5 + SEATS);
    assert!(seat.is_of(5 + SEATS));
}

#[test]
fn a_row_of_waiters_has_a_seat_each() {
    let seats = Seats::<u32>::new();
    (100..100 + SEATS).for_each(|number| seats.at(number).occupy(number));
    assert!((100..100 + SEATS).all(|number| seats.at(number).is_of(number)));
    // The last numbers before they wrap have seats too.
    assert!(!seats.at(usize::MAX - 1).is_of(usize::MAX - 1));
}
