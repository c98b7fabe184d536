//! A lease's typed operations, against a guest that keeps to the protocol to the letter.

use std::sync::Arc;
use std::time::Duration;

use crate::scripted::ScriptedGuest;
use bytes::Bytes;
use ostler::guest::{Chunk, Defaults, Exec, Link, RefusalKind, Session, Signal, Wire, WireError};
use ostler::model::Epoch;
use ostler::protocol::{Done, Reply, WINDOW};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const EPOCH: Epoch = Epoch(7);

async fn session() -> (ScriptedGuest, Arc<Link>, Session) {
    let (guest, stream) = ScriptedGuest::start();
    let link = Link::new(stream).unwrap();
    assert_eq!(link.hello(Duration::from_secs(5)).await.unwrap().pid, 1);
    link.begin(EPOCH);
    let wire: Arc<dyn Wire> = Arc::clone(&link) as _;
    (guest, link, Session::new(wire, EPOCH, Arc::new(Defaults::default())))
}

fn megabytes(count: usize) -> Vec<u8> {
    (0..count << 20).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

#[tokio::test]
async fn files_come_back_as_they_were_written_whatever_their_size() {
    let (guest, link, session) = session().await;
    for content in [Vec::new(), b"hi\n".to_vec(), vec![7; 64 << 10], vec![7; (64 << 10) + 1], megabytes(5)] {
        session.write("some/file", &content).await.unwrap();
        assert_eq!(session.read("some/file").await.unwrap(), content);
        let mut streamed = Vec::new();
        session.write_from("streamed", content.as_slice()).await.unwrap();
        assert_eq!(session.read_to("streamed", &mut streamed).await.unwrap(), content.len() as u64);
        assert_eq!(streamed, content);
    }
    session.write_mode("tool", "#!/bin/sh", 0o755).await.unwrap();
    assert_eq!(session.stat("tool").await.unwrap().mode, 0o755);
    assert_eq!(session.read_range("tool", 2..6).await.unwrap(), b"/bin");
    assert_eq!(session.read_range("tool", 2..=5).await.unwrap(), b"/bin");
    assert_eq!(session.read_range("tool", 100..).await.unwrap(), b"");
    assert_eq!(link.operations(), 0);
    assert_eq!(guest.seen().open, 0);
}

#[tokio::test]
async fn a_refusal_is_an_error_and_nothing_else_is_wrong() {
    let (_guest, link, session) = session().await;
    let error = session.read("nothing").await.unwrap_err();
    assert_eq!(error.refusal(), Some(RefusalKind::NotFound));
    assert!(!error.is_unknown() && !error.is_retryable());
    assert!(!session.exists("nothing").await.unwrap());
    let error = session.exec(Exec::new("no-such-program")).await.unwrap_err();
    assert_eq!(error.refusal(), Some(RefusalKind::NotFound));
    assert!(!link.is_tainted());
}

#[tokio::test]
async fn a_read_beyond_the_limit_is_refused_and_says_so() {
    let (guest, link, session) = session().await;
    guest.put("big", vec![1; 4000]);
    let defaults = Arc::new(Defaults { read_limit: 1000, ..Defaults::default() });
    let small = Session::new(Arc::clone(&link) as _, EPOCH, defaults);
    assert_eq!(small.read("big").await.unwrap_err().refusal(), Some(RefusalKind::Exhausted));
    assert_eq!(small.read_range("big", 0..2000).await.unwrap_err().refusal(), Some(RefusalKind::Exhausted));
    assert_eq!(small.read_range("big", 3500..).await.unwrap().len(), 500);
    assert_eq!(session.read("big").await.unwrap().len(), 4000);
}

#[tokio::test]
async fn exec_gives_stdin_and_keeps_the_output_up_to_its_limit() {
    let (guest, _link, session) = session().await;
    let out = session.exec(Exec::new("cat").stdin(&b"through"[..])).await.unwrap();
    assert!(out.success() && out.stdout == b"through" && !out.stdout_truncated);

    // More than both windows together, so input and output must flow at once.
    let content = megabytes(6);
    let exec = Exec::new("cat").stdin(content.clone()).output_limit(10 << 20);
    assert_eq!(session.exec(exec).await.unwrap().stdout, content);

    let out = session.exec(Exec::new("spew").args(["5000000", "1000"]).output_limit(100_000)).await.unwrap();
    assert_eq!((out.stdout.len(), out.stdout_bytes), (100_000, 5_000_000));
    assert!(out.stdout_truncated && !out.stderr_truncated);
    let out = session.exec(Exec::new("mutter").arg("3000000")).await.unwrap();
    assert!(out.stderr.len() == 1 << 20 && out.stderr_truncated && out.stdout.is_empty());

    let asked = Exec::new("cat").cwd("sub").env("LANG", "xx").env("TOKEN", "s3cret").stdin_piped();
    assert!(!format!("{asked:?}").contains("s3cret"), "P18");
    session.exec(asked).await.unwrap();
    let request = guest.seen().last_exec.unwrap();
    let lookup = |name: &str| request.env.iter().find(|(n, _)| n == name.as_bytes()).unwrap().1.clone();
    assert_eq!((lookup("LANG"), lookup("TOKEN")), (b"xx".to_vec(), b"s3cret".to_vec()));
    assert!(lookup("PATH").ends_with(b"/bin") && request.cwd == b"sub" && request.timeout_ms == Some(60_000));
}

#[tokio::test]
async fn a_stream_brings_output_takes_input_and_says_how_it_ended() {
    let (guest, link, session) = session().await;
    let mut stream = session.exec_stream(Exec::new("cat").stdin_piped()).unwrap();
    for word in ["one", "two"] {
        stream.write(word.as_bytes()).await.unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap(), Chunk::Stdout(Bytes::from(word)));
    }
    stream.close_stdin().unwrap();
    assert!(stream.next().await.is_none());
    let refused = stream.write(b"late").await.unwrap_err();
    assert_eq!(refused.refusal(), Some(RefusalKind::Invalid));
    let out = stream.wait().await.unwrap();
    assert_eq!((out.code, out.stdout_bytes, out.stdout_truncated), (Some(0), 6, false));

    let mut stream = session.exec_stream(Exec::new("hang")).unwrap();
    stream.kill(Signal::TERM).unwrap();
    let out = stream.wait().await.unwrap();
    assert_eq!((out.code, out.signal), (None, Some(15)));
    assert_eq!(guest.seen().signals, [15]);
    assert_eq!(link.operations(), 0);
}

