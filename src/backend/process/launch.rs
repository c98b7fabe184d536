//! From a request to a guest that can be spoken to.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::instance::Sandbox;
use super::keeper::Keeper;
use super::spawner::Started;
use super::verify::Inspector;
use crate::backend::outside::Throttled;
use crate::backend::{BackendError, Exit, Launched};
use crate::guest;
use crate::model::IsolationLevel;
use crate::protocol::SetupReport;

/// Longest the keeper or the guest may take for one answer. The pool's own launch timeout is usually shorter.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a keeper that failed is waited for, to hear what it said.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Follows a keeper that was just started until its guest can be spoken to. Cancel-safe: dropped, the keeper
/// ends what it has begun.
pub(super) async fn follow(
    started: Started,
    isolation: IsolationLevel,
    name: &str,
    workspace: &Path,
) -> Result<(SetupReport, Launched), BackendError> {
    let Started { keeper, control, data, cgroups, quota } = started;
    let step = |what: &str| format!("{what} {name}");
    let (report, control) = match timeout(ANSWER, read_report(control)).await {
        Ok(Ok(heard)) => heard,
        Ok(Err(error)) => return Err(with_last_words(step("set up"), error, keeper).await),
        Err(error) => return Err(BackendError::passing(step("set up"), error)),
    };
    if let Some(failure) = &report.failure {
        let error = BackendError::passing(step("set up"), failure.clone());
        return Err(BackendError { retryable: isolation != IsolationLevel::Strict, ..error });
    }
    let pid = report.pid;
    let shared = (!report.namespaces).then(|| workspace.to_owned());
    let inspector = spawn_blocking(move || match shared {
        None => Inspector::private(pid, cgroups),
        Some(workspace) => Inspector::shared(pid, cgroups, workspace),
    });
    let (inspector, wires) = tokio::join!(inspector, guest::connect(control, data, ANSWER));
    let (control, data) = match (wires, quota) {
        (Ok(wires), Some(quota)) => Throttled::both(quota, wires),
        (Ok(wires), None) => wires,
        (Err(error), _) => return Err(with_last_words(step("greet"), error, keeper).await),
    };
    let inspector = inspector
        .map_err(io::Error::other)
        .flatten()
        .map_err(|error| BackendError::passing(step("look at"), error))?;
    let mut end = keeper.end();
    let exit = Box::pin(async move { Exit { cause: end.wait().await.cause } });
    let instance = Box::new(Sandbox { keeper, inspector: Arc::new(inspector) });
    Ok((report, Launched { control, data, exit, instance }))
}

/// What the keeper says before the guest speaks.
async fn read_report(
    control: std::os::unix::net::UnixStream,
) -> io::Result<(SetupReport, std::os::unix::net::UnixStream)> {
    let mut control = UnixStream::from_std(control)?;
    let report = guest::first_frame(&mut control, SetupReport::decode).await?;
    Ok((report, control.into_std()?))
}

/// A failure, with how the keeper ended and what it said.
async fn with_last_words(
    step: String,
    error: impl std::error::Error + Send + Sync + 'static,
    keeper: Keeper,
) -> BackendError {
    let mut ending = keeper.ending();
    drop(keeper);
    match timeout(LAST_WORDS, ending.finish()).await {
        Ok(Ok(ended)) if !ended.said.is_empty() => {
            BackendError::passing(step, format!("{error}; {}; it said: {}", ended.cause, ended.said))
        }
        Ok(Ok(ended)) => BackendError::passing(step, format!("{error}; {}", ended.cause)),
        _ => BackendError::passing(step, error),
    }
}
