//! The mux: what goes in at one end comes out at the other, a stream that nobody reads stops only itself, and
//! nothing that arrives makes an end panic or hold more than its windows.

use ostler::protocol::{Lane, MUX_RECORD, MUX_WINDOW, Mux};
use proptest::collection::vec;
use proptest::prelude::*;

/// What an end does next.
#[derive(Clone, Debug)]
enum Step {
    /// Puts up to so many bytes of a stream.
    Put(usize, Lane, usize),
    /// Moves up to so many bytes of its output to the other end.
    Move(usize, usize),
    /// Takes up to so many bytes of a stream.
    Take(usize, Lane, usize),
}

fn lane() -> impl Strategy<Value = Lane> {
    prop_oneof![Just(Lane::Control), Just(Lane::Data)]
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![0usize..100, 0usize..80_000];
    prop_oneof![
        (0usize..2, lane(), size.clone()).prop_map(|(end, lane, size)| Step::Put(end, lane, size)),
        (0usize..2, size.clone()).prop_map(|(end, size)| Step::Move(end, size)),
        (0usize..2, lane(), size).prop_map(|(end, lane, size)| Step::Take(end, lane, size)),
    ]
}

/// Both ends, and what went in and came out of each stream in each direction.
struct World {
    ends: [Mux; 2],
    put: [[Vec<u8>; 2]; 2],
    taken: [[Vec<u8>; 2]; 2],
    next: u8,
}

impl World {
    fn new() -> Self {
        Self { ends: [Mux::new(), Mux::new()], put: Default::default(), taken: Default::default(), next: 0 }
    }

    fn put(&mut self, end: usize, lane: Lane, most: usize) -> usize {
        let count = self.ends[end].room(lane).min(most);
        self.next = self.next.wrapping_add(1);
        let mut bytes = vec![self.next; count];
        if let Some(last) = bytes.last_mut() {
            *last = !self.next;
        }
        self.ends[end].put(lane, &bytes);
        self.put[end][lane as usize].extend(bytes);
        count
    }

    fn deliver(&mut self, end: usize, most: usize) -> usize {
        let output = self.ends[end].output();
        let part = output[..output.len().min(most)].to_vec();
        self.ends[end].sent(part.len());
        self.ends[1 - end].receive(&part).expect("what our end sends");
        part.len()
    }

    fn take(&mut self, end: usize, lane: Lane, most: usize) -> usize {
        let incoming = self.ends[end].incoming(lane);
        let part = incoming[..incoming.len().min(most)].to_vec();
        self.ends[end].take(lane, part.len());
        self.taken[1 - end][lane as usize].extend(&part);
        part.len()
    }

    /// Moves everything that can be moved, but takes nothing of `left`.
    fn settle(&mut self, left: Option<(usize, Lane)>) {
        loop {
            let mut moved = 0;
            for end in 0..2 {
                moved += self.deliver(end, usize::MAX);
                for lane in Lane::BOTH {
                    if left != Some((end, lane)) {
                        moved += self.take(end, lane, usize::MAX);
                    }
                }
            }
            if moved == 0 {
                return;
            }
        }
    }

