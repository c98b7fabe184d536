use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

use super::operation::Operation;
use super::socket::{Pulled, Socket};
use super::table::Table;
use super::wakes::Wakes;
use crate::guest::WireError;
use crate::guest::wire::refused;
use crate::model::Epoch;
use crate::protocol::{Input, Kind, Malformed, RefusalKind, Reply, Request, encode_frame};

/// Bytes read in one go before everybody else on the thread gets a turn.
const TURN: usize = 256 << 10;

/// The largest `Input` frame. Small enough that writers take turns.
const INPUT: usize = 64 << 10;

/// What a connection knows. Each method does what can be done without waiting.
#[derive(Debug)]
pub(super) struct State {
    socket: Socket,
    table: Table,
    lease: Lease,
    /// Why the stream is no more.
    dead: Option<WireError>,
    /// Whether something happened whose outcome is unknown.
    tainted: bool,
    /// Whether the last turn ended before the socket was drained.
    unread: bool,
    /// Whether a task is under way that takes the next turn.
    resuming: bool,
}

/// Who the stream is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lease {
    /// Nobody.
    None,
    /// This one.
    Running(Epoch),
    /// The last one, whose cancels are still on their way. Until they are answered, the home runtime keeps
    /// bytes moving: a guest that can't get rid of its output looks at no input either.
    Lingering,
}

impl State {
    pub(super) fn new(socket: Socket) -> Self {
        Self {
            socket,
            table: Table::new(),
            lease: Lease::None,
            dead: None,
            tainted: false,
            unread: false,
            resuming: false,
        }
    }

    pub(super) fn is_tainted(&self) -> bool {
        self.tainted
    }

    pub(super) fn taint(&mut self) {
        self.tainted = true;
    }

    /// Operations that have not been read to their end or dropped.
    pub(super) fn operations(&self) -> usize {
        self.table.len()
    }

    /// Where the next turn is to be taken, when there has to be one and nobody is about to take it.
    pub(super) fn take_unfinished(&mut self) -> Option<Handle> {
        if !self.unread || self.resuming || self.dead.is_some() {
            return None;
        }
        self.resuming = true;
        Some(self.socket.runtime())
    }

    /// Takes the next turn.
    pub(super) fn resume(&mut self, wakes: &mut Wakes) {
        self.resuming = false;
        self.drive(wakes);
    }

    /// Starts an operation and answers its id.
    pub(super) fn open(&mut self, request: &Request, wakes: &mut Wakes) -> Result<u64, WireError> {
        if let Some(dead) = &self.dead {
            return Err(dead.clone());
        }
        if request.epoch().is_some_and(|epoch| self.lease != Lease::Running(Epoch(epoch))) {
            return Err(WireError::Ended);
        }
        let op = self.table.next();
        let outbox = &mut self.socket.outbox;
        let encoded = if outbox.has_room() {
            request.encode(op, outbox.bytes())
        } else {
            let mut frame = Vec::new();
            request.encode(op, &mut frame).map(|()| outbox.put_off(op, frame))
        };
        encoded.map_err(|_| refused(RefusalKind::Invalid, "the request does not fit a frame"))?;
        self.table.open();
        self.engage(wakes);
        self.push(wakes);
        Ok(op)
    }

    /// The next reply to `op`.
    pub(super) fn poll_reply(
        &mut self,
        op: u64,
        cx: &Context<'_>,
        wakes: &mut Wakes,
    ) -> Poll<Result<Reply, WireError>> {
        if self.unread {
            self.pull(wakes);
        }
        let Some(operation) = self.table.get(op) else {
            return Poll::Ready(Err(WireError::Ended));
        };
        if let Some((reply, credit)) = operation.take() {
            if matches!(reply, Reply::Done(_) | Reply::Failed(_)) {
                self.table.close(op);
            } else if let Some(bytes) = credit {
                self.say(op, &Input::Credit(bytes));
                self.push(wakes);
            }
            return Poll::Ready(Ok(reply));
        }
        if let Some(dead) = self.dead.clone() {
            self.table.close(op);
            return Poll::Ready(Err(dead));
        }
        wakes.store(&mut operation.reader, cx.waker());
        self.engage(wakes);
        Poll::Pending
    }

    /// Takes input for `op`.
    pub(super) fn poll_input(
        &mut self,
        op: u64,
        cx: &Context<'_>,
        bytes: &[u8],
        wakes: &mut Wakes,
    ) -> Poll<Result<usize, WireError>> {
        if let Some(dead) = &self.dead {
            return Poll::Ready(Err(dead.clone()));
        }
        let Some(operation) = self.table.get(op) else {
            return Poll::Ready(Err(WireError::Ended));
        };
        if operation.has_ended() {
            return Poll::Ready(Err(refused(RefusalKind::Failed, "the operation takes no more input")));
        }
        let count = operation.admit(bytes.len().min(INPUT));
        let room = self.socket.outbox.has_room();
        if count == 0 || !room {
            wakes.store(&mut operation.writer, cx.waker());
            if !room {
                self.socket.outbox.starve(op);
            }
            self.engage(wakes);
            return Poll::Pending;
        }
        operation.spent(count);
        let encoded = encode_frame(self.socket.outbox.bytes(), Kind::Input, op, |out| {
            out.extend_from_slice(&bytes[..count]);
        });
        if let Err(error) = encoded {
            return Poll::Ready(Err(error.into()));
        }
        self.push(wakes);
        Poll::Ready(Ok(count))
    }

