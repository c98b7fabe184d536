//! The session against the guest program itself, in a directory of its own and without walls.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use ostler::guest::{Chunk, Defaults, Exec, RefusalKind, Session, Wire, connect};
use ostler::model::Epoch;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::program::install;

const PATIENCE: Duration = Duration::from_secs(10);

/// A guest that runs. Dropped, it is gone.
struct Guest {
    control: Arc<dyn Wire>,
    data: Arc<dyn Wire>,
    child: Child,
    directory: TempDir,
}

impl Guest {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("guest");
        install(&program);
        let workspace = directory.path().join("work");
        std::fs::create_dir(&workspace).unwrap();
        let (control, control_end) = UnixStream::pair().unwrap();
        let (data, data_end) = UnixStream::pair().unwrap();
        let mut command = Command::new(&program);
        command.arg("init").arg("--workspace").arg(workspace);
        command.args(["--parent", &std::process::id().to_string()]);
        command.stdin(Stdio::from(OwnedFd::from(control_end))).stdout(Stdio::from(OwnedFd::from(data_end)));
        let child = command.spawn().unwrap();
        drop(command);
        let (control, data) = connect(control, data, PATIENCE).await.unwrap();
        Self { control, data, child, directory }
    }

    fn lease(&self, epoch: u64) -> Session {
        self.data.begin(Epoch(epoch));
        Session::new(Arc::clone(&self.data), Epoch(epoch), Arc::new(Defaults::default()))
    }

    fn keeper(&self) -> Session {
        Session::new(Arc::clone(&self.control), Epoch(0), Arc::new(Defaults::default()))
    }

    async fn end(mut self) {
        self.keeper().shutdown(PATIENCE).await.unwrap();
        let status = tokio::task::spawn_blocking(move || {
            let status = self.child.wait().unwrap();
            drop(self.directory);
            status
        });
        assert!(status.await.unwrap().success());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_from_its_first_file_to_its_reset() {
    let guest = Guest::start().await;
    let session = guest.lease(1);
    session.write("sub/hello.txt", "hi\n").await.unwrap();
    let out = session.exec(Exec::new("cat").arg("sub/hello.txt")).await.unwrap();
    assert!(out.success() && out.stdout == b"hi\n" && out.max_rss > 0 && out.wall > Duration::ZERO);
    let big: Vec<u8> = (0..5_000_000_u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
    session.write_from("big", big.as_slice()).await.unwrap();
    assert!(session.read("big").await.unwrap() == big);
    let out =
        session.exec(Exec::shell("cat; echo oops >&2; exit 3").stdin(big.clone()).output_limit(8 << 20));
    let out = out.await.unwrap();
    assert!(out.code == Some(3) && out.stdout == big && out.stderr == b"oops\n");

    session.make_dir("empty").await.unwrap();
    session.symlink("sub/hello.txt", "link").await.unwrap();
    assert_eq!(session.stat("link").await.unwrap().target.unwrap().to_str(), Some("sub/hello.txt"));
    let mut names: Vec<_> = session.walk("").await.unwrap().into_iter().map(|entry| entry.path).collect();
    names.sort();
    let expected = ["big", "empty", "link", "sub", "sub/hello.txt"];
    assert!(names.iter().map(|name| name.to_str().unwrap()).eq(expected));
    let mut tar = Vec::new();
    session.copy_out("").read_to_end(&mut tar).await.unwrap();
    assert_eq!(session.copy_in("copy/of/all", tar.as_slice()).await.unwrap(), 5);
    assert!(session.read("copy/of/all/big").await.unwrap() == big);
    assert_eq!(session.list("copy/of/all/empty").await.unwrap(), []);
    session.remove_all("copy").await.unwrap();
    session.remove("link").await.unwrap();
    assert!(!session.exists("copy").await.unwrap() && !session.exists("link").await.unwrap());
    assert_eq!(session.remove("sub").await.unwrap_err().refusal(), Some(RefusalKind::WrongKind));

    let mut stream = session.exec_stream(Exec::shell("echo ready; exec cat").stdin_piped()).unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), Chunk::Stdout("ready\n".into()));
    let mut stdin = stream.take_stdin().unwrap();
    stdin.write_all(b"through").await.unwrap();
    drop(stdin);
    assert_eq!(stream.wait().await.unwrap().stdout, b"through");

    let slow = Exec::shell("echo begun; sleep 1000").timeout(Duration::from_millis(50));
    let out = session.exec(slow).await.unwrap();
    assert!(out.timed_out && !out.success() && out.stdout == b"begun\n");

    guest.data.end();
    assert!(!guest.data.is_tainted());
    guest.keeper().reset(Epoch(1), PATIENCE).await.unwrap();
    let next = guest.lease(2);
    assert!(next.walk("").await.unwrap().is_empty());
    guest.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_dropped_is_killed_and_the_next_lease_finds_the_wire_in_order() {
    let guest = Guest::start().await;
    for epoch in 1..=20 {
        let session = guest.lease(epoch);
        let mut tasks = tokio::task::JoinSet::new();
        for at in 0..20 {
            let session = session.clone();
            tasks.spawn(async move {
                match at % 4 {
                    0 => drop(session.exec(Exec::new("sleep").arg("1000")).await),
                    1 => drop(session.exec(Exec::new("yes").output_limit(u64::MAX)).await),
                    2 => drop(session.write("file", vec![1; 3_000_000]).await),
                    _ => drop(session.exec(Exec::new("cat").stdin(vec![1; 3_000_000])).await),
                }
            });
        }
        assert_eq!(session.exec(Exec::new("echo").arg("x")).await.unwrap().stdout, b"x\n");
        if epoch % 2 == 0 {
            tasks.abort_all();
        }
        guest.data.end();
        while tasks.join_next().await.is_some() {}
    }
    let keeper = guest.keeper();
    let mut vitals = keeper.ping(PATIENCE).await.unwrap();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while vitals.operations + vitals.processes > 0 {
        assert!(tokio::time::Instant::now() < deadline, "{vitals:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
        vitals = keeper.ping(PATIENCE).await.unwrap();
    }
    assert!(!guest.data.is_tainted());
    guest.end().await;
}

/// Far more than the stream takes at once, to a host that is slow to read: whoever waits for room is told of it.
#[tokio::test]
async fn a_large_listing_comes_to_its_end() {
    let guest = Guest::start().await;
    let session = guest.lease(1);
    let many = "mkdir many; cd many; seq -f \"$(printf '%0240d' 0)%.0f\" 1 3000 | xargs touch";
    assert!(session.exec(Exec::shell(many)).await.unwrap().success());
    let deep = "e/".repeat(1000);
    session.write(format!("{deep}x"), b"q").await.unwrap();
    for _ in 0..5 {
        let listed = tokio::time::timeout(PATIENCE, session.list("many")).await.expect("the list ends");
        assert_eq!(listed.unwrap().len(), 3000);
        let walked = tokio::time::timeout(PATIENCE, session.walk("e")).await.expect("the walk ends");
        assert_eq!(walked.unwrap().len(), 1000);
        let mut slow = Box::pin(session.walk("many"));
        let walked = if let Ok(walked) = tokio::time::timeout(Duration::from_micros(200), &mut slow).await {
            walked
        } else {
            // Blocks the host's only thread.
            std::thread::sleep(Duration::from_millis(30));
            tokio::time::timeout(PATIENCE, slow).await.expect("the slow walk ends")
        };
        assert_eq!(walked.unwrap().len(), 3000);
    }
    guest.end().await;
}
