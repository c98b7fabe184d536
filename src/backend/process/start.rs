use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process;
use std::sync::Arc;

use super::cgroup::{Cgroups, Group};
use super::log::Log;
use super::plan;
use super::program::Program;
use super::remains::Remains;
use crate::backend::outside::Quota;
use crate::model::{Limits, ProcessSpec};

/// One keeper to be started. Blocks, so it is run by the spawner.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) program: Arc<Program>,
    pub(super) cgroups: Arc<Cgroups>,
    pub(super) spec: Arc<ProcessSpec>,
    pub(super) limits: Arc<Limits>,
    /// The runtime's name; also that of its directories.
    pub(super) name: String,
    /// Where its workspace is made when it gets no namespaces.
    pub(super) workspace: PathBuf,
}

/// A keeper as a child of this process.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) process: process::Child,
    pub(super) log: Log,
    pub(super) remains: Remains,
    /// The limit on its runtime's processor time, if there is one.
    pub(super) quota: Option<Quota>,
}

impl Start {
    /// Makes the cgroups, then the keeper. Its setup is in the stream before it starts, so that it can clean
    /// up even when this process dies the moment after.
    ///
    /// # Errors
    /// The system's; nothing is left then.
    pub(super) fn run(self) -> io::Result<(Child, UnixStream, UnixStream)> {
        let group = self.cgroups.make(&self.name, &self.limits);
        let setup = plan::setup(&self.spec, &self.limits, &self.name, &group, &self.workspace);
        let program = Arc::clone(&self.program);
        let Group { directories: cgroups, parents, quota, .. } = group;
        let remains = Remains { cgroups, parents, workspace: self.workspace, program };
        let started = (|| {
            let mut frame = Vec::new();
            setup.encode(&mut frame).map_err(io::Error::other)?;
            let (mut control, theirs) = UnixStream::pair()?;
            let (data, their_data) = UnixStream::pair()?;
            control.set_nonblocking(true)?;
            control.write_all(&frame)?;
            let (log, errors) = Log::new()?;
            let process = self
                .program
                .command()
                .args(["keeper", "--parent", &process::id().to_string()])
                .stdin(OwnedFd::from(theirs))
                .stdout(OwnedFd::from(their_data))
                .stderr(errors)
                .spawn()?;
            Ok((process, log, control, data))
        })();
        match started {
            Ok((process, log, control, data)) => Ok((Child { process, log, remains, quota }, control, data)),
            Err(error) => {
                remains.remove();
                Err(error)
            }
        }
    }
}
