//! The guest in a container, without one: beside the test, told what a container's would be told.

mod link;
mod place;
mod service;
mod walls;

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ostler::protocol::{
    ContainerReport, ContainerSetup, FrameBuffer, HEADER, LINK_CONTROL, LINK_DATA, MAX_PAYLOAD,
};

use crate::client::{Client, Guest, PATIENCE, eventually, program};

/// A guest that has come in and was told nothing yet.
pub(crate) struct Newcomer {
    control: UnixStream,
    data: UnixStream,
    child: Child,
    directory: tempfile::TempDir,
}

impl Newcomer {
    /// Starts one; `prepare` adds to its command.
    pub(crate) fn start(prepare: impl FnOnce(&mut Command)) -> Self {
        Self::start_as(|door| {
            let mut command = Command::new(program());
            command.arg("container").arg("--link").arg(door);
            prepare(&mut command);
            command
        })
    }

    /// Starts one by another command, which is told where the door is.
    pub(crate) fn start_as(command: impl FnOnce(&Path) -> Command) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let place = directory.path().to_owned();
        Self::start_in(directory, &place, command)
    }

    /// As [`start_as`](Self::start_as), with the door in a directory of the caller's.
    pub(crate) fn start_at(place: &Path, command: impl FnOnce(&Path) -> Command) -> Self {
        Self::start_in(tempfile::tempdir().expect("a directory"), place, command)
    }

    fn start_in(directory: tempfile::TempDir, place: &Path, command: impl FnOnce(&Path) -> Command) -> Self {
        let door = place.join("link");
        let listener = UnixListener::bind(&door).expect("a door");
        let child = command(&door).stdin(Stdio::null()).spawn().expect("start the guest");
        let control = come_in(&listener, LINK_CONTROL);
        let data = come_in(&listener, LINK_DATA);
        Self { control, data, child, directory }
    }

    /// A setup with a workspace of its own.
    pub(crate) fn setup(&self) -> ContainerSetup {
        ContainerSetup::new(self.workspace().into_os_string().into_encoded_bytes())
    }

    pub(crate) fn workspace(&self) -> std::path::PathBuf {
        self.directory.path().join("work")
    }

    /// Tells it what it is to be, and hears what it says to that.
    pub(crate) fn tell(mut self, setup: &ContainerSetup) -> (ContainerReport, Guest) {
        let mut bytes = Vec::new();
        setup.encode(&mut bytes).expect("a setup that fits");
        self.control.write_all(&bytes).expect("send the setup");
        let report = report(&mut self.control);
        let (control, data) = (Client::new(self.control), Client::new(self.data));
        (report, Guest { control, data, child: self.child, directory: self.directory })
    }

    /// The guest, serving.
    pub(crate) fn serve(self, setup: &ContainerSetup) -> Guest {
        let (report, mut guest) = self.tell(setup);
        assert_eq!(report.failure, None);
        guest.control.greet();
        guest.data.greet();
        guest
    }
}

fn come_in(listener: &UnixListener, name: u8) -> UnixStream {
    listener.set_nonblocking(true).expect("a listener");
    let mut accepted = None;
    eventually("the guest comes in", || {
        accepted = listener.accept().ok();
        accepted.is_some()
    });
    let (mut stream, _) = accepted.expect("it came");
    stream.set_nonblocking(false).expect("a stream");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut said = [0];
    stream.read_exact(&mut said).expect("what for");
    assert_eq!(said, [name]);
    stream
}

fn report(control: &mut UnixStream) -> ContainerReport {
    let mut bytes = vec![0; HEADER];
    control.read_exact(&mut bytes).expect("a report");
    let length = u32::from_le_bytes(*bytes.first_chunk().expect("a header")) as usize;
    assert!(length <= MAX_PAYLOAD);
    bytes.resize(HEADER + length, 0);
    control.read_exact(&mut bytes[HEADER..]).expect("a report");
    let mut frames = FrameBuffer::new();
    frames.extend(&bytes);
    ContainerReport::decode(&frames.cut().expect("a frame").expect("whole")).expect("a report")
}

/// What there is in a directory.
fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}
