//! The same pool for hosts without async: every call blocks its thread until it is done.
//!
//! Don't call these from async code; they would hold up its runtime.
//!
//! ```no_run
//! use ostler::{Config, Exec, blocking};
//!
//! # fn main() -> Result<(), ostler::Error> {
//! let ostler = blocking::Ostler::start(Config::load("config/demo.toml")?)?;
//! let lease = ostler.pool("sandbox")?.acquire()?;
//! let out = lease.exec(Exec::new("uname").arg("-s"))?;
//! assert_eq!(out.stdout, b"Linux\n");
//! drop(lease);
//! ostler.shutdown()
//! # }
//! ```

use std::future::Future;
use std::ops::RangeBounds;
use std::path::Path;
use std::time::Duration;

use tokio::runtime::Handle;

use super::{BlockingEvents, Error, LeaseRequest};
use crate::config::Config;
use crate::guest::{DirEntry, Exec, Metadata, Output};
use crate::observe::{Snapshot, Status};

/// As [`ostler::Ostler`](crate::Ostler).
#[derive(Debug)]
pub struct Ostler {
    inner: super::Ostler,
}

/// As [`ostler::Pool`](crate::Pool).
#[derive(Clone, Debug)]
pub struct Pool {
    inner: super::Pool,
}

/// As [`ostler::Lease`](crate::Lease).
#[derive(Debug)]
#[must_use = "dropped, it goes straight back"]
pub struct Lease {
    inner: super::Lease,
}

/// Blocks on a future with ostler's own runtime around it, for its timers and streams.
fn wait<T>(home: &Handle, future: impl Future<Output = T>) -> T {
    let _context = home.enter();
    pollster::block_on(future)
}

impl Ostler {
    /// As [`Ostler::start`](crate::Ostler::start).
    ///
    /// # Errors
    /// As there.
    pub fn start(config: Config) -> Result<Self, Error> {
        Self::start_with(super::Ostler::builder(config))
    }

    /// As [`Builder::start`](super::Builder::start).
    ///
    /// # Errors
    /// As there.
    pub fn start_with(builder: super::Builder) -> Result<Self, Error> {
        pollster::block_on(builder.start()).map(|inner| Self { inner })
    }

    /// As [`Ostler::pool`](crate::Ostler::pool).
    ///
    /// # Errors
    /// As there.
    pub fn pool(&self, name: &str) -> Result<Pool, Error> {
        self.inner.pool(name).map(|inner| Pool { inner })
    }

    /// As [`Ostler::blocking_events`](crate::Ostler::blocking_events).
    #[must_use]
    pub fn events(&self, capacity: usize) -> BlockingEvents {
        self.inner.blocking_events(capacity)
    }

    /// As [`Ostler::metrics`](crate::Ostler::metrics).
    #[must_use]
    pub fn metrics(&self) -> String {
        self.inner.metrics()
    }

    /// As [`Ostler::stopper`](crate::Ostler::stopper).
    #[must_use]
    pub fn stopper(&self) -> super::Stopper {
        self.inner.stopper()
    }

    /// As [`Ostler::shutdown`](crate::Ostler::shutdown).
    ///
    /// # Errors
    /// As there.
    pub fn shutdown(self) -> Result<(), Error> {
        pollster::block_on(self.inner.shutdown())
    }
}

impl Pool {
    /// As [`Pool::acquire`](crate::Pool::acquire).
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn acquire(&self) -> Result<Lease, Error> {
        self.acquire_with(LeaseRequest::new())
    }

    /// As [`Pool::acquire_with`](crate::Pool::acquire_with).
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn acquire_with(&self, request: LeaseRequest) -> Result<Lease, Error> {
        self.wait(self.inner.acquire_with(request)).map(|inner| Lease { inner })
    }

    /// As [`Pool::try_acquire`](crate::Pool::try_acquire).
    #[must_use]
    #[track_caller]
    pub fn try_acquire(&self) -> Option<Lease> {
        // A closure would be the caller otherwise.
        let inner = self.inner.try_acquire()?;
        Some(Lease { inner })
    }

