use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ostler::{Builder, Pool, PoolName};
use slog::{Logger, warn};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::sink::Sink;

/// Events a slow reader may be behind; more are lost to it, which is logged.
const BACKLOG: usize = 4096;

/// Tells stdout what happens: a line for each pool once it is ready, or every event as JSON.
pub(super) struct Announcer {
    queue: mpsc::Sender<Bytes>,
    /// Pools that were announced, or are going to be; with events, none.
    known: Option<BTreeSet<PoolName>>,
    tasks: JoinSet<()>,
}

impl Announcer {
    pub(super) fn readiness(sink: &Sink) -> Self {
        Self { queue: sink.queue(), known: Some(BTreeSet::new()), tasks: JoinSet::new() }
    }

    /// From the first event on.
    pub(super) fn events(builder: &mut Builder, sink: &Sink, log: &Logger) -> Self {
        let mut tasks = JoinSet::new();
        let (mut events, queue, log) = (builder.events(BACKLOG), sink.queue(), log.clone());
        tasks.spawn(async move {
            while let Some(event) = events.next().await {
                let line = match serde_json::to_string(&event) {
                    Ok(line) => line + "\n",
                    Err(error) => {
                        warn!(log, "event without JSON"; "event" => %event, "cause" => %error);
                        continue;
                    }
                };
                if queue.send(line.into()).await.is_err() {
                    warn!(log, "nobody reads events any more");
                    return;
                }
            }
            if events.dropped() > 0 {
                warn!(log, "events were read too slowly"; "lost" => events.dropped());
            }
        });
        Self { queue: sink.queue(), known: None, tasks }
    }

    /// Announces each of these that was not announced before.
    pub(super) fn watch<'a>(&mut self, pools: impl Iterator<Item = &'a Pool>) {
        let Some(known) = &mut self.known else { return };
        let pools: Vec<_> = pools.cloned().collect();
        known.retain(|name| pools.iter().any(|pool| pool.name() == name));
        for pool in pools {
            if known.insert(pool.name().clone()) {
                self.tasks.spawn(announce(pool, self.queue.clone()));
            }
        }
    }

    /// Says how these are: as text, or where events are told as JSON, a line for each. What a reader who is behind
    /// has no room for, he can ask for again.
    pub(super) fn tell_status<'a>(&self, pools: impl Iterator<Item = &'a Pool>) {
        for pool in pools {
            let status = pool.status();
            let text = match self.known {
                Some(_) => format!("{status}\n"),
                None => format!("{}\n", serde_json::json!({ "status": status })),
            };
            let _: Result<(), _> = self.queue.try_send(text.into());
        }
    }

    /// Waits for the last event, now that ostler has been shut down.
    pub(super) async fn end(mut self) {
        if self.known.is_some() {
            self.tasks.abort_all();
        }
        // Also with a reader who takes nothing more; the rest is lost to him.
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(super::LAST_WORDS, all).await.is_err() {
            self.tasks.abort_all();
        }
    }
}

async fn announce(pool: Pool, queue: mpsc::Sender<Bytes>) {
    let started = Instant::now();
    // Ends with an error when the pool drains; then there is nothing to announce.
    if pool.ready(Duration::MAX).await.is_err() {
        return;
    }
    let status = pool.status();
    let line = format!(
        "pool {} ready: {} of up to {} runtimes ({}) after {:.0} ms\n",
        status.pool,
        status.ready,
        status.max,
        status.backend,
        started.elapsed().as_secs_f64() * 1e3
    );
    // Nobody reads, so nobody misses it.
    let _ = queue.send(line.into()).await;
}
