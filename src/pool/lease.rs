use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeBounds;
use std::panic::Location;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite};

use super::{Error, ErrorKind};
use crate::actor::Resource;
use crate::guest::{CopyOut, DirEntry, Exec, ExecStream, Metadata, Output, Session, WireError};
use crate::handoff::Taken;
use crate::model::{Epoch, PoolName, Port, RuntimeId};

/// The exclusive right to one runtime, from acquire to drop.
///
/// Dropping it returns the runtime: off this thread it is cleaned (or, with `reset = "none"`, made ready at
/// once), and what the lease left running is ended. Dropped in a panic, or with an operation whose outcome is
/// unknown, the runtime is destroyed instead and never used again.
///
/// Operations take `&self`, so several can run at once. Each is cancel-safe: dropped, it is cancelled in the
/// guest too. Awaited on a tokio runtime, that runtime must drive I/O and time (`enable_all`); on any other, ostler's
/// own does. File paths are relative to the workspace; absolute ones start at the runtime's own root.
#[must_use = "dropped, it goes straight back"]
pub struct Lease {
    /// One word, so that it is returned in a register.
    taken: Taken<Resource>,
}

impl Lease {
    #[inline]
    pub(super) fn new(mut taken: Taken<Resource>, by: &'static Location<'static>) -> Self {
        taken.lease();
        let resource = taken.resource_mut();
        resource.timed = resource.shared.knobs.times_leases();
        if resource.timed {
            begin_tenure(&taken, by);
        }
        Self { taken }
    }

    /// The runtime it is for.
    #[must_use]
    pub fn runtime(&self) -> RuntimeId {
        self.taken.runtime()
    }

