//! Both streams over one, where an engine gives only that: its attach stream.
//!
//! ```text
//! record  = kind:u8  length:u32  bytes[length]      little-endian
//! kind    = 0, 1: bytes of the control, of the data stream; none of them is the stream's end
//!           2, 3: the receiver has taken this many bytes (a u32) of the control, of the data stream
//! ```
//!
//! Each stream has a window in each direction: who sends stops at [`MUX_WINDOW`] bytes that were not reported as
//! taken. So a data stream that nobody reads stops itself, and never the control stream.

use super::codec::Malformed;

/// Bytes of one stream that may be under way in one direction.
pub const MUX_WINDOW: usize = 256 << 10;

/// The largest record's bytes. Bounds how long one stream waits for the other.
pub const MUX_RECORD: usize = 32 << 10;

const HEADER: usize = 5;

/// Bytes not yet sent from which on no more is taken of the data stream; the control stream may go twice as far.
const FULL: usize = 2 * MUX_RECORD;

/// Bytes taken from which on the sender is told.
const CREDIT_STEP: usize = MUX_WINDOW / 4;

const CREDIT: u8 = 2;

/// One of the two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// The control stream.
    Control,
    /// The data stream.
    Data,
}

impl Lane {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Control, Self::Data];
}

/// One end of a stream that carries two. Moves no bytes itself: it is fed and emptied.
#[derive(Debug)]
pub struct Mux {
    parser: Parser,
    lanes: [Window; 2],
    out: Vec<u8>,
    sent: usize,
}

/// What is known of one stream.
#[derive(Debug)]
struct Window {
    /// Received and not yet taken.
    incoming: Vec<u8>,
    taken: usize,
    /// Taken, and the sender was not told.
    unreported: usize,
    /// Received, and the sender was not told that it was taken.
    outstanding: usize,
    /// Bytes that may be sent.
    room: usize,
    /// Whether the other end sends no more.
    ended: bool,
    /// Whether this end sends no more.
    closed: bool,
}

/// Where in a record the input is.
#[derive(Debug)]
enum Parser {
    Header(Vec<u8>),
    Bytes { lane: Lane, left: usize },
    Credit { lane: Lane, bytes: Vec<u8> },
}

impl Mux {
    /// A fresh one, for either end.
    #[must_use]
    pub fn new() -> Self {
        let window = || Window {
            incoming: Vec::new(),
            taken: 0,
            unreported: 0,
            outstanding: 0,
            room: MUX_WINDOW,
            ended: false,
            closed: false,
        };
        Self { parser: Parser::Header(Vec::new()), lanes: [window(), window()], out: Vec::new(), sent: 0 }
    }

