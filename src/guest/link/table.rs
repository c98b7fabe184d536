use std::collections::HashMap;

use super::operation::{Concerns, Operation};
use super::wakes::Wakes;
use crate::protocol::{Frame, Kind, Malformed, Reply, WINDOW};

/// The operations under way, by id, and what may still come for those that were given up.
#[derive(Debug)]
pub(super) struct Table {
    operations: HashMap<u64, Operation>,
    next: u64,
    /// Bytes that the guest may still send about operations it had not yet heard were cancelled. Every
    /// cancelled operation adds a window of each direction and an end; beyond that nobody asked for it.
    strays: u64,
    /// Cancelled operations whose end the guest has not told yet.
    unanswered: u64,
}

/// A cancelled operation's share in `strays`.
const STRAYS: u64 = 2 * WINDOW as u64 + 1;

impl Table {
    pub(super) fn new() -> Self {
        Self { operations: HashMap::new(), next: 1, strays: 0, unanswered: 0 }
    }

    /// The id of the next operation.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Enters an operation under [`next`](Self::next).
    pub(super) fn open(&mut self) -> u64 {
        let op = self.next;
        self.next += 1;
        self.operations.insert(op, Operation::new());
        op
    }

    pub(super) fn get(&mut self, op: u64) -> Option<&mut Operation> {
        self.operations.get_mut(&op)
    }

    /// Takes out an operation whose end has been read, or that is given up.
    pub(super) fn close(&mut self, op: u64) -> Option<Operation> {
        self.operations.remove(&op)
    }

    /// The guest was told that an operation is no longer wanted.
    pub(super) fn cancelled(&mut self) {
        self.strays = self.strays.saturating_add(STRAYS);
        self.unanswered += 1;
    }

    /// Whether the guest has told the end of everything that was cancelled.
    pub(super) fn is_settled(&self) -> bool {
        self.unanswered == 0
    }

    pub(super) fn ids(&self) -> Vec<u64> {
        self.operations.keys().copied().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.operations.len()
    }

    /// Wakes whoever waits for anything.
    pub(super) fn wake_all(&mut self, wakes: &mut Wakes) {
        for operation in self.operations.values_mut() {
            wakes.wake(operation.reader.take());
            wakes.wake(operation.writer.take());
        }
    }

    /// Hands a frame to its operation.
    ///
    /// # Errors
    /// When no guest of ours would have sent it.
    pub(super) fn route(&mut self, frame: &Frame<'_>, wakes: &mut Wakes) -> Result<(), Malformed> {
        let Some(operation) = self.operations.get_mut(&frame.op) else {
            return self.stray(frame);
        };
        match operation.receive(Reply::decode(frame)?)? {
            Concerns::Reader => wakes.wake(operation.reader.take()),
            Concerns::Writer => wakes.wake(operation.writer.take()),
            Concerns::Both => {
                wakes.wake(operation.reader.take());
                wakes.wake(operation.writer.take());
            }
        }
        Ok(())
    }

    fn stray(&mut self, frame: &Frame<'_>) -> Result<(), Malformed> {
        if frame.op >= self.next {
            return Err(Malformed("reply to nothing"));
        }
        let share = match frame.kind {
            Kind::Data => frame.payload.len().saturating_sub(1).max(1) as u64,
            Kind::Credit => 1,
            Kind::Done | Kind::Failed => {
                self.unanswered = self.unanswered.saturating_sub(1);
                1
            }
            _ => return Err(Malformed("not a reply")),
        };
        self.strays =
            self.strays.checked_sub(share).ok_or(Malformed("more about an operation that is over"))?;
        Ok(())
    }
}
