//! The guest of a container comes in through a doorway and is set up over its streams.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use ostler::guest::{Defaults, Doorway, Exec, Session, SetupError, connect_container};
use ostler::model::Epoch;
use ostler::protocol::ContainerSetup;
use tempfile::TempDir;

use crate::program::install;

const PATIENCE: Duration = Duration::from_secs(10);

struct Place {
    directory: TempDir,
    program: PathBuf,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("guest");
        install(&program);
        Self { directory, program }
    }

    fn door(&self) -> PathBuf {
        self.directory.path().join("link")
    }

    fn guest(&self) -> Child {
        let mut command = Command::new(&self.program);
        command.arg("container").arg("--link").arg(self.door());
        command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn setup(&self) -> ContainerSetup {
        ContainerSetup::new(self.directory.path().join("work").into_os_string().into_encoded_bytes())
    }
}

async fn end_of(mut child: Child) -> Option<i32> {
    tokio::task::spawn_blocking(move || child.wait().unwrap().code()).await.unwrap()
}

#[tokio::test]
async fn it_is_admitted_set_up_and_spoken_to() {
    let place = Place::new();
    let doorway = Doorway::open(place.door()).unwrap();
    let child = place.guest();
    let visitor = doorway.admit(PATIENCE).await.unwrap();
    assert!(!place.door().exists(), "nobody comes in after it");
    assert_eq!(visitor.pid, Some(child.id().cast_signed()));
    assert_eq!(visitor.uid, rustix::process::getuid().as_raw());

    let contained = connect_container(visitor.control, visitor.data, &place.setup(), PATIENCE).await.unwrap();
    assert_eq!(contained.report.pid, child.id());
    let control = Session::new(contained.control, Epoch(0), Arc::new(Defaults::default()));
    contained.data.begin(Epoch(1));
    let session = Session::new(contained.data, Epoch(1), Arc::new(Defaults::of_image()));
    assert_eq!(session.exec(Exec::new("echo").arg("x")).await.unwrap().stdout, b"x\n");
    control.shutdown(PATIENCE).await.unwrap();
    assert_eq!(end_of(child).await, Some(0));
}

#[tokio::test]
async fn what_it_cannot_be_it_says() {
    let place = Place::new();
    let doorway = Doorway::open(place.door()).unwrap();
    let child = place.guest();
    let visitor = doorway.admit(PATIENCE).await.unwrap();
    let setup = ContainerSetup { places: vec![b"/nonexistent".to_vec()], ..place.setup() };
    let error = connect_container(visitor.control, visitor.data, &setup, PATIENCE).await.unwrap_err();
    assert!(matches!(&error, SetupError::Failed(why) if why.contains("/nonexistent")), "{error:?}");
    assert_eq!(end_of(child).await, Some(126));
}

#[tokio::test]
async fn a_doorway_admits_nobody_else() {
    let place = Place::new();
    let door = place.door();
    let said = async |first: &'static [u8], second: &'static [u8]| {
        let doorway = Doorway::open(&door).unwrap();
        let visit =
            |said: &[u8]| UnixStream::connect(&door).and_then(|mut stream| stream.write_all(said)).unwrap();
        visit(first);
        visit(second);
        doorway.admit(PATIENCE).await.unwrap_err().kind()
    };
    assert_eq!(said(b"d", b"c").await, std::io::ErrorKind::InvalidData);
    assert_eq!(said(b"c", b"c").await, std::io::ErrorKind::InvalidData);
    assert_eq!(said(b"", b"").await, std::io::ErrorKind::UnexpectedEof);
    assert!(!door.exists());
    let nobody = Doorway::open(&door).unwrap().admit(Duration::from_millis(10)).await;
    assert_eq!(nobody.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    assert!(!Path::new(&door).exists());
}