    /// Its fencing token: greater than that of every earlier lease of the runtime.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.taken.epoch()
    }

    /// How many leases the runtime has served, this one included.
    #[must_use]
    pub fn uses(&self) -> u64 {
        self.taken.uses()
    }

    /// Its pool.
    #[must_use]
    pub fn pool(&self) -> &PoolName {
        &self.taken.resource().shared.name
    }

    /// How others know the runtime: `pid 4711`, a container's id.
    #[must_use]
    pub fn handle(&self) -> &str {
        &self.taken.resource().handle
    }

    /// Where a port of the runtime is reached from this host; none when it is not published, or the runtime has no
    /// ports of its own. A number alone is a TCP port.
    #[must_use]
    pub fn endpoint(&self, port: impl Into<Port>) -> Option<SocketAddr> {
        self.taken.resource().endpoints.get(&port.into()).copied()
    }

    /// Holds it for another `max_lease` from now, and begins `leak_after` anew. Without these, nothing happens.
    ///
    /// # Errors
    /// [`Expired`](super::ErrorKind::Expired) when that is too late.
    pub fn renew(&self) -> Result<(), Error> {
        let Resource { shared, tenure, timed, .. } = self.taken.resource();
        let limit = shared.settings().spec.max_lease;
        if !timed || tenure.renew(shared.now(), limit) {
            return Ok(());
        }
        Err(self.expired("renew"))
    }

    /// Ends the lease; the runtime is destroyed and replaced instead of being used again.
    pub fn discard(self) {
        self.taken.resource().quarantine();
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// [`Refused`](super::ErrorKind::Refused) when it could not be started (see [`Error::is_not_found`]),
    /// [`Lost`](super::ErrorKind::Lost) when the runtime was lost. A command that fails, or is ended by its timeout,
    /// is not an error: see [`Output`].
    pub async fn exec(&self, exec: Exec) -> Result<Output, Error> {
        let started = Instant::now();
        let output = self.session().exec(exec).await;
        self.taken.resource().shared.board.exec.record(started.elapsed());
        self.told("exec", output)
    }

    /// Starts a command whose output comes as it is made, with its input as a stream, to be ended at will. The
    /// stream ends with the lease.
    ///
    /// # Errors
    /// As [`exec`](Self::exec).
    pub fn exec_stream(&self, exec: Exec) -> Result<ExecStream, Error> {
        self.told("exec", self.session().exec_stream(exec))
    }

    /// Reads a whole file, of at most 64 MiB.
    ///
    /// # Errors
    /// [`Refused`](super::ErrorKind::Refused) when it is not there, not a regular file or too large.
    pub async fn read(&self, path: impl AsRef<Path>) -> Result<Vec<u8>, Error> {
        self.told("read", self.session().read(path).await)
    }

    /// Reads a part of a file, by byte offsets. Beyond its end there is nothing.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn read_range(
        &self,
        path: impl AsRef<Path>,
        range: impl RangeBounds<u64>,
    ) -> Result<Vec<u8>, Error> {
        self.told("read", self.session().read_range(path, range).await)
    }

    /// Reads a file of any size into `writer`; answers how many bytes.
    ///
    /// # Errors
    /// As [`read`](Self::read); [`Io`](super::ErrorKind::Io) when the writer fails.
    pub async fn read_to(
        &self,
        path: impl AsRef<Path>,
        writer: impl AsyncWrite + Unpin,
    ) -> Result<u64, Error> {
        self.told("read", self.session().read_to(path, writer).await)
    }

    /// Writes a file, whole or not at all: no reader ever sees a part of it. Missing directories are made.
    ///
    /// # Errors
    /// [`Refused`](super::ErrorKind::Refused) when there is no room or a directory is in the way.
    pub async fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Result<(), Error> {
        self.told("write", self.session().write(path, content.as_ref()).await)
    }

    /// As [`write`](Self::write), with permission bits; without, they are 0644.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn write_mode(
        &self,
        path: impl AsRef<Path>,
        content: impl AsRef<[u8]>,
        mode: u32,
    ) -> Result<(), Error> {
        self.told("write", self.session().write_mode(path, content, mode).await)
    }

    /// Writes a file of any size from `reader`; answers how many bytes.
    ///
    /// # Errors
    /// As [`write`](Self::write); [`Io`](super::ErrorKind::Io) when the reader fails.
    pub async fn write_from(
        &self,
        path: impl AsRef<Path>,
        reader: impl AsyncRead + Unpin,
    ) -> Result<u64, Error> {
        self.told("write", self.session().write_from(path, reader).await)
    }

    /// Lists a directory, sorted by name.
    ///
    /// # Errors
    /// [`Refused`](super::ErrorKind::Refused) when it is not there or not a directory.
    pub async fn list(&self, path: impl AsRef<Path>) -> Result<Vec<DirEntry>, Error> {
        self.told("list", self.session().list(path).await)
    }

    /// Lists a directory and all below it, each directory before what is in it. Symbolic links are not followed.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn walk(&self, path: impl AsRef<Path>) -> Result<Vec<DirEntry>, Error> {
        self.told("list", self.session().walk(path).await)
    }

    /// Describes a path; a symbolic link itself, not what it points to.
    ///
    /// # Errors
    /// [`Refused`](super::ErrorKind::Refused) when it is not there.
    pub async fn stat(&self, path: impl AsRef<Path>) -> Result<Metadata, Error> {
        self.told("stat", self.session().stat(path).await)
    }

    /// Removes a file, a symbolic link or an empty directory.
    ///
    /// # Errors
    /// [`Refused`](super::ErrorKind::Refused) when it is not there, or a directory with something in it.
    pub async fn remove(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        self.told("remove", self.session().remove(path).await)
    }

    /// Removes a path and all below it. Symbolic links are removed, not followed.
    ///
    /// # Errors
    /// [`Refused`](super::ErrorKind::Refused) when it is not there.
    pub async fn remove_all(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        self.told("remove", self.session().remove_all(path).await)
    }

    /// Makes a directory and those above it; one that exists is no error.
    ///
    /// # Errors
    /// [`Refused`](super::ErrorKind::Refused) when a file is in the way.
    pub async fn make_dir(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        self.told("make_dir", self.session().make_dir(path).await)
    }

    /// Makes a symbolic link that says `target`, replacing a file or link that is in the way.
    ///
    /// # Errors
    /// [`Refused`](super::ErrorKind::Refused) when a directory is in the way.
    pub async fn symlink(&self, target: impl AsRef<Path>, link: impl AsRef<Path>) -> Result<(), Error> {
        self.told("symlink", self.session().symlink(target, link).await)
    }

    /// Unpacks a tar stream below a directory, in bounded memory whatever its size; answers how many members.
    ///
    /// # Errors
    /// [`Refused`](super::ErrorKind::Refused) for members that lead outside or are neither files, directories nor links;
    /// what came before stays. [`Io`](super::ErrorKind::Io) when the reader fails.
    pub async fn copy_in(
        &self,
        directory: impl AsRef<Path>,
        tar: impl AsyncRead + Unpin,
    ) -> Result<u64, Error> {
        self.told("copy_in", self.session().copy_in(directory, tar).await)
    }

    /// Packs a directory and all below it into a tar stream to read from, in bounded memory whatever its size.
    /// The stream ends with the lease; its errors carry a [`WireError`].
    pub fn copy_out(&self, directory: impl AsRef<Path>) -> CopyOut {
        self.session().copy_out(directory)
    }

    /// As [`copy_out`](Self::copy_out), into a writer, which is flushed and not shut down; answers how many
    /// members there were.
    ///
    /// # Errors
    /// [`Refused`](super::ErrorKind::Refused) when it is not there; [`Io`](super::ErrorKind::Io) when the writer fails.
    pub async fn copy_out_to(
        &self,
        directory: impl AsRef<Path>,
        tar: impl AsyncWrite + Unpin,
    ) -> Result<u64, Error> {
        self.told("copy_out", self.session().copy_out_to(directory, tar).await)
    }

    /// Ostler's own tokio runtime.
    pub(super) fn home(&self) -> &tokio::runtime::Handle {
        &self.taken.resource().shared.runtime
    }

    fn session(&self) -> &Session {
        let Resource { wire, shared, session, .. } = self.taken.resource();
        session.get_or_init(|| {
            wire.begin(self.epoch());
            // In this order: whoever ends the lease says so before it ends the wire.
            if self.is_expired() {
                wire.end();
            }
            Box::new(Session::new(Arc::clone(wire), self.epoch(), Arc::clone(&shared.settings().defaults)))
        })
    }

    fn told<T>(&self, operation: &'static str, result: Result<T, WireError>) -> Result<T, Error> {
        result.map_err(|error| {
            if self.is_expired() {
                return self.expired(operation);
            }
            Error::from_wire(operation, error).in_pool(self.pool()).in_runtime(self.runtime())
        })
    }
}

