//! Both streams behind one: whatever comes, an end of the mux takes it or refuses it, and holds no more than its
//! windows; what it answers, the other end understands.

use ostler::protocol::{Lane, MUX_WINDOW, Malformed, Mux};

/// Takes the bytes in pieces, and what came of them in other pieces.
pub(crate) fn run(data: &[u8]) {
    let (mut end, mut other) = (Mux::new(), Mux::new());
    for (turn, piece) in data.chunks(11).enumerate() {
        if let Err(Malformed(_)) = end.receive(piece) {
            return;
        }
        let lane = Lane::BOTH[turn % 2];
        assert!(end.incoming(lane).len() <= MUX_WINDOW, "it keeps more than a window");
        let count = end.incoming(lane).len().min(turn);
        end.take(lane, count);
        let echo = data.get(..end.room(lane)).unwrap_or(data).to_vec();
        end.put(lane, &echo);
        let said = end.output().to_vec();
        end.sent(said.len());
        // It may credit what the other end, which is not who sent all this, never had.
        if other.receive(&said).is_ok() {
            let count = other.incoming(lane).len();
            other.take(lane, count);
        }
    }
}
