use std::future::Future;
use std::sync::Arc;

use actix::{Addr, Handler, Message};
use tokio::sync::watch;
use tokio::time::sleep;

use super::contain::RESTART_PAUSE;
use super::receipt::Receipt;
use super::supervisor::Supervisor;

/// Where the supervisor is reached, whichever it is by now: one that hangs is replaced. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Chair(Arc<watch::Sender<Addr<Supervisor>>>);

/// Why a request was not taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unheard {
    /// There is no supervisor any more.
    Closed,
    /// There is another one now.
    Replaced,
}

impl Chair {
    pub(super) fn new(first: Addr<Supervisor>) -> Self {
        Self(Arc::new(watch::Sender::new(first)))
    }

    /// From now on it is this one.
    pub(super) fn pass_to(&self, next: Addr<Supervisor>) {
        self.0.send_replace(next);
    }

    /// Whether there is a supervisor.
    pub(crate) fn is_taken(&self) -> bool {
        self.0.borrow().connected()
    }

    /// Sends what must not fail, past the mailbox's limit. Lost with a supervisor that hangs, who therefore goes by what
    /// it finds and not by what it was told.
    pub(crate) fn do_send<M>(&self, message: M)
    where
        M: Message + Send + 'static,
        M::Result: Send,
        Supervisor: Handler<M>,
    {
        self.0.borrow().do_send(message);
    }

    /// Sends if there is room; answers whether it was sent or never can be.
    pub(super) fn try_send<M>(&self, message: M) -> bool
    where
        M: Message + Send + 'static,
        M::Result: Send,
        Supervisor: Handler<M>,
    {
        self.0.borrow().try_send(message).is_ok()
    }

    /// Makes a request and waits for its answer.
    ///
    /// # Errors
    /// Whether it is of use to make it again.
    pub(crate) async fn send<M>(&self, message: M) -> Result<M::Result, Unheard>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        Supervisor: Handler<M>,
    {
        let mut seat = self.0.subscribe();
        let request = seat.borrow_and_update().send(message);
        tokio::select! {
            biased;
            answer = request => match seat.has_changed() {
                _ if answer.is_ok() => answer.map_err(|_| Unheard::Closed),
                Ok(true) => Err(Unheard::Replaced),
                _ => Err(Unheard::Closed),
            },
            _ = seat.changed() => Err(Unheard::Replaced),
        }
    }

    /// Ready when there is another supervisor than now.
    pub(crate) fn replaced(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut seat = self.0.subscribe();
        // An error is an ostler that has ended.
        async move { drop(seat.changed().await) }
    }

    /// Asks until it is taken up. Without a supervisor there is nothing more to ask.
    pub(super) async fn insist<M>(&self, request: M)
    where
        M: Message<Result = Receipt> + Clone + Send + 'static,
        Supervisor: Handler<M>,
    {
        loop {
            match self.send(request.clone()).await {
                Ok(Receipt::Taken) | Err(Unheard::Closed) => return,
                Ok(Receipt::Lost) => sleep(RESTART_PAUSE).await,
                Err(Unheard::Replaced) => {}
            }
        }
    }
}