#[tokio::test]
async fn what_may_be_secret_is_in_no_debug_output() {
    let (_guest, link, session) = session().await;
    let exec = Exec::new("cat").env("TOKEN", "p18-secret").stdin("p18-secret".repeat(200_000));
    let asked = format!("{exec:?}");
    let mut stream = session.exec_stream(exec).unwrap();
    // With a part of stdin in the socket, a part in the link's buffers and a part in the stream.
    std::future::poll_fn(|cx| {
        let _ = std::pin::pin!(stream.next()).poll(cx);
        std::task::Poll::Ready(())
    })
    .await;
    let shown = format!("{asked} {link:?} {session:?} {stream:?}");
    assert!(!shown.contains("p18-secret") && !shown.contains("112, 49, 56, 45"), "P18: {shown}");
}

#[tokio::test]
async fn stdin_can_be_written_by_another_task() {
    let (_guest, _link, session) = session().await;
    let mut stream = session.exec_stream(Exec::new("cat").stdin_piped()).unwrap();
    let mut stdin = stream.take_stdin().unwrap();
    assert!(stream.take_stdin().is_none());
    let content = megabytes(4);
    let writer = tokio::spawn({
        let content = content.clone();
        async move { stdin.write_all(&content).await }
    });
    let mut got = Vec::new();
    while let Some(chunk) = stream.next().await {
        let Chunk::Stdout(bytes) = chunk.unwrap() else { panic!("stderr of cat") };
        got.extend_from_slice(&bytes);
    }
    writer.await.unwrap().unwrap();
    assert!(got == content && stream.wait().await.unwrap().success());
}

#[tokio::test]
async fn a_stream_dropped_is_cancelled_though_its_stdin_lives_on() {
    let (guest, link, session) = session().await;
    let mut stream = session.exec_stream(Exec::new("cat").stdin_piped()).unwrap();
    let mut stdin = stream.take_stdin().unwrap();
    drop(stream);
    assert_eq!(link.operations(), 0);
    let broken = stdin.write_all(b"x").await.unwrap_err();
    assert_eq!(broken.kind(), std::io::ErrorKind::BrokenPipe);
    // The ping comes after the cancel on the same stream.
    session.ping(Duration::from_secs(5)).await.unwrap();
    assert_eq!((guest.seen().cancels, guest.seen().open), (1, 0));
    assert!(!link.is_tainted());
}

#[tokio::test]
async fn a_lease_that_ended_takes_its_streams_with_it() {
    let (guest, link, session) = session().await;
    let mut stream = session.exec_stream(Exec::new("hang")).unwrap();
    let waiting = tokio::spawn({
        let session = session.clone();
        async move { session.exec(Exec::new("hang")).await }
    });
    tokio::task::yield_now().await;
    link.end();
    link.begin(Epoch(8));
    assert!(matches!(stream.next().await, Some(Err(WireError::Ended))));
    assert!(matches!(waiting.await.unwrap(), Err(WireError::Ended)));
    assert!(matches!(session.read("x").await, Err(WireError::Ended)), "P3: a stale session");
    assert!(!link.is_tainted() && link.operations() == 0);
    let next = Session::new(Arc::clone(&link) as _, Epoch(8), Arc::new(Defaults::default()));
    next.write("x", "new").await.unwrap();
    assert_eq!((guest.seen().cancels, guest.seen().open), (2, 0));
}

