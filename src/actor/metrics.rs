use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use actix::{Actor, ActorContext, Context, Handler, Message};
use crossbeam_channel::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::end::End;
use super::faults::{Faults, before};
use super::receipt::Receipt;
use super::shared::Shared;
use crate::observe::{Change, PoolEvent, count};

/// Something happened. From the supervisor.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Observed {
    pub(super) shared: Arc<Shared>,
    pub(super) change: Change,
    /// From [`Audience::number`].
    pub(super) number: u64,
}

/// Answer once all that was observed before has been passed on.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Flush(pub(crate) oneshot::Sender<()>);

/// Where a subscriber's events go. Bounded: what does not fit is counted and lost to that subscriber alone.
#[derive(Debug)]
pub(crate) enum Subscriber {
    /// Async code.
    Task { events: mpsc::Sender<PoolEvent>, dropped: Arc<AtomicU64> },
    /// A plain thread.
    Thread { events: crossbeam_channel::Sender<PoolEvent>, dropped: Arc<AtomicU64> },
}

/// Who is told of events. Outside of Metrics, so that nobody is forgotten when that panics.
#[derive(Default)]
pub(crate) struct Audience {
    next: AtomicU64,
    /// How many there are.
    size: AtomicUsize,
    subscribers: Mutex<Vec<Subscribed>>,
}

struct Subscribed {
    /// Earlier ones it is not told of.
    since: u64,
    subscriber: Subscriber,
}

impl Audience {
    /// Numbers an event.
    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Passes on all events from now on.
    pub(crate) fn subscribe(&self, subscriber: Subscriber) {
        let since = self.next.load(Ordering::Relaxed);
        let mut subscribers = self.subscribers();
        subscribers.push(Subscribed { since, subscriber });
        self.size.store(subscribers.len(), Ordering::Relaxed);
    }

    /// Whether anybody listens.
    pub(super) fn is_there(&self) -> bool {
        self.size.load(Ordering::Relaxed) > 0
    }

    fn tell(&self, number: u64, event: impl FnOnce() -> PoolEvent) {
        let mut subscribers = self.subscribers();
        if !subscribers.is_empty() {
            let event = event();
            subscribers.retain(|to| number < to.since || to.subscriber.tell(&event));
            self.size.store(subscribers.len(), Ordering::Relaxed);
        }
    }

    /// Nothing more will happen.
    fn dismiss(&self) {
        self.subscribers().clear();
        self.size.store(0, Ordering::Relaxed);
    }

    fn subscribers(&self) -> MutexGuard<'_, Vec<Subscribed>> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// State: nothing of its own. Folds durations into the boards' histograms and passes every event on to the audience.
/// Receives [`Observed`] and [`Flush`] from the supervisor.
pub(super) struct Metrics {
    audience: Arc<Audience>,
    faults: Faults,
}

impl Metrics {
    pub(super) fn new(audience: Arc<Audience>, faults: Faults) -> Self {
        Self { audience, faults }
    }
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

    fn handle(&mut self, Observed { shared, change, number }: Observed, _: &mut Self::Context) {
        self.faults.pass("Metrics", before::<Observed>);
        match &change {
            Change::Ready { took, .. } => shared.board.launch.record(*took),
            Change::Reset { took, .. } => shared.board.reset.record(*took),
            _ => {}
        }
        self.audience.tell(number, || PoolEvent { at: SystemTime::now(), pool: shared.name.clone(), change });
    }
}

impl Handler<End> for Metrics {
    type Result = Receipt;

    fn handle(&mut self, _: End, context: &mut Self::Context) -> Receipt {
        self.audience.dismiss();
        context.stop();
        Receipt::Taken
    }
}

impl Handler<Flush> for Metrics {
    type Result = ();

    fn handle(&mut self, Flush(done): Flush, _: &mut Self::Context) {
        self.faults.pass("Metrics", before::<Flush>);
        // Whoever asked has gone.
        let _: Result<(), ()> = done.send(());
    }
}
