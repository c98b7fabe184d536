//! What a container's main process writes, on its way from the engine to the journal.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::TryStreamExt;
use slog::{Logger, warn};
use tokio::time::sleep;

use super::client::{Engine, QUICK};
use super::container::Container;
use super::exit;
use super::journal::Journal;
use crate::backend::{BackendError, with_causes};

/// Most of a container's last words that go into an error, bytes.
const LAST_WORDS: usize = 2 << 10;
/// Before a stream that broke is opened again.
const RECONNECT: Duration = Duration::from_millis(500);

/// Fetches all there is and puts it into the journal; answers the last of it.
pub(super) async fn collect(
    engine: &Engine,
    id: &str,
    journal: &Arc<Journal>,
) -> Result<String, BackendError> {
    let step = || format!("fetch the output of container {id}");
    let client = engine.client().await.map_err(|error| error.at(step()))?;
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).build();
    let chunks = client.logs(id, Some(options)).map_ok(LogOutput::into_bytes);
    // The engine keeps no more than a megabyte or two.
    let said = engine
        .within(QUICK, chunks.try_collect::<Vec<_>>())
        .await
        .map_err(|error| error.at(step()))?
        .concat();
    let last = String::from_utf8_lossy(&said[said.len().saturating_sub(LAST_WORDS)..]).trim().to_owned();
    let step = || format!("write {}", journal.path.display());
    journal.append(said).await.map_err(|error| BackendError::passing(step(), error))?;
    Ok(last)
}

/// Why a container failed, with what it had to say and where all of that is.
pub(super) async fn with_last_words(why: String, container: &Container, journal: &Arc<Journal>) -> String {
    match collect(container.engine(), container.id(), journal).await {
        Ok(said) if said.is_empty() => why,
        Ok(said) => format!("{why}; it said: {said}; all of it is in {}", journal.path.display()),
        Err(error) => format!("{why}; {}", with_causes(&error)),
    }
}

/// Puts all that is written into the journal until the container ends. A slow disk slows this alone: the engine
/// holds what is not fetched, and forgets the oldest.
pub(super) async fn follow(engine: Arc<Engine>, id: String, journal: Arc<Journal>, log: Logger) {
    let mut since = 0;
    loop {
        let ended = follow_once(&engine, &id, &journal, &mut since, &log).await;
        if ended {
            return;
        }
        sleep(RECONNECT).await;
        match exit::inspect(&engine, &id).await {
            Ok(state) if exit::is_running(&state) => {}
            Err(error) if error.is_absence() => {}
            _ => return,
        }
    }
}

/// Answers whether there is no more to come.
async fn follow_once(
    engine: &Engine,
    id: &str,
    journal: &Arc<Journal>,
    since: &mut i32,
    log: &Logger,
) -> bool {
    let Ok(client) = engine.client().await else { return false };
    let options = LogsOptionsBuilder::new().follow(true).stdout(true).stderr(true).since(*since).build();
    let mut chunks = std::pin::pin!(client.logs(id, Some(options)));
    loop {
        match chunks.try_next().await {
            Ok(Some(chunk)) => {
                *since = seconds();
                if let Err(error) = journal.append(chunk.into_bytes().to_vec()).await {
                    warn!(log, "no more of this container's output is kept"; "file" => journal.path.display(), "cause" => %error);
                    return true;
                }
            }
            Ok(None) => return false,
            Err(error) => return !engine.explain(error).is_absence(),
        }
    }
}

fn seconds() -> i32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i32::try_from(now.as_secs()).unwrap_or(i32::MAX)
}
