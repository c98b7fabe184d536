//! Keeps a panic where it happened, and says that it did.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use actix::dev::channel::{self, AddressReceiver};
use actix::{Actor, Addr, AsyncContext, Context, Message};
use actix_rt::ArbiterHandle;
use tokio::task::JoinHandle;

/// Pause before an actor that panicked is started again.
pub(super) const RESTART_PAUSE: Duration = Duration::from_millis(100);

/// Mailbox of the actors that everybody sends to. Requests wait when it is full; reports that must not be lost
/// are bounded by the number of runtimes instead.
pub(super) const MAILBOX: usize = 8192;

/// What an actor does with a message; its `Handler` runs this where a panic does not end the actor.
pub(super) trait Takes<M: Message>: Actor {
    fn take(&mut self, message: M, context: &mut Self::Context) -> M::Result;
}

/// A panic, in words.
#[derive(Clone, Debug, thiserror::Error)]
#[error("panicked: {0}")]
pub(super) struct Panicked(pub(super) String);

impl Panicked {
    fn from_payload(payload: &(dyn Any + Send)) -> Self {
        let words = payload
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| payload.downcast_ref::<String>().cloned());
        Self(words.unwrap_or_else(|| "no message".to_owned()))
    }
}

/// Runs some code; a panic inside becomes its error.
pub(super) fn catch<T>(run: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| Panicked::from_payload(payload.as_ref()))
}

/// Runs a future; a panic inside becomes its error. The future is dropped after a panic, never polled again.
pub(super) async fn contain<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(payload) => Poll::Ready(Err(Panicked::from_payload(payload.as_ref()))),
    })
    .await
}

/// Starts an actor on the current arbiter. The future ends when the actor is no more: with `None` when it
/// stopped, with the panic when it died of one. `actix::Supervisor` does not notice a panic; this does.
pub(super) fn start_monitored<A, F>(
    actor: F,
    mailbox: usize,
) -> (Addr<A>, impl Future<Output = Option<Panicked>> + use<A, F>)
where
    A: Actor<Context = Context<A>>,
    F: FnOnce(&Addr<A>) -> A,
{
    let mut context = Context::new();
    context.set_mailbox_capacity(mailbox);
    let address = context.address();
    let life = actix_rt::spawn(context.into_future(actor(&address)));
    (address, end_of(life))
}

async fn end_of(life: JoinHandle<()>) -> Option<Panicked> {
    match life.await {
        Ok(()) => None,
        Err(error) => match error.try_into_panic() {
            Ok(payload) => Some(Panicked::from_payload(payload.as_ref())),
            // Cancelled: the arbiter is being taken down, and everything with it.
            Err(_) => None,
        },
    }
}

/// Where an actor is to live.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// On the caller's arbiter, or `LocalSet`.
    Here,
    On(ArbiterHandle),
}

/// An actor that is not born yet: it has an address already, which keeps what comes.
pub(super) struct Cradle<A: Actor> {
    address: Addr<A>,
    receiver: AddressReceiver<A>,
}

impl<A: Actor<Context = Context<A>> + Send> Cradle<A> {
    pub(super) fn new(mailbox: usize) -> Self {
        let (sender, receiver) = channel::channel(mailbox);
        Self { address: Addr::new(sender), receiver }
    }

    pub(super) fn address(&self) -> Addr<A> {
        self.address.clone()
    }

    /// Starts it; `ended` is called there when it is no more, as [`start_monitored`] answers. Never blocks.
    pub(super) fn start(
        self,
        place: &Place,
        actor: A,
        ended: impl FnOnce(Option<Panicked>) + Send + 'static,
    ) {
        let Self { receiver, .. } = self;
        let start = move || {
            let life = actix_rt::spawn(Context::with_receiver(receiver).into_future(actor));
            actix_rt::spawn(async move { ended(end_of(life).await) });
        };
        match place {
            Place::Here => start(),
            // An arbiter that has ended drops it, and its address says so.
            Place::On(arbiter) => drop(arbiter.spawn_fn(start)),
        }
    }
}
