//! The way in for engines that don't share our file system: the guest is uploaded, and speaks through the engine.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bollard::body_full;
use bollard::container::{AttachContainerResults, LogOutput};
use bollard::errors::Error as ApiError;
use bollard::query_parameters::{AttachContainerOptionsBuilder, UploadToContainerOptionsBuilder};
use bytes::{Buf, Bytes};
use futures_core::Stream;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::{Notify, mpsc};

use super::Shared;
use super::client::{EngineError, QUICK, WORK};
use super::container::Container;
use super::create::{Entry, GUEST_NAME, OWN};
use super::entry::Way;
use super::exit::{self, Watch};
use super::journal::Journal;
use super::launch::{ANSWER, Entered};
use super::parts::Parts;
use super::site::Site;
use crate::backend::{BackendError, Launch, Launched, with_causes};
use crate::guest::{self, Attached, connect_container};

/// Pieces of a container's error stream that wait for the disk. What comes beyond them is lost, and that is said.
const WAITING: usize = 64;

impl Shared {
    pub(super) async fn by_attach(
        &self,
        site: &Site,
        launch: &Launch,
        parts: &Parts,
    ) -> Result<Launched, BackendError> {
        let reserved = self.reserve(site, parts)?;
        let body = self.body(site, launch, parts, Entry::Attach, &reserved);
        let created = self.create(site, parts, body).await;
        let (container, news) = created.map_err(|error| error.at(parts.step("create")))?;
        upload(&container).await.map_err(|error| error.at(parts.step("upload the guest to")))?;
        let attached = attach(&container, Arc::clone(&parts.journal), Arc::clone(&news)).await;
        let Attached { control, data, .. } = attached.map_err(|error| error.at(parts.step("attach to")))?;
        self.start(&container).await.map_err(|error| error.at(parts.step("start")))?;
        let watch = Watch::new(Arc::clone(&site.engine), container.id().to_owned(), None, news);
        match connect_container(control, data, &parts.setup, ANSWER).await {
            Ok(guest) => {
                let journal = Arc::clone(&parts.journal);
                let entered =
                    Entered { container, reserved, pid: None, watch, guest, journal, way: Way::Attach };
                self.finish(site, parts, entered).await
            }
            Err(error) => {
                let mut why = with_causes(&error);
                if let Ok(state) = exit::inspect(&site.engine, container.id()).await
                    && !exit::is_running(&state)
                {
                    why = format!("it ended: {}; {why}", exit::cause(&state, false));
                }
                let why = format!("{why}; what it said is in {}", parts.journal.path.display());
                Err(BackendError::passing(parts.step("set up"), why))
            }
        }
    }
}

/// Puts the guest program into a container that has not been started.
async fn upload(container: &Container) -> Result<(), EngineError> {
    let engine = container.engine();
    let client = engine.client().await?;
    let options = UploadToContainerOptionsBuilder::new().path(OWN).build();
    let archive = body_full(archive(guest::program()));
    engine.within(WORK, client.upload_to_container(container.id(), Some(options), archive)).await
}

/// A tar with nothing but the guest program.
fn archive(program: &[u8]) -> Bytes {
    let mut tar = tar::Builder::new(Vec::with_capacity(program.len() + 4096));
    let mut header = tar::Header::new_ustar();
    header.set_size(program.len() as u64);
    header.set_mode(0o755);
    header.set_cksum();
    // A vector takes all that is written to it, and the name fits.
    let built = tar.append_data(&mut header, GUEST_NAME, program).and_then(|()| tar.into_inner());
    built.unwrap_or_default().into()
}

/// Takes hold of a container's streams before it is started. What it writes to its error stream goes to the journal;
/// `news` is told when the stream ends.
async fn attach(
    container: &Container,
    journal: Arc<Journal>,
    news: Arc<Notify>,
) -> Result<Attached, EngineError> {
    let engine = container.engine();
    let client = engine.client().await?;
    let options =
        AttachContainerOptionsBuilder::new().stream(true).stdin(true).stdout(true).stderr(true).build();
    let attaching = client.attach_container(container.id(), Some(options));
    let AttachContainerResults { output, input } = engine.within(QUICK, attaching).await?;
    let (errors, heard) = mpsc::channel(WAITING);
    tokio::spawn(keep(heard, journal));
    let stdout = Stdout { output, rest: Bytes::new(), errors, lost: 0, news };
    guest::attach(tokio::io::join(stdout, input)).map_err(|error| engine.explain(ApiError::from(error)))
}

