//! Both streams behind one, as an engine's attach stream gives it: over the real guest's stdin and stdout, and
//! over one that is no guest of ours.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use ostler::guest::{Chunk, Defaults, Exec, Session, Wire, attach, connect_container};
use ostler::model::Epoch;
use ostler::protocol::{ContainerSetup, Service};
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, join};
use tokio::process::{Child, Command};

use crate::program::install;

const PATIENCE: Duration = Duration::from_secs(10);

/// A guest behind its stdin and stdout.
struct Guest {
    control: Session,
    data: Arc<dyn Wire>,
    child: Child,
    pump: tokio::task::JoinHandle<std::io::Result<()>>,
    directory: TempDir,
}

fn spawn() -> (Child, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("guest");
    install(&program);
    let mut command = Command::new(&program);
    command.args(["container", "--attach"]);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    (child, directory)
}

fn setup(directory: &TempDir) -> ContainerSetup {
    ContainerSetup::new(workspace(directory).into_os_string().into_encoded_bytes())
}

fn workspace(directory: &TempDir) -> PathBuf {
    directory.path().join("work")
}

impl Guest {
    async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    async fn start_with(adapt: impl FnOnce(&mut ContainerSetup)) -> Self {
        let (mut child, directory) = spawn();
        let stream = join(child.stdout.take().unwrap(), child.stdin.take().unwrap());
        let attached = attach(stream).unwrap();
        let mut setup = setup(&directory);
        adapt(&mut setup);
        let contained = connect_container(attached.control, attached.data, &setup, PATIENCE).await.unwrap();
        assert_eq!(contained.report.pid, child.id().unwrap());
        let control = Session::new(contained.control, Epoch(0), Arc::new(Defaults::default()));
        Self { control, data: contained.data, child, pump: attached.pump, directory }
    }

    fn lease(&self, epoch: u64) -> Session {
        self.data.begin(Epoch(epoch));
        Session::new(Arc::clone(&self.data), Epoch(epoch), Arc::new(Defaults::of_image()))
    }
}

async fn ended(child: &mut Child) -> Option<i32> {
    tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap().code()
}