#[tokio::test]
async fn a_guest_that_says_nothing_is_silent_and_the_runtime_tainted() {
    let (_guest, link, session) = session().await;
    tokio::time::pause();
    let start = tokio::time::Instant::now();
    let error = session.exec(Exec::new("hang").timeout(Duration::from_secs(3))).await.unwrap_err();
    assert!(matches!(error, WireError::Silent) && error.is_unknown());
    assert!((Duration::from_secs(3)..Duration::from_secs(5)).contains(&start.elapsed()));
    assert!(link.is_tainted());
}

#[tokio::test]
async fn a_connection_that_breaks_fails_what_is_under_way_and_nothing_that_is_done() {
    let (mine, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let link = Link::new(mine).unwrap();
    link.begin(EPOCH);
    let session = Session::new(Arc::clone(&link) as _, EPOCH, Arc::new(Defaults::default()));
    let both = tokio::spawn({
        let session = session.clone();
        async move { tokio::join!(session.read("a"), session.exec(Exec::new("b"))) }
    });
    tokio::task::yield_now().await;
    drop(theirs);
    let (read, exec) = both.await.unwrap();
    assert!(matches!(read, Err(WireError::Lost(_))) && matches!(exec, Err(WireError::Lost(_))));
    assert!(matches!(session.stat("c").await, Err(WireError::Lost(_))));
    assert!(link.is_tainted() && link.operations() == 0);
}

#[tokio::test]
async fn what_the_guest_said_last_counts_though_it_is_gone() {
    let (mine, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let link = Link::new(mine).unwrap();
    link.begin(EPOCH);
    let session = Session::new(Arc::clone(&link) as _, EPOCH, Arc::new(Defaults::default()));
    let removed = tokio::spawn({
        let session = session.clone();
        async move { session.remove("a").await }
    });
    tokio::task::yield_now().await;
    let mut answer = Vec::new();
    Reply::Done(Done::Unit).encode(1, &mut answer).unwrap();
    std::io::Write::write_all(&mut theirs, &answer).unwrap();
    drop(theirs);
    // Before anybody has read that answer, a write finds the stream closed.
    assert!(matches!(session.remove("b").await, Err(WireError::Lost(_))));
    removed.await.unwrap().unwrap();
}

#[tokio::test]
async fn more_requests_than_the_socket_takes_wait_their_turn_and_are_bounded() {
    let (mine, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let link = Link::new(mine).unwrap();
    link.begin(EPOCH);
    let session = Session::new(Arc::clone(&link) as _, EPOCH, Arc::new(Defaults::default()));
    let content = vec![1; 60 << 10];
    let mut writes = tokio::task::JoinSet::new();
    for at in 0..40 {
        let (session, content) = (session.clone(), content.clone());
        writes.spawn(async move { session.write(format!("f{at}"), content).await });
    }
    while link.operations() < 40 {
        tokio::task::yield_now().await;
    }
    // Nothing is lost or repeated when all but a few are taken back before they were sent.
    writes.abort_all();
    while writes.join_next().await.is_some() {}
    assert_eq!(link.operations(), 0);
    link.end();
    drop((session, link));
    let sent = tokio::task::spawn_blocking(move || {
        let mut all = Vec::new();
        std::io::Read::read_to_end(&mut theirs, &mut all).unwrap();
        all.len()
    });
    let sent = sent.await.unwrap();
    assert!(sent < 20 * content.len(), "{sent} bytes of 40 writes were sent or buffered");
}

#[tokio::test]
async fn a_reader_that_fails_leaves_no_file() {
    let (guest, link, session) = session().await;
    let (mut tx, rx) = tokio::io::duplex(64);
    tx.write_all(b"half").await.unwrap();
    let failing = rx.chain(failure());
    drop(tx);
    let error = session.write_from("half", failing).await.unwrap_err();
    assert!(matches!(error, WireError::Caller(_)) && !error.is_unknown());
    session.ping(Duration::from_secs(5)).await.unwrap();
    assert!(!guest.seen().files.contains_key(&b"half"[..]) && guest.seen().open == 0);
    assert!(!link.is_tainted());
}

/// A reader that only fails.
fn failure() -> impl tokio::io::AsyncRead + Unpin {
    struct Failing;
    impl tokio::io::AsyncRead for Failing {
        fn poll_read(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::task::Poll::Ready(Err(std::io::Error::other("worn out")))
        }
    }
    Failing
}

#[tokio::test]
async fn every_window_is_used_up_and_given_back() {
    let (_guest, _link, session) = session().await;
    let total = 20 * WINDOW as usize;
    let mut stream = session.exec_stream(Exec::new("spew").arg(total.to_string()).arg("5000")).unwrap();
    let mut got = 0;
    while let Some(chunk) = stream.next().await {
        let (Chunk::Stdout(bytes) | Chunk::Stderr(bytes)) = chunk.unwrap();
        got += bytes.len();
    }
    assert_eq!(got, total);
}