    /// Ends the input of `op`, or signals it.
    pub(super) fn tell(&mut self, op: u64, input: &Input, wakes: &mut Wakes) -> Result<(), WireError> {
        if let Some(dead) = &self.dead {
            return Err(dead.clone());
        }
        match self.table.get(op) {
            None => Err(WireError::Ended),
            // It has ended by itself, and both mean nothing to it any more.
            Some(operation) if operation.has_ended() => Ok(()),
            Some(_) if !self.socket.outbox.takes_more_about(op) => {
                Err(refused(RefusalKind::Exhausted, "the guest takes no more"))
            }
            Some(_) => {
                self.say(op, input);
                self.push(wakes);
                Ok(())
            }
        }
    }

    /// Nobody wants `op` any more. What it held is handed back, to be dropped when the state is free.
    pub(super) fn give_up(&mut self, op: u64, wakes: &mut Wakes) -> Option<Operation> {
        let operation = self.table.close(op)?;
        if self.cancel(op, &operation) {
            self.push(wakes);
        }
        Some(operation)
    }

    /// A lease begins.
    pub(super) fn begin(&mut self, epoch: Epoch, wakes: &mut Wakes) -> Vec<Operation> {
        let left = self.clear(wakes);
        if self.lease == Lease::Lingering {
            self.socket.disengage();
        }
        self.lease = Lease::Running(epoch);
        left
    }

    /// The lease ends.
    pub(super) fn end(&mut self, wakes: &mut Wakes) -> Vec<Operation> {
        let left = self.clear(wakes);
        self.lease = Lease::None;
        self.push(wakes);
        if self.dead.is_some() || self.is_settled() {
            self.socket.disengage();
            return left;
        }
        self.lease = Lease::Lingering;
        match self.socket.go_home() {
            Ok(()) => self.drive(wakes),
            Err(error) => self.lose(error, wakes),
        }
        left
    }

    /// Moves bytes both ways, as far as that goes now.
    pub(super) fn drive(&mut self, wakes: &mut Wakes) {
        self.pull(wakes);
        self.push(wakes);
        if self.lease == Lease::Lingering && self.is_settled() && self.table.len() == 0 {
            self.lease = Lease::None;
            self.socket.disengage();
        }
    }

    fn is_settled(&self) -> bool {
        self.table.is_settled() && self.socket.outbox.is_empty()
    }

    /// Gives up every operation. Nothing of it is tainted: on a stream that works the cancels arrive, in order
    /// and before whatever is asked for next.
    fn clear(&mut self, wakes: &mut Wakes) -> Vec<Operation> {
        self.table.wake_all(wakes);
        let mut left = Vec::with_capacity(self.table.len());
        for op in self.table.ids() {
            if let Some(operation) = self.table.close(op) {
                self.cancel(op, &operation);
                left.push(operation);
            }
        }
        left
    }

    /// Tells the guest, if it has heard of the operation and not ended it.
    fn cancel(&mut self, op: u64, operation: &Operation) -> bool {
        if self.socket.outbox.withdraw(op) || operation.has_ended() || self.dead.is_some() {
            return false;
        }
        self.say(op, &Input::Cancel);
        self.table.cancelled();
        true
    }

    fn say(&mut self, op: u64, input: &Input) {
        // Short frames all: they never fail to fit.
        let _ = input.encode(op, self.socket.outbox.about(op));
    }

    /// Makes sure that the caller's runtime tells us of the socket.
    fn engage(&mut self, wakes: &mut Wakes) {
        if self.dead.is_some() {
            return;
        }
        match self.socket.engage() {
            Ok(false) => {}
            // Nobody may have listened until now.
            Ok(true) => self.drive(wakes),
            Err(error) => self.lose(error, wakes),
        }
    }

    /// Reads and routes what there is, for one turn.
    fn pull(&mut self, wakes: &mut Wakes) {
        let mut turn = 0;
        while self.dead.is_none()
            && (std::mem::take(&mut self.unread) || self.socket.poll_readable().is_ready())
        {
            loop {
                let pulled = match self.socket.pull() {
                    Ok(pulled) => pulled,
                    Err(error) => {
                        self.lose(error, wakes);
                        return;
                    }
                };
                if let Err(error) = self.route(wakes) {
                    self.fail(error.into(), wakes);
                    return;
                }
                match pulled {
                    Pulled::Drained => break,
                    Pulled::More(count) => turn += count,
                }
                if turn >= TURN {
                    self.unread = true;
                    return;
                }
            }
        }
    }

    fn route(&mut self, wakes: &mut Wakes) -> Result<(), Malformed> {
        while let Some(frame) = self.socket.frames.cut()? {
            self.table.route(&frame, wakes)?;
        }
        Ok(())
    }

    fn push(&mut self, wakes: &mut Wakes) {
        if self.dead.is_some() {
            return;
        }
        if let Err(error) = self.socket.push() {
            // What the guest said before it went is still to be read.
            self.unread = true;
            self.pull(wakes);
            if self.dead.is_none() {
                self.lose(error, wakes);
            }
            return;
        }
        for op in self.socket.outbox.fed() {
            if let Some(operation) = self.table.get(op) {
                wakes.wake(operation.writer.take());
            }
        }
    }

    fn lose(&mut self, error: io::Error, wakes: &mut Wakes) {
        self.fail(WireError::Lost(Arc::new(error)), wakes);
    }

    /// The stream is of no more use. What came before stays to be read.
    fn fail(&mut self, error: WireError, wakes: &mut Wakes) {
        self.dead = Some(error);
        self.tainted = true;
        self.socket.close();
        self.table.wake_all(wakes);
    }
}
