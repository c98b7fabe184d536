//! The end of pools: patient for as long as the grace lasts, then not (P13).

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::timer::within;
use super::{ErrorKind, Pool, ask};
use crate::actor::{Drain, DrainNow};
use crate::model::State;

/// How long runtimes may take to go after they were told to go at once.
const RUNTIMES: Duration = Duration::from_millis(1200);

/// How long the supervisor may take to say which ones have not gone.
const NAMES: Duration = Duration::from_millis(100);

/// Hurries a shutdown: on a second signal, say. Cheap to clone; works before, during and after it.
#[derive(Clone, Debug)]
pub struct Stopper(Arc<watch::Sender<bool>>);

impl Stopper {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// A shutdown that is under way, or comes, waits for no lease any more.
    pub fn now(&self) {
        self.0.send_replace(true);
    }

    /// Ready when somebody hurries. Cancel-safe.
    pub(super) async fn hurried(&self) {
        let mut hurried = self.0.subscribe();
        // The sender is here, so that it cannot end.
        drop(hurried.wait_for(|now| *now).await);
    }
}

/// Drains pools, patiently for as long as `grace` lasts and until `hurried`, then at once. Answers the runtimes that
/// are left, as `pool/runtime (handle)`, after at most 1.3 s more, and when patience ended.
pub(super) async fn drain_all(
    pools: &[Pool],
    grace: Duration,
    hurried: impl Future<Output = ()>,
) -> (Vec<String>, Instant) {
    let Some(home) = pools.first().map(|pool| pool.shared.runtime.clone()) else {
        return (Vec::new(), Instant::now());
    };
    let mut drains: Vec<_> = pools.iter().map(|pool| Box::pin(drain(pool))).collect();
    let patience = async {
        tokio::select! {
            biased;
            () = all(&mut drains) => {}
            () = hurried => {}
        }
    };
    within(&home, grace, patience).await;
    let patient_until = Instant::now();
    let at_once = async {
        for pool in pools {
            let now = DrainNow { pool: Arc::clone(&pool.shared) };
            // An error is a supervisor that has ended, and everything with it.
            let _: Result<(), ErrorKind> = ask::tell(&pool.supervisor, now).await;
        }
        all(&mut drains).await;
    };
    within(&home, RUNTIMES, at_once).await;
    let mut left = Vec::new();
    for pool in pools {
        left.extend(survivors(pool).await);
    }
    (left, patient_until)
}

/// Drains a pool, starting at once. Ready when it has drained, or can't any more.
pub(super) fn drain(pool: &Pool) -> impl Future<Output = ()> + Send + use<> {
    let Pool { shared, supervisor } = pool.clone();
    let (finished, done) = oneshot::channel();
    let replaced = supervisor.replaced();
    supervisor.do_send(Drain { pool: Arc::clone(&shared), finished });
    async move {
        let finished = tokio::select! {
            biased;
            done = done => done.is_ok(),
            () = replaced => false,
        };
        if !finished {
            // Lost with a supervisor that panicked or hung, or there is none any more.
            let again = |finished| Drain { pool: Arc::clone(&shared), finished };
            let _: Result<(), ErrorKind> = ask::ask(&supervisor, again).await;
        }
    }
}

/// Ready when every pool has drained, or can't any more.
async fn all(drains: &mut Vec<impl Future<Output = ()> + Unpin>) {
    while let Some(drain) = drains.last_mut() {
        drain.await;
        drains.pop();
    }
}

/// Runtimes that are not gone.
async fn survivors(pool: &Pool) -> Vec<String> {
    let states = pool.status().states;
    let left: usize = states.iter().filter(|(state, _)| **state != State::Gone).map(|(_, count)| count).sum();
    if left == 0 {
        return Vec::new();
    }
    match within(&pool.shared.runtime, NAMES, pool.snapshot()).await {
        Some(Ok(snapshot)) => {
            let name = |id, handle: &str| format!("{}/{id} ({handle})", pool.name());
            snapshot.runtimes.iter().map(|runtime| name(runtime.id, &runtime.handle)).collect()
        }
        // Better a count than silence.
        _ => vec![format!("{}: {left} runtimes, whose names are not to be had", pool.name())],
    }
}