    /// Takes what came from the other end. Holds at most a window of each stream.
    ///
    /// # Errors
    /// When no end of ours would have sent it. The stream is then beyond repair.
    pub fn receive(&mut self, mut bytes: &[u8]) -> Result<(), Malformed> {
        while !bytes.is_empty() {
            match &mut self.parser {
                Parser::Header(header) => {
                    bytes = fill(header, HEADER, bytes);
                    if let Some(header) = header.first_chunk().copied().filter(|_| header.len() == HEADER) {
                        self.parser = self.begin(header)?;
                    }
                }
                Parser::Bytes { lane, left } => {
                    let (now, later) = bytes.split_at(bytes.len().min(*left));
                    self.lanes[*lane as usize].incoming.extend_from_slice(now);
                    bytes = later;
                    *left -= now.len();
                    if *left == 0 {
                        self.parser = Parser::Header(Vec::new());
                    }
                }
                Parser::Credit { lane, bytes: count } => {
                    bytes = fill(count, 4, bytes);
                    if let Some(count) = count.first_chunk().copied() {
                        let window = &mut self.lanes[*lane as usize];
                        window.room = window
                            .room
                            .checked_add(u32::from_le_bytes(count) as usize)
                            .filter(|room| *room <= MUX_WINDOW)
                            .ok_or(Malformed("more was taken than was sent"))?;
                        self.parser = Parser::Header(Vec::new());
                    }
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, [kind, length @ ..]: [u8; HEADER]) -> Result<Parser, Malformed> {
        let length = u32::from_le_bytes(length) as usize;
        let lane = if kind & 1 == 0 { Lane::Control } else { Lane::Data };
        match kind {
            0 | 1 => {
                let window = &mut self.lanes[lane as usize];
                if length > MUX_RECORD || window.outstanding + length > MUX_WINDOW {
                    return Err(Malformed("more was sent than the window allows"));
                }
                if window.ended {
                    return Err(Malformed("the stream has ended already"));
                }
                window.outstanding += length;
                window.ended = length == 0;
                Ok(if length == 0 {
                    Parser::Header(Vec::new())
                } else {
                    Parser::Bytes { lane, left: length }
                })
            }
            2 | 3 if length == 4 => Ok(Parser::Credit { lane, bytes: Vec::new() }),
            _ => Err(Malformed("unknown record")),
        }
    }

    /// What came of one stream and was not yet taken.
    #[must_use]
    pub fn incoming(&self, lane: Lane) -> &[u8] {
        let window = &self.lanes[lane as usize];
        &window.incoming[window.taken..]
    }

    /// That many bytes of [`incoming`](Self::incoming) were taken.
    pub fn take(&mut self, lane: Lane, count: usize) {
        let window = &mut self.lanes[lane as usize];
        window.taken = (window.taken + count).min(window.incoming.len());
        window.unreported += count;
        if window.taken == window.incoming.len() {
            window.incoming.clear();
            window.taken = 0;
        } else if window.taken >= CREDIT_STEP {
            window.incoming.drain(..window.taken);
            window.taken = 0;
        }
        if window.unreported >= CREDIT_STEP {
            let count = u32::try_from(std::mem::take(&mut window.unreported)).unwrap_or(u32::MAX);
            window.outstanding = window.outstanding.saturating_sub(count as usize);
            self.record(CREDIT | lane as u8, &count.to_le_bytes());
        }
    }

    /// Whether all of one stream was taken and no more of it comes.
    #[must_use]
    pub fn has_ended(&self, lane: Lane) -> bool {
        self.lanes[lane as usize].ended && self.incoming(lane).is_empty()
    }

    /// Bytes of one stream that may be [put](Self::put) now.
    #[must_use]
    pub fn room(&self, lane: Lane) -> usize {
        let window = &self.lanes[lane as usize];
        let most = if lane == Lane::Control { 2 * FULL } else { FULL };
        let free = most.saturating_sub(self.output().len());
        if window.closed { 0 } else { window.room.min(free).min(MUX_RECORD) }
    }

    /// Sends bytes of one stream, no more than there is [room](Self::room) for.
    pub fn put(&mut self, lane: Lane, bytes: &[u8]) {
        if !bytes.is_empty() {
            let window = &mut self.lanes[lane as usize];
            window.room = window.room.saturating_sub(bytes.len());
            self.record(lane as u8, bytes);
        }
    }

    /// No more of one stream comes from this end.
    pub fn close(&mut self, lane: Lane) {
        if !std::mem::replace(&mut self.lanes[lane as usize].closed, true) {
            self.record(lane as u8, &[]);
        }
    }

    /// What is to be sent to the other end.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        &self.out[self.sent..]
    }

    /// That many bytes of [`output`](Self::output) were sent.
    pub fn sent(&mut self, count: usize) {
        self.sent = (self.sent + count).min(self.out.len());
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
        } else if self.sent >= FULL {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Whether nothing more goes out: both streams are closed and all was sent.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.lanes.iter().all(|window| window.closed) && self.output().is_empty()
    }

    fn record(&mut self, kind: u8, bytes: &[u8]) {
        // No record is longer than `MUX_RECORD`.
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.out.push(kind);
        self.out.extend_from_slice(&length.to_le_bytes());
        self.out.extend_from_slice(bytes);
    }
}

impl Default for Mux {
    fn default() -> Self {
        Self::new()
    }
}

/// Moves bytes to `part` until it has so many; answers the rest.
fn fill<'a>(part: &mut Vec<u8>, length: usize, bytes: &'a [u8]) -> &'a [u8] {
    let (now, later) = bytes.split_at(bytes.len().min(length - part.len()));
    part.extend_from_slice(now);
    later
}

