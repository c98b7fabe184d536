//! An engine that takes its time, whose connections break, and of whom it is known what it was asked.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::engine::Engine;

/// A socket through which an engine is spoken to.
pub(crate) struct Relay {
    delay: watch::Sender<Duration>,
    /// Grows with each cut.
    cuts: watch::Sender<u32>,
    fatal: Arc<Fatal>,
    streams: Arc<Streams>,
    directory: TempDir,
    engine: Engine,
    /// Ends with this.
    _serving: JoinSet<()>,
}

/// Requests for the stream of what a container uses.
#[derive(Default)]
struct Streams {
    asked: AtomicUsize,
    open: AtomicUsize,
}

/// After a request that contains `word` it lets nothing through any more.
#[derive(Default)]
struct Fatal {
    word: Mutex<Option<&'static str>>,
    shut: AtomicBool,
}

impl Fatal {
    fn heed(&self, piece: &[u8]) {
        let word = *self.word.lock().unwrap();
        if word.is_some_and(|word| String::from_utf8_lossy(piece).contains(word)) {
            self.shut.store(true, Ordering::SeqCst);
        }
    }

    fn is_shut(&self) -> bool {
        self.shut.load(Ordering::SeqCst)
    }
}

impl Relay {
    pub(crate) fn before(engine: &Engine) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("s")).unwrap();
        let (delay, felt) = watch::channel(Duration::ZERO);
        let (cuts, cut) = watch::channel(0);
        let streams = Arc::new(Streams::default());
        let target = PathBuf::from(engine.host.strip_prefix("unix://").unwrap());
        let mut serving = JoinSet::new();
        let (fatal, counted) = (Arc::<Fatal>::default(), Arc::clone(&streams));
        let fate = Arc::clone(&fatal);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (near, _) = listener.accept().await.unwrap();
                if fate.is_shut() {
                    continue;
                }
                let far = UnixStream::connect(&target).await.unwrap();
                let (felt, mut cut, counted) = (felt.clone(), cut.clone(), Arc::clone(&counted));
                let fate = Arc::clone(&fate);
                cut.mark_unchanged();
                connections.spawn(async move {
                    tokio::select! {
                        () = connection(near, far, felt, &counted, &fate) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self { delay, cuts, fatal, streams, directory, engine: engine.clone(), _serving: serving }
    }

    pub(crate) fn engine(&self) -> Engine {
        let host = format!("unix://{}", self.directory.path().join("s").display());
        Engine { host, ..self.engine.clone() }
    }

    /// From now on each word takes so long, those under way included.
    pub(crate) fn delay(&self, delay: Duration) {
        self.delay.send_replace(delay);
    }

    /// Breaks all connections there are.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// The next request that contains `word` is the last that reaches the engine, whose answer is lost.
    pub(crate) fn shut_after(&self, word: &'static str) {
        *self.fatal.word.lock().unwrap() = Some(word);
    }

    pub(crate) fn is_shut(&self) -> bool {
        self.fatal.is_shut()
    }

    pub(crate) fn open(&self) {
        *self.fatal.word.lock().unwrap() = None;
        self.fatal.shut.store(false, Ordering::SeqCst);
    }

    /// How often somebody has asked what a container uses.
    pub(crate) fn streams_asked(&self) -> usize {
        self.streams.asked.load(Ordering::SeqCst)
    }

    /// How many of those who have asked still listen.
    pub(crate) fn streams_open(&self) -> usize {
        self.streams.open.load(Ordering::SeqCst)
    }
}

/// One that is open, for as long as this lives.
struct Open<'s>(&'s Streams);

impl<'s> Open<'s> {
    fn one_more(streams: &'s Streams) -> Self {
        streams.asked.fetch_add(1, Ordering::SeqCst);
        streams.open.fetch_add(1, Ordering::SeqCst);
        Self(streams)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Each carries one request, which is in one piece.
async fn connection(
    near: UnixStream,
    far: UnixStream,
    felt: watch::Receiver<Duration>,
    streams: &Streams,
    fatal: &Fatal,
) {
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    let to_engine = async {
        let mut open = None;
        relay(near_in, far_out, felt.clone(), |piece| {
            fatal.heed(piece);
            if String::from_utf8_lossy(piece).lines().next().is_some_and(|line| line.contains("/stats?")) {
                open = Some(Open::one_more(streams));
            }
            true
        })
        .await;
        drop(open);
    };
    tokio::join!(to_engine, relay(far_in, near_out, felt.clone(), |_| !fatal.is_shut()));
}

async fn relay(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut felt: watch::Receiver<Duration>,
    mut lets_through: impl FnMut(&[u8]) -> bool,
) {
    let mut piece = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        if !lets_through(&piece[..length]) {
            break;
        }
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
