//! The I/O of a runtime's life, as futures that own what they need and always end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::actor::contain::contain;
pub(in crate::actor) use crate::backend::with_causes as causes;
use crate::backend::{BackendError, BoxFuture, Residue};
use crate::guest::{Defaults, Exec, Output, Session, Wire};
use crate::model::{Epoch, PoolSpec, ResetPolicy};

/// Longest that a guest may take to end what a lease that is over has running.
const FENCE: Duration = Duration::from_secs(1);

/// What a pool's runtimes are made after.
#[derive(Debug)]
pub(in crate::actor) struct Blueprint {
    pub(in crate::actor) spec: PoolSpec,
    pub(in crate::actor) defaults: Arc<Defaults>,
    /// The workspace each lease starts from, as a tar.
    pub(in crate::actor) template: Option<Bytes>,
}

/// A backend's work, but not for longer than `limit`.
pub(super) async fn within<T>(
    limit: Duration,
    step: &'static str,
    work: impl Future<Output = Result<T, BackendError>>,
) -> Result<T, BackendError> {
    match timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(BackendError::passing(step, format!("not done within {limit:?}"))),
    }
}

/// A backend's work, given up when `cancelled` is dropped.
pub(super) async fn unless<T>(
    cancelled: oneshot::Receiver<()>,
    work: impl Future<Output = Result<T, BackendError>>,
) -> Result<T, BackendError> {
    tokio::select! {
        biased;
        _ = cancelled => Err(BackendError::lasting("cancelled")),
        result = work => result,
    }
}

/// From a guest that answers to a leasable runtime.
pub(super) async fn warm_up(control: Arc<dyn Wire>, blueprint: Arc<Blueprint>) -> Result<(), String> {
    let limit = blueprint.spec.launch_timeout;
    let work = async {
        let session = begin(&control, Epoch(1), &blueprint);
        session.ping(blueprint.spec.health.timeout).await.map_err(|error| causes(&error))?;
        fill_workspace(&session, &blueprint).await?;
        if let Some((program, arguments)) = blueprint.spec.warm_up.split_first() {
            let output = session
                .exec(Exec::new(program).args(arguments).timeout(limit))
                .await
                .map_err(|error| format!("warm_up: {}", causes(&error)))?;
            if !output.success() {
                return Err(format!("warm_up: {program} ended with {}", how(&output)));
            }
        }
        Ok(())
    };
    timeout(limit, work).await.unwrap_or_else(|_| Err(format!("warming up was not done within {limit:?}")))
}

/// Kill, wipe, look from outside, lay out the template. Anything unexpected is an error, and that ends the
/// runtime (P11).
pub(super) async fn reset(
    control: Arc<dyn Wire>,
    ended: Epoch,
    verify: BoxFuture<Result<(), Residue>>,
    blueprint: Arc<Blueprint>,
) -> Result<Duration, String> {
    let started = Instant::now();
    let limit = blueprint.spec.reset_timeout;
    let work = async {
        let session = begin(&control, Epoch(ended.0 + 1), &blueprint);
        session.reset(ended, limit).await.map_err(|error| causes(&error))?;
        if blueprint.spec.reset != ResetPolicy::None {
            verify.await.map_err(|residue| residue.to_string())?;
        }
        fill_workspace(&session, &blueprint).await
    };
    match timeout(limit, work).await {
        Ok(result) => result.map(|()| started.elapsed()),
        Err(_) => Err(format!("not done within {limit:?}")),
    }
}

/// Ends what a lease that is over has running, as far as the guest still listens. Its destruction follows in any
/// case, so that nothing hangs on this.
pub(super) async fn fence(control: Arc<dyn Wire>, ended: Epoch, blueprint: &Blueprint) {
    let session = begin(&control, Epoch(ended.0 + 1), blueprint);
    drop(contain(session.reset(ended, FENCE)).await);
}

pub(super) fn how(output: &Output) -> String {
    let status = match (output.code, output.signal) {
        _ if output.timed_out => "its timeout".to_owned(),
        (Some(code), _) => format!("status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no status".to_owned(),
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    match stderr.trim().lines().last() {
        Some(line) => format!("{status}: {line}"),
        None => status,
    }
}

/// Our own work in a runtime belongs to the epoch of the lease that comes next.
fn begin(control: &Arc<dyn Wire>, epoch: Epoch, blueprint: &Blueprint) -> Session {
    control.begin(epoch);
    Session::new(Arc::clone(control), epoch, Arc::clone(&blueprint.defaults))
}

async fn fill_workspace(session: &Session, blueprint: &Blueprint) -> Result<(), String> {
    match &blueprint.template {
        Some(template) => {
            let laid_out = session.copy_in("", &template[..]).await;
            laid_out.map(drop).map_err(|error| format!("template: {}", causes(&error)))
        }
        None => Ok(()),
    }
}
