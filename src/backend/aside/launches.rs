use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;

use crate::model::RuntimeId;

/// Launches under way. One that was given up is, until what it blocks on lets go.
#[derive(Debug, Default)]
pub(super) struct Launches(watch::Sender<BTreeSet<RuntimeId>>);

impl Launches {
    /// It is under way until what this answers is dropped.
    pub(super) fn begin(self: &Arc<Self>, runtime: RuntimeId) -> UnderWay {
        self.0.send_if_modified(|runtimes| runtimes.insert(runtime));
        UnderWay { runtime, launches: Arc::clone(self) }
    }

    /// Ready when it holds of those under way. Cancel-safe.
    pub(super) async fn ended(&self, holds: impl Fn(&BTreeSet<RuntimeId>) -> bool) {
        // The sender is here, so that it cannot end.
        drop(self.0.subscribe().wait_for(holds).await);
    }
}

pub(super) struct UnderWay {
    runtime: RuntimeId,
    launches: Arc<Launches>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.launches.0.send_if_modified(|runtimes| runtimes.remove(&self.runtime));
    }
}
