//! An engine that takes its time.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::engine::Engine;

/// A socket through which an engine's every word takes so long.
pub(crate) struct Slow {
    delay: watch::Sender<Duration>,
    directory: TempDir,
    engine: Engine,
    /// Ends with this.
    _serving: JoinSet<()>,
}

impl Slow {
    pub(crate) fn before(engine: &Engine) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("s")).unwrap();
        let (delay, felt) = watch::channel(Duration::ZERO);
        let target = PathBuf::from(engine.host.strip_prefix("unix://").unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let far = UnixStream::connect(&target).await.unwrap();
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                connections.spawn(relay(near_in, far_out, felt.clone()));
                connections.spawn(relay(far_in, near_out, felt.clone()));
            }
        });
        Self { delay, directory, engine: engine.clone(), _serving: serving }
    }

    pub(crate) fn engine(&self) -> Engine {
        let host = format!("unix://{}", self.directory.path().join("s").display());
        Engine { host, ..self.engine.clone() }
    }

    /// From now on each word takes so long, those under way included.
    pub(crate) fn delay(&self, delay: Duration) {
        self.delay.send_replace(delay);
    }
}

async fn relay(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut felt: watch::Receiver<Duration>,
) {
    let mut piece = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        loop {
            let delay = *felt.borrow_and_update();
            tokio::select! {
                () = sleep(delay) => break,
                Ok(()) = felt.changed() => {}
            }
        }
        if to.write_all(&piece[..length]).await.is_err() {
            break;
        }
    }
    // The other direction may have more to say.
    drop(to.shutdown().await);
}