#[tokio::test]
async fn a_lease_works_as_over_any_wire() {
    let mut guest = Guest::start().await;
    for epoch in 1..4 {
        let session = guest.lease(epoch);
        let out = session.exec(Exec::shell("cat; echo wrong >&2; exit 3").stdin("through")).await.unwrap();
        assert_eq!(
            (out.stdout.as_slice(), out.stderr.as_slice(), out.code),
            (b"through".as_slice(), b"wrong\n".as_slice(), Some(3))
        );
        let big: Vec<u8> = (0..3_000_000u32).map(|at| at.to_le_bytes()[at as usize % 3]).collect();
        session.write("big", big.clone()).await.unwrap();
        assert_eq!(session.read("big").await.unwrap(), big);
        guest.data.end();
        guest.control.reset(Epoch(epoch), PATIENCE).await.unwrap();
        assert_eq!(std::fs::read_dir(workspace(&guest.directory)).unwrap().count(), 0);
    }
    guest.control.shutdown(PATIENCE).await.unwrap();
    assert_eq!(ended(&mut guest.child).await, Some(0));
    tokio::time::timeout(PATIENCE, guest.pump).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_lease_that_reads_nothing_holds_up_no_ping() {
    let guest = Guest::start().await;
    let session = guest.lease(1);
    // More than every buffer on the way together, of operations that nobody reads.
    let mut stalled = Vec::new();
    for _ in 0..8 {
        let mut stream = session.exec_stream(Exec::new("yes")).unwrap();
        assert!(matches!(stream.next().await, Some(Ok(Chunk::Stdout(_)))));
        stalled.push(stream);
    }
    for _ in 0..200 {
        guest.control.ping(PATIENCE).await.unwrap();
    }
    assert_eq!(session.exec(Exec::new("echo").arg("x")).await.unwrap().stdout, b"x\n");
    drop(stalled);
    guest.control.shutdown(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_host_that_reads_nothing_of_the_data_stream_holds_up_no_ping() {
    let (mut child, directory) = spawn();
    let attached = attach(join(child.stdout.take().unwrap(), child.stdin.take().unwrap())).unwrap();
    let raw = attached.data.try_clone().unwrap();
    let setup = setup(&directory);
    let contained = connect_container(attached.control, attached.data, &setup, PATIENCE).await.unwrap();
    let control = Session::new(contained.control, Epoch(0), Arc::new(Defaults::default()));
    // Written below the wire, which thus reads nothing of what comes back.
    let mut requests = Vec::new();
    for op in 1000..40_000 {
        ostler::protocol::Request::Ping.encode(op, &mut requests).unwrap();
    }
    let flood = tokio::task::spawn_blocking(move || {
        use std::io::Write;
        raw.set_nonblocking(false).unwrap();
        raw.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut raw = raw;
        // It ends when the guest takes no more, which is what is wanted.
        let _ = raw.write_all(&requests);
    });
    for _ in 0..100 {
        control.ping(PATIENCE).await.unwrap();
    }
    flood.await.unwrap();
    control.ping(PATIENCE).await.unwrap();
    child.start_kill().unwrap();
    child.wait().await.unwrap();
}

#[tokio::test]
async fn what_a_service_says_goes_to_stderr_and_never_into_the_stream() {
    let mut guest = Guest::start_with(|setup| {
        setup.service = Some(Service {
            argv: ["sh", "-c", "echo out; echo err >&2; exec sleep 1000"].map(Into::into).into(),
            env: Vec::new(),
            cwd: Vec::new(),
            stop_signal: 15,
            grace_ms: 5000,
        });
    })
    .await;
    let mut stderr = guest.child.stderr.take().unwrap();
    let mut said = vec![0; 8];
    stderr.read_exact(&mut said).await.unwrap();
    assert_eq!(said, b"out\nerr\n");
    let vitals = guest.control.ping(PATIENCE).await.unwrap();
    assert!(vitals.service_ms.is_some());
    guest.control.shutdown(PATIENCE).await.unwrap();
    assert_eq!(ended(&mut guest.child).await, Some(143), "the service was told to end, and did");
}

#[tokio::test]
async fn the_end_of_either_side_ends_the_other() {
    let mut guest = Guest::start().await;
    let session = guest.lease(1);
    drop((guest.control, guest.data, session));
    assert_eq!(ended(&mut guest.child).await, Some(0), "nobody is there any more");
    tokio::time::timeout(PATIENCE, guest.pump).await.unwrap().unwrap().unwrap();

    let mut guest = Guest::start().await;
    guest.child.start_kill().unwrap();
    assert!(guest.control.ping(PATIENCE).await.is_err());
    guest.child.wait().await.unwrap();
    tokio::time::timeout(PATIENCE, guest.pump).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_guest_that_is_none_ends_both_streams() {
    for (bytes, clean) in [(b"".as_slice(), true), (b"hello, world".as_slice(), false)] {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let attached = attach(ours).unwrap();
        theirs.write_all(bytes).await.unwrap();
        let end = if clean {
            drop(theirs);
            None
        } else {
            Some(theirs)
        };
        let result = tokio::time::timeout(PATIENCE, attached.pump).await.unwrap().unwrap();
        assert_eq!(result.is_ok(), clean);
        for mut socket in [attached.control, attached.data] {
            assert_eq!(std::io::Read::read(&mut socket, &mut [0; 8]).unwrap(), 0);
        }
        drop(end);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes on stdin, before or after a setup, the guest neither hangs nor crashes: it ends.
    #[test]
    fn whatever_bytes_come_the_guest_ends(
        bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(2), Just(3), any::<u8>()], 0..2000),
        after_setup: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut child, directory) = spawn();
            let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
            let mut begin = Vec::new();
            if after_setup {
                let mut frame = Vec::new();
                setup(&directory).encode(&mut frame).unwrap();
                let mut mux = ostler::protocol::Mux::new();
                mux.put(ostler::protocol::Lane::Control, &frame);
                begin.extend(mux.output());
            }
            begin.extend(bytes);
            // It may end before it has read it all.
            let _ = stdin.write_all(&begin).await;
            drop(stdin);
            let mut said = Vec::new();
            stdout.read_to_end(&mut said).await.unwrap();
            let code = ended(&mut child).await;
            assert!(matches!(code, Some(0 | 1)), "{code:?}");
        });
    }
}
