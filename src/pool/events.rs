use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tokio::sync::mpsc;

use crate::actor::Subscriber;
use crate::observe::PoolEvent;

/// The largest capacity; a plain thread's channel is allocated whole.
const MOST: usize = 1 << 20;

/// What happens in all pools, for async code. Holds up to `capacity` events; a reader that is slower than that
/// loses events, which [`Events::dropped`] counts, and holds up nobody.
#[derive(Debug)]
pub struct Events {
    events: mpsc::Receiver<PoolEvent>,
    dropped: Arc<AtomicU64>,
}

impl Events {
    pub(super) fn new(capacity: usize) -> (Self, Subscriber) {
        let (sender, events) = mpsc::channel(capacity.clamp(1, MOST));
        let dropped = Arc::new(AtomicU64::new(0));
        let subscriber = Subscriber::Task { events: sender, dropped: Arc::clone(&dropped) };
        (Self { events, dropped }, subscriber)
    }

    /// The next event; `None` when ostler has been shut down. Cancel-safe.
    pub async fn next(&mut self) -> Option<PoolEvent> {
        self.events.recv().await
    }

    /// Events lost so far because they were not taken in time.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Stream for Events {
    type Item = PoolEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<PoolEvent>> {
        self.events.poll_recv(cx)
    }
}

/// What happens in all pools, for plain threads. Bounded as [`Events`].
#[derive(Clone, Debug)]
pub struct BlockingEvents {
    events: crossbeam_channel::Receiver<PoolEvent>,
    dropped: Arc<AtomicU64>,
}

impl BlockingEvents {
    pub(super) fn new(capacity: usize) -> (Self, Subscriber) {
        let (sender, events) = crossbeam_channel::bounded(capacity.clamp(1, MOST));
        let dropped = Arc::new(AtomicU64::new(0));
        let subscriber = Subscriber::Thread { events: sender, dropped: Arc::clone(&dropped) };
        (Self { events, dropped }, subscriber)
    }

    /// The next event, waiting at most `timeout`; `None` when there was none, or ostler has been shut down.
    #[must_use]
    pub fn next(&self, timeout: Duration) -> Option<PoolEvent> {
        self.events.recv_timeout(timeout).ok()
    }

    /// The channel itself, for `select!`.
    #[must_use]
    pub fn receiver(&self) -> &crossbeam_channel::Receiver<PoolEvent> {
        &self.events
    }

    /// Events lost so far because they were not taken in time.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
