use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use super::program::{self, Program};
use super::runtime::FakeRuntime;
use super::script::{Act, Point, scripted_panic};
use super::term::Term;
use crate::guest::{Call, Wire, WireError};
use crate::model::Epoch;
use crate::protocol::{Reply, Request};

/// A wire without a stream: each call is answered by a future of its own.
pub(super) struct FakeWire {
    runtime: Weak<FakeRuntime>,
    term: Arc<Term>,
    tainted: Arc<AtomicBool>,
}

impl FakeWire {
    pub(super) fn new(runtime: &Arc<FakeRuntime>) -> Self {
        Self {
            runtime: Arc::downgrade(runtime),
            term: Arc::default(),
            tainted: Arc::new(AtomicBool::new(false)),
        }
    }
}

impl fmt::Debug for FakeWire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeWire").field("term", &self.term).finish_non_exhaustive()
    }
}

fn lost() -> WireError {
    io::Error::from(io::ErrorKind::ConnectionReset).into()
}

impl Wire for FakeWire {
    fn call(&self, request: Request) -> Result<Box<dyn Call>, WireError> {
        let epoch = request.epoch();
        if self.term.is_over(epoch) {
            return Err(WireError::Ended);
        }
        let runtime = self.runtime.upgrade().filter(|runtime| runtime.is_alive()).ok_or_else(lost)?;
        let input = matches!(&request, Request::Exec(exec) if exec.stdin)
            || matches!(&request, Request::Write(write) if !write.complete);
        let mut call = FakeCall {
            runtime,
            epoch,
            term: Arc::clone(&self.term),
            request: Some(request),
            input: Vec::new(),
            answer: None,
            reader: None,
            replies: VecDeque::new(),
            tainted: Arc::clone(&self.tainted),
        };
        if !input {
            call.begin();
        }
        Ok(Box::new(call))
    }

    fn begin(&self, epoch: Epoch) {
        self.term.begin(epoch.0);
    }

    fn end(&self) {
        self.term.end();
    }

    fn taint(&self) {
        self.tainted.store(true, Ordering::Release);
    }

    fn is_tainted(&self) -> bool {
        self.tainted.load(Ordering::Acquire)
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<VecDeque<Reply>, WireError>> + Send>>;

/// Collects the input, then answers.
struct FakeCall {
    runtime: Arc<FakeRuntime>,
    epoch: Option<u64>,
    term: Arc<Term>,
    /// Until the input is complete.
    request: Option<Request>,
    input: Vec<u8>,
    answer: Option<Answer>,
    /// Waits for an answer that has not begun.
    reader: Option<Waker>,
    replies: VecDeque<Reply>,
    tainted: Arc<AtomicBool>,
}

impl fmt::Debug for FakeCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeCall").field("runtime", &self.runtime.id).finish_non_exhaustive()
    }
}

impl FakeCall {
    fn is_over(&self) -> bool {
        self.term.is_over(self.epoch)
    }

    fn begin(&mut self) {
        let Some(request) = self.request.take() else { return };
        let input = std::mem::take(&mut self.input);
        let runtime = Arc::clone(&self.runtime);
        let (epoch, term) = (self.epoch, Arc::clone(&self.term));
        self.answer_with(Box::pin(async move {
            let alive = Arc::clone(&runtime);
            tokio::select! {
                biased;
                () = term.over(epoch) => Err(WireError::Ended),
                _ = alive.ended() => Err(lost()),
                replies = answer(runtime, request, input) => Ok(replies),
            }
        }));
    }

    fn answer_with(&mut self, answer: Answer) {
        self.answer = Some(answer);
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

async fn answer(runtime: Arc<FakeRuntime>, request: Request, input: Vec<u8>) -> VecDeque<Reply> {
    let point = match &request {
        Request::Hello(_) => Point::Hello,
        Request::Ping => Point::Ping,
        Request::Reset(_) => Point::Reset,
        Request::Shutdown => Point::Destroy,
        _ => Point::Operation,
    };
    match runtime.act(point) {
        Act::Work => {}
        Act::Slow(pause) => tokio::time::sleep(pause).await,
        Act::Fail => return program::failed("the script says so"),
        Act::Hang => std::future::pending().await,
        Act::Panic => scripted_panic("guest"),
        Act::Lie => return program::lie(&request),
        Act::Exit => {
            runtime.end("exit status 1");
            std::future::pending::<()>().await;
        }
    }
    match program::run(&runtime, request, &input) {
        Program::Done(replies) => replies,
        Program::After(pause, replies) => {
            tokio::time::sleep(pause).await;
            replies
        }
    }
}

impl Call for FakeCall {
    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply, WireError>> {
        loop {
            if let Some(reply) = self.replies.pop_front() {
                return Poll::Ready(Ok(reply));
            }
            let Some(answer) = self.answer.as_mut() else {
                self.reader = Some(cx.waker().clone());
                return Poll::Pending;
            };
            let Poll::Ready(result) = answer.as_mut().poll(cx) else { return Poll::Pending };
            self.answer = None;
            match result {
                Ok(replies) => self.replies = replies,
                Err(error) => {
                    self.tainted.fetch_or(error.is_unknown(), Ordering::AcqRel);
                    return Poll::Ready(Err(error));
                }
            }
        }
    }

    fn poll_input(&mut self, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, WireError>> {
        if self.is_over() {
            return Poll::Ready(Err(WireError::Ended));
        }
        self.input.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn end_input(&mut self) -> Result<(), WireError> {
        self.begin();
        Ok(())
    }

    fn signal(&mut self, _signal: u32) -> Result<(), WireError> {
        self.answer_with(Box::pin(async { Ok(program::exited(None, Some(9), &[])) }));
        Ok(())
    }
}
