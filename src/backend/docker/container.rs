use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bollard::query_parameters::RemoveContainerOptionsBuilder;
use tokio::runtime::Handle;
use tokio::time::sleep;

use super::client::{Engine, EngineError, QUICK, WORK};
use super::register::{Charge, Running};

/// How often it is looked whether a container that is being removed is gone.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Pause between tries to remove what nobody waits for.
const TRY_AGAIN: Duration = Duration::from_millis(500);
/// After that many it is left to the sweep.
const TRIES: u32 = 5;

/// A container that the engine has. Dropped, it is removed.
#[derive(Debug)]
pub(super) struct Container {
    inner: Arc<Inner>,
    home: Handle,
}

#[derive(Debug)]
struct Inner {
    id: String,
    engine: Arc<Engine>,
    running: Arc<Running>,
    /// Ours until nothing is left of it.
    _charge: Charge,
    gone: AtomicBool,
}

impl Container {
    /// Takes charge of one. There must be a current tokio runtime, which also sees to its removal.
    pub(super) fn new(id: String, charge: Charge, engine: Arc<Engine>, running: Arc<Running>) -> Self {
        let inner = Inner { id, engine, running, _charge: charge, gone: AtomicBool::new(false) };
        Self { inner: Arc::new(inner), home: Handle::current() }
    }

    pub(super) fn id(&self) -> &str {
        &self.inner.id
    }

    /// As people know it.
    pub(super) fn short(&self) -> &str {
        self.id().get(..12).unwrap_or(self.id())
    }

    pub(super) fn engine(&self) -> &Arc<Engine> {
        &self.inner.engine
    }

    /// Ends it; ready when nothing is left of it.
    pub(super) fn removal(&self) -> impl Future<Output = Result<(), EngineError>> + Send + 'static {
        let inner = Arc::clone(&self.inner);
        async move { inner.remove().await }
    }
}

impl Inner {
    async fn remove(&self) -> Result<(), EngineError> {
        if !self.gone.load(Ordering::Relaxed) {
            remove(&self.engine, &self.id).await?;
            self.gone.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.running.leave(&self.id);
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if self.inner.gone.load(Ordering::Relaxed) {
            return;
        }
        let inner = Arc::clone(&self.inner);
        self.home.spawn(async move {
            for _ in 0..TRIES {
                match inner.remove().await {
                    Ok(()) => return,
                    Err(_) => sleep(TRY_AGAIN).await,
                }
            }
            inner.running.stray();
        });
    }
}

/// Removes what an engine may or may not have made under a name. If it can't, a later sweep finds it.
pub(super) async fn clear(engine: Arc<Engine>, charge: Charge) {
    for _ in 0..TRIES {
        match remove(&engine, charge.name()).await {
            Ok(true) => return,
            // It may be at it still.
            Ok(false) | Err(_) => sleep(TRY_AGAIN).await,
        }
    }
    charge.give_up();
}

/// Kills and removes a container with its anonymous volumes, and waits until it is gone. Answers whether it was
/// there.
pub(super) async fn remove(engine: &Engine, which: &str) -> Result<bool, EngineError> {
    let client = engine.client().await?;
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    let try_it = || engine.within(WORK, client.remove_container(which, Some(options.clone())));
    let tried = match try_it().await {
        // Podman ends a paused one at the first try, and removes it at the second.
        Err(EngineError::Refused { .. }) => try_it().await,
        tried => tried,
    };
    match tried {
        Ok(()) => return Ok(true),
        Err(EngineError::Missing(_)) => return Ok(false),
        // Somebody else removes it already.
        Err(EngineError::Conflict(_)) => {}
        Err(error) => return Err(error),
    }
    let gone = async {
        loop {
            match client.inspect_container(which, None).await {
                Ok(_) => sleep(LOOK_AGAIN).await,
                Err(error) => match engine.explain(error) {
                    EngineError::Missing(_) => return Ok(()),
                    error => return Err(error),
                },
            }
        }
    };
    match tokio::time::timeout(QUICK, gone).await {
        Ok(done) => done.map(|()| true),
        Err(_) => Err(EngineError::Conflict(format!("{which} is being removed and does not go"))),
    }
}