impl Lease {
    fn is_expired(&self) -> bool {
        let Resource { tenure, timed, .. } = self.taken.resource();
        *timed && tenure.is_expired()
    }

    #[cold]
    fn expired(&self, operation: &'static str) -> Error {
        let limit = self.taken.resource().shared.settings().spec.max_lease.unwrap_or_default();
        let error = Error::new(operation, ErrorKind::Expired { limit });
        error.in_pool(self.pool()).in_runtime(self.runtime())
    }
}

#[cold]
fn begin_tenure(taken: &Taken<Resource>, by: &'static Location<'static>) {
    let Resource { shared, tenure, .. } = taken.resource();
    tenure.begin(taken.epoch(), shared.now(), shared.settings().spec.max_lease, by);
}

impl Drop for Lease {
    fn drop(&mut self) {
        let session = self.taken.resource_mut().session.take();
        let resource = self.taken.resource();
        if resource.timed && resource.tenure.end() {
            resource.quarantine();
        }
        if session.is_some() {
            resource.wire.end();
            if resource.wire.is_tainted() {
                resource.quarantine();
            }
        }
        if std::thread::panicking() {
            resource.quarantine();
        }
        if !resource.is_quarantined() && resource.shared.knobs.goes_straight_back(self.taken.uses()) {
            self.taken.reuse();
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("pool", self.pool())
            .field("runtime", &self.runtime())
            .field("epoch", &self.epoch())
            .finish_non_exhaustive()
    }
}