    fn check(&self) {
        for end in &self.ends {
            for lane in Lane::BOTH {
                assert!(end.incoming(lane).len() <= MUX_WINDOW);
            }
            assert!(end.output().len() <= 8 * MUX_RECORD);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_goes_in_comes_out(steps in vec(step(), 0..50)) {
        let mut world = World::new();
        for step in steps {
            match step {
                Step::Put(end, lane, most) => drop(world.put(end, lane, most)),
                Step::Move(end, most) => drop(world.deliver(end, most)),
                Step::Take(end, lane, most) => drop(world.take(end, lane, most)),
            }
            world.check();
        }
        world.settle(None);
        prop_assert!(world.put == world.taken);
        for end in 0..2 {
            for lane in Lane::BOTH {
                prop_assert!(world.ends[end].room(lane) >= MUX_RECORD, "the window is open again");
                world.ends[end].close(lane);
            }
        }
        world.settle(None);
        for end in &world.ends {
            prop_assert!(end.is_finished() && Lane::BOTH.iter().all(|lane| end.has_ended(*lane)));
        }
    }

    #[test]
    fn a_stream_nobody_reads_stops_only_itself(stalled in 0usize..2, other in lane(), chunk in 2000usize..50_000) {
        let mut world = World::new();
        let lane = if other == Lane::Control { Lane::Data } else { Lane::Control };
        for _ in 0..2 {
            while world.put(1 - stalled, lane, chunk) > 0 {
                world.settle(Some((stalled, lane)));
            }
            prop_assert_eq!(world.ends[stalled].incoming(lane).len(), MUX_WINDOW);
            for _ in 0..40 {
                prop_assert!(world.put(1 - stalled, other, chunk) > 0);
                prop_assert!(world.put(stalled, other, chunk) > 0);
                prop_assert!(world.put(stalled, lane, chunk) > 0, "nor its other direction");
                world.settle(Some((stalled, lane)));
            }
            world.check();
        }
        world.settle(None);
        prop_assert!(world.put == world.taken);
    }

    #[test]
    fn any_bytes_are_taken_without_a_panic(bytes in vec(any::<u8>(), 0..2000), piece in 1usize..300) {
        let mut mux = Mux::new();
        for piece in bytes.chunks(piece) {
            if mux.receive(piece).is_err() {
                break;
            }
            prop_assert!(Lane::BOTH.iter().all(|lane| mux.incoming(*lane).len() <= MUX_WINDOW));
        }
    }

    #[test]
    fn mutated_records_are_taken_without_a_panic(
        sizes in vec((lane(), 0usize..3000), 1..6),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut end = Mux::new();
        for (lane, size) in sizes {
            end.put(lane, &vec![1; size]);
        }
        let mut bytes = end.output().to_vec();
        prop_assume!(!bytes.is_empty());
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let mut other = Mux::new();
        if other.receive(&bytes).is_ok() {
            for lane in Lane::BOTH {
                other.take(lane, usize::MAX >> 1);
            }
        }
    }
}

fn record(kind: u8, length: u32, bytes: &[u8]) -> Vec<u8> {
    [&[kind], length.to_le_bytes().as_slice(), bytes].concat()
}

#[test]
fn what_no_end_of_ours_sends_is_refused() {
    let longest = u32::try_from(MUX_RECORD).expect("it fits");
    for bytes in [
        record(4, 0, b""),
        record(255, 1, b"x"),
        record(0, longest + 1, b""),
        record(1, u32::MAX, b""),
        record(2, 3, b"abc"),
        record(2, 4, &1u32.to_le_bytes()),
        record(3, 4, &u32::MAX.to_le_bytes()),
        [record(0, 0, b""), record(0, 0, b"")].concat(),
        [record(1, 0, b""), record(1, 1, b"x")].concat(),
    ] {
        assert!(Mux::new().receive(&bytes).is_err(), "{bytes:?}");
    }
    let full = record(1, longest, &vec![0; MUX_RECORD]).repeat(MUX_WINDOW / MUX_RECORD);
    let mut mux = Mux::new();
    mux.receive(&full).expect("a whole window");
    assert!(mux.receive(&record(1, 1, b"")).is_err(), "and not a byte more");
    assert!(mux.room(Lane::Data) > 0 && mux.incoming(Lane::Control).is_empty());
}

#[test]
fn a_stream_has_ended_when_its_end_has_come_and_all_was_taken() {
    let (mut end, mut other) = (Mux::new(), Mux::new());
    end.put(Lane::Data, b"last words");
    other.receive(end.output()).expect("what our end sends");
    end.sent(end.output().len());
    other.take(Lane::Data, 10);
    assert!(!other.has_ended(Lane::Data), "all was taken, and more may come");
    end.put(Lane::Data, b"x");
    end.close(Lane::Data);
    other.receive(end.output()).expect("what our end sends");
    assert!(!other.has_ended(Lane::Data), "the end has come, and not all was taken");
    other.take(Lane::Data, 1);
    assert!(other.has_ended(Lane::Data) && !other.has_ended(Lane::Control));

    assert!(!end.is_finished(), "not all was sent");
    end.sent(end.output().len());
    assert!(!end.is_finished(), "one stream is open");
    end.close(Lane::Data);
    assert!(end.output().is_empty(), "an end is said once");
    end.close(Lane::Control);
    assert!(!end.is_finished(), "the end of it was not sent");
    end.sent(end.output().len());
    assert!(end.is_finished());
    assert!(!Mux::new().is_finished(), "nothing is to be sent, and both are open");
}