/// Ends with the stream. The first failure to write is the last try: there is no better place to say it than the
/// file that can't be written.
async fn keep(mut heard: mpsc::Receiver<Bytes>, journal: Arc<Journal>) {
    while let Some(piece) = heard.recv().await {
        if journal.append(piece.to_vec()).await.is_err() {
            return;
        }
    }
}

/// The standard output in an engine's mixed stream.
struct Stdout {
    output: Pin<Box<dyn Stream<Item = Result<LogOutput, ApiError>> + Send>>,
    /// Of the last piece, what has not been read.
    rest: Bytes,
    errors: mpsc::Sender<Bytes>,
    /// Bytes of the error stream that the disk was too slow for.
    lost: usize,
    news: Arc<Notify>,
}

impl Stdout {
    fn keep(&mut self, piece: Bytes) {
        if self.lost > 0 {
            let note = format!("\n[{} bytes lost]\n", self.lost);
            if self.errors.try_send(note.into()).is_ok() {
                self.lost = 0;
            }
        }
        let length = piece.len();
        if self.lost > 0 || self.errors.try_send(piece).is_err() {
            self.lost += length;
        }
    }
}

impl AsyncRead for Stdout {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            match ready!(self.output.as_mut().poll_next(cx)) {
                Some(Ok(LogOutput::StdErr { message })) => self.keep(message),
                Some(Ok(LogOutput::StdOut { message } | LogOutput::Console { message })) => {
                    self.rest = message;
                }
                // Its own echo of our input; no engine sends it.
                Some(Ok(LogOutput::StdIn { .. })) => {}
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest[..length]);
        self.rest.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stdout {
    /// The stream has ended, and with it, most likely, the container.
    fn drop(&mut self) {
        self.news.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    fn mixed(pieces: Vec<LogOutput>) -> (Stdout, mpsc::Receiver<Bytes>, Arc<Notify>) {
        let (errors, heard) = mpsc::channel(2);
        let news = Arc::new(Notify::new());
        let output = Box::pin(futures_util::stream::iter(pieces.into_iter().map(Ok)));
        (Stdout { output, rest: Bytes::new(), errors, lost: 0, news: Arc::clone(&news) }, heard, news)
    }

    #[tokio::test]
    async fn output_and_errors_are_told_apart_and_the_end_is_told() {
        let out = |text: &'static str| LogOutput::StdOut { message: Bytes::from_static(text.as_bytes()) };
        let err = |text: &'static str| LogOutput::StdErr { message: Bytes::from_static(text.as_bytes()) };
        let (mut stdout, mut heard, news) =
            mixed(vec![out("ab"), err("1"), err("2"), err("three"), out("c")]);
        let mut read = String::new();
        stdout.read_to_string(&mut read).await.expect("read");
        assert_eq!(read, "abc");
        drop(stdout);
        news.notified().await;
        let mut errors = Vec::new();
        while let Some(piece) = heard.recv().await {
            errors.extend(piece);
        }
        assert_eq!(errors, b"12", "what the disk is too slow for is lost");
    }

    #[test]
    fn the_archive_holds_the_program() {
        let archive = archive(b"program");
        let mut tar = tar::Archive::new(&archive[..]);
        let mut entry = tar.entries().expect("entries").next().expect("one").expect("sound");
        assert_eq!(entry.path().expect("a path").to_str(), Some(GUEST_NAME));
        assert_eq!(entry.header().mode().expect("a mode"), 0o755);
        let mut content = Vec::new();
        io::Read::read_to_end(&mut entry, &mut content).expect("read");
        assert_eq!(content, b"program");
    }
}