#[cfg(test)]
mod tests {
    use super::*;

    static ZEROES: [u8; MUX_RECORD] = [0; MUX_RECORD];

    fn credits(mux: &Mux) -> Vec<u32> {
        let count = |record: &[u8]| record.last_chunk().map(|count| u32::from_le_bytes(*count));
        mux.output().chunks(HEADER + 4).filter_map(count).collect()
    }

    fn with_incoming(count: usize) -> Mux {
        let (mut sender, mut mux) = (Mux::new(), Mux::new());
        for _ in 0..count / MUX_RECORD {
            sender.put(Lane::Data, &ZEROES);
        }
        mux.receive(sender.output()).unwrap();
        assert_eq!(mux.incoming(Lane::Data).len(), count);
        mux
    }

    /// A record for every read would be as many as the reads.
    #[test]
    fn the_sender_is_told_a_quarter_window_at_a_time() {
        let mut mux = with_incoming(MUX_WINDOW);
        mux.take(Lane::Data, MUX_WINDOW / 4 - 1);
        assert!(credits(&mux).is_empty());
        mux.take(Lane::Data, 1);
        assert_eq!(credits(&mux), [65_536]);
        mux.take(Lane::Data, 1);
        mux.take(Lane::Data, MUX_WINDOW / 2);
        assert_eq!(credits(&mux), [65_536, 131_073]);
    }

    #[test]
    fn what_was_taken_or_sent_is_let_go_of_when_it_is_worth_the_move() {
        let mut mux = with_incoming(MUX_WINDOW);
        let held = |mux: &Mux| mux.lanes[Lane::Data as usize].incoming.len();
        mux.take(Lane::Data, CREDIT_STEP - 1);
        assert_eq!(held(&mux), MUX_WINDOW);
        mux.take(Lane::Data, 1);
        assert_eq!(held(&mux), MUX_WINDOW - CREDIT_STEP);
        mux.take(Lane::Data, MUX_WINDOW - CREDIT_STEP);
        assert_eq!(held(&mux), 0);

        let mut mux = Mux::new();
        for _ in 0..3 {
            mux.put(Lane::Control, &ZEROES);
        }
        let all = 3 * (HEADER + MUX_RECORD);
        mux.sent(FULL - 1);
        assert_eq!((mux.out.len(), mux.output().len()), (all, all - FULL + 1));
        mux.sent(1);
        assert_eq!((mux.out.len(), mux.output().len()), (all - FULL, all - FULL));
        mux.sent(all);
        assert_eq!(mux.out.len(), 0);
    }

    /// The control stream goes past a data stream that waits to be sent.
    #[test]
    fn room_ends_for_data_before_it_ends_for_control() {
        let mut mux = Mux::new();
        let rooms = |mux: &Mux| Lane::BOTH.map(|lane| mux.room(lane));
        assert_eq!(rooms(&mux), [MUX_RECORD, MUX_RECORD]);
        mux.put(Lane::Data, &ZEROES);
        assert_eq!(rooms(&mux), [MUX_RECORD, MUX_RECORD - HEADER]);
        mux.put(Lane::Data, &ZEROES[HEADER..]);
        assert_eq!(rooms(&mux), [MUX_RECORD, 0]);
        mux.put(Lane::Control, &ZEROES);
        assert_eq!(rooms(&mux), [MUX_RECORD - 2 * HEADER, 0]);
        mux.put(Lane::Control, &ZEROES[2 * HEADER..]);
        assert_eq!(rooms(&mux), [0, 0]);
        mux.sent(usize::MAX >> 1);
        assert_eq!(rooms(&mux), [MUX_RECORD, MUX_RECORD]);
        mux.close(Lane::Data);
        assert_eq!(rooms(&mux), [MUX_RECORD, 0]);
    }
}
