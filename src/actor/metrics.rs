use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use actix::{Actor, ActorContext, Context, Handler, Message};
use crossbeam_channel::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::end::End;
use super::shared::Shared;
use crate::observe::{Change, PoolEvent, count};

/// Something happened. From the supervisor.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Observed {
    pub(super) shared: Arc<Shared>,
    pub(super) change: Change,
}

/// Send all that happens from now on to this subscriber too.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Subscribe(pub(crate) Subscriber);

/// Answer once all that was observed before has been passed on.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Flush(pub(crate) oneshot::Sender<()>);

/// Where a subscriber's events go. Bounded: what does not fit is counted and lost to that subscriber alone.
pub(crate) enum Subscriber {
    /// Async code.
    Task { events: mpsc::Sender<PoolEvent>, dropped: Arc<AtomicU64> },
    /// A plain thread.
    Thread { events: crossbeam_channel::Sender<PoolEvent>, dropped: Arc<AtomicU64> },
}

/// State: the subscribers. Folds durations into the boards' histograms and passes every event on. Receives [`Observed`] from the supervisor and [`Subscribe`] from the public face.
#[derive(Default)]
pub(super) struct Metrics {
    subscribers: Vec<Subscriber>,
}

impl Subscriber {
    /// Whether it is still there.
    fn tell(&self, event: &PoolEvent) -> bool {
        let (full, dropped) = match self {
            Self::Task { events, dropped } => match events.try_send(event.clone()) {
                Ok(()) => return true,
                Err(error) => (matches!(error, mpsc::error::TrySendError::Full(_)), dropped),
            },
            Self::Thread { events, dropped } => match events.try_send(event.clone()) {
                Ok(()) => return true,
                Err(error) => (matches!(error, TrySendError::Full(_)), dropped),
            },
        };
        if full {
            count(dropped);
        }
        full
    }
}

impl Actor for Metrics {
    type Context = Context<Self>;
}

impl Handler<Observed> for Metrics {
    type Result = ();

    fn handle(&mut self, Observed { shared, change }: Observed, _: &mut Self::Context) {
        match &change {
            Change::Ready { took, .. } => shared.board.launch.record(*took),
            Change::Reset { took, .. } => shared.board.reset.record(*took),
            _ => {}
        }
        if self.subscribers.is_empty() {
            return;
        }
        let event = PoolEvent { at: SystemTime::now(), pool: shared.name.clone(), change };
        self.subscribers.retain(|subscriber| subscriber.tell(&event));
    }
}

impl Handler<Subscribe> for Metrics {
    type Result = ();

    fn handle(&mut self, Subscribe(subscriber): Subscribe, _: &mut Self::Context) {
        self.subscribers.push(subscriber);
    }
}

impl Handler<End> for Metrics {
    type Result = ();

    fn handle(&mut self, _: End, context: &mut Self::Context) {
        context.stop();
    }
}

impl Handler<Flush> for Metrics {
    type Result = ();

    fn handle(&mut self, Flush(done): Flush, _: &mut Self::Context) {
        // Whoever asked has gone.
        let _: Result<(), ()> = done.send(());
    }
}