    /// As [`Pool::ready`](crate::Pool::ready).
    ///
    /// # Errors
    /// As there.
    pub fn ready(&self, timeout: Duration) -> Result<(), Error> {
        self.wait(self.inner.ready(timeout))
    }

    /// As [`Pool::resize`](crate::Pool::resize).
    ///
    /// # Errors
    /// As there.
    pub fn resize(&self, min: usize, max: usize) -> Result<(), Error> {
        self.wait(self.inner.resize(min, max))
    }

    /// As [`Pool::drain`](crate::Pool::drain).
    ///
    /// # Errors
    /// As there.
    pub fn drain(&self) -> Result<(), Error> {
        self.wait(self.inner.drain())
    }

    /// As [`Pool::drain_within`](crate::Pool::drain_within).
    ///
    /// # Errors
    /// As there.
    pub fn drain_within(&self, grace: Duration) -> Result<(), Error> {
        self.wait(self.inner.drain_within(grace))
    }

    /// As [`Pool::status`](crate::Pool::status).
    #[must_use]
    pub fn status(&self) -> Status {
        self.inner.status()
    }

    /// As [`Pool::snapshot`](crate::Pool::snapshot).
    ///
    /// # Errors
    /// As there.
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        self.wait(self.inner.snapshot())
    }

    fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        wait(&self.inner.shared.runtime, future)
    }
}

impl Lease {
    /// As [`Lease::exec`](crate::Lease::exec).
    ///
    /// # Errors
    /// As there.
    pub fn exec(&self, exec: Exec) -> Result<Output, Error> {
        self.wait(self.inner.exec(exec))
    }

    /// As [`Lease::read`](crate::Lease::read).
    ///
    /// # Errors
    /// As there.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Vec<u8>, Error> {
        self.wait(self.inner.read(path))
    }

    /// As [`Lease::read_range`](crate::Lease::read_range).
    ///
    /// # Errors
    /// As there.
    pub fn read_range(&self, path: impl AsRef<Path>, range: impl RangeBounds<u64>) -> Result<Vec<u8>, Error> {
        self.wait(self.inner.read_range(path, range))
    }

    /// As [`Lease::write`](crate::Lease::write).
    ///
    /// # Errors
    /// As there.
    pub fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Result<(), Error> {
        self.wait(self.inner.write(path, content))
    }

    /// As [`Lease::list`](crate::Lease::list).
    ///
    /// # Errors
    /// As there.
    pub fn list(&self, path: impl AsRef<Path>) -> Result<Vec<DirEntry>, Error> {
        self.wait(self.inner.list(path))
    }

    /// As [`Lease::walk`](crate::Lease::walk).
    ///
    /// # Errors
    /// As there.
    pub fn walk(&self, path: impl AsRef<Path>) -> Result<Vec<DirEntry>, Error> {
        self.wait(self.inner.walk(path))
    }

    /// As [`Lease::stat`](crate::Lease::stat).
    ///
    /// # Errors
    /// As there.
    pub fn stat(&self, path: impl AsRef<Path>) -> Result<Metadata, Error> {
        self.wait(self.inner.stat(path))
    }

    /// As [`Lease::remove`](crate::Lease::remove).
    ///
    /// # Errors
    /// As there.
    pub fn remove(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        self.wait(self.inner.remove(path))
    }

    /// As [`Lease::remove_all`](crate::Lease::remove_all).
    ///
    /// # Errors
    /// As there.
    pub fn remove_all(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        self.wait(self.inner.remove_all(path))
    }

    /// As [`Lease::make_dir`](crate::Lease::make_dir).
    ///
    /// # Errors
    /// As there.
    pub fn make_dir(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        self.wait(self.inner.make_dir(path))
    }

    /// As [`Lease::renew`](crate::Lease::renew).
    ///
    /// # Errors
    /// As there.
    pub fn renew(&self) -> Result<(), Error> {
        self.inner.renew()
    }

    /// As [`Lease::discard`](crate::Lease::discard).
    pub fn discard(self) {
        self.inner.discard();
    }

    /// The lease itself, for what this façade leaves out.
    pub fn into_async(self) -> super::Lease {
        self.inner
    }

    fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        wait(self.inner.home(), future)
    }
}
