//! The guest is not believed: whatever it sends, the link answers with an error or goes on, in bounded memory
//! and without a panic or a hang.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use ostler::guest::{Defaults, Exec, Link, Session, Wire, WireError};
use ostler::model::Epoch;
use ostler::protocol::{Done, Exited, HEADER, Kind, Reply, Stream, WINDOW, encode_frame};
use proptest::prelude::*;
use tokio::runtime::Builder;

/// Sends `bytes` to a link with a read and a command under way, and answers what the two say. When `closed`,
/// the stream is closed after them.
fn offer(bytes: Vec<u8>, ends: Ends) -> (Result<Vec<u8>, WireError>, Option<WireError>, bool) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (mine, theirs) = UnixStream::pair().unwrap();
        let link = Link::new(mine).unwrap();
        link.begin(Epoch(1));
        let session = Session::new(Arc::clone(&link) as _, Epoch(1), Arc::new(Defaults::default()));
        let writer = std::thread::spawn(move || {
            // The link hangs up on nonsense.
            let _ = (&theirs).write_all(&bytes);
            theirs
        });
        let both = async { tokio::join!(session.read("a"), session.exec(Exec::new("b"))) };
        let (read, exec) = match ends {
            Ends::Closed => {
                let closed = async {
                    let theirs = tokio::task::spawn_blocking(|| writer.join().unwrap()).await.unwrap();
                    drop(theirs);
                };
                tokio::time::timeout(Duration::from_secs(20), async { tokio::join!(both, closed).0 })
                    .await
                    .expect("an answer")
            }
            Ends::Open => {
                let result = tokio::time::timeout(Duration::from_secs(20), both).await.expect("an answer");
                drop(writer.join().unwrap());
                result
            }
        };
        assert_eq!(link.operations(), 0);
        (read, exec.err(), link.is_tainted())
    })
}

#[derive(Clone, Copy)]
enum Ends {
    Open,
    Closed,
}

/// One frame as a hostile guest may make it.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![8 => 0x80_u8..=0x82, 1 => Just(0x42_u8), 1 => any::<u8>()];
    let op = prop_oneof![8 => 1_u64..=3, 1 => any::<u64>()];
    let payload = prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..40),
        4 => proptest::collection::vec(any::<u8>(), 1..600).prop_map(|mut bytes| { bytes[0] &= 1; bytes }),
        2 => (any::<u32>(), 0_u8..8).prop_map(|(n, tag)| [&[tag][..], &n.to_le_bytes()].concat()),
    ];
    (kind, op, payload).prop_map(|(kind, op, payload)| {
        let mut out = u32::try_from(payload.len()).unwrap().to_le_bytes().to_vec();
        out.extend_from_slice(&[kind, 0, 0, 0]);
        out.extend_from_slice(&op.to_le_bytes());
        out.extend_from_slice(&payload);
        out
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_at_all(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let (read, exec, _) = offer(bytes, Ends::Closed);
        prop_assert!(read.is_err() && exec.is_some());
    }

    #[test]
    fn any_frames_at_all(frames in proptest::collection::vec(frame(), 0..60)) {
        let (read, exec, tainted) = offer(frames.concat(), Ends::Closed);
        // The stream is closed after them, so whatever was not answered is unknown.
        prop_assert!(tainted || (read.is_ok() && exec.is_none()) , "untainted: {read:?} {exec:?}");
    }
}

fn frames(each: impl IntoIterator<Item = (u64, Reply)>) -> Vec<u8> {
    let mut out = Vec::new();
    for (op, reply) in each {
        reply.encode(op, &mut out).unwrap();
    }
    out
}

fn data(count: usize) -> Reply {
    Reply::Data(Stream::Out, vec![0; count])
}

/// Both operations fail with a protocol error, though the guest keeps the stream open.
fn hangs_up(bytes: Vec<u8>) {
    let (read, exec, tainted) = offer(bytes, Ends::Open);
    assert!(matches!(read, Err(WireError::Protocol(_))), "{read:?}");
    assert!(matches!(exec, Some(WireError::Protocol(_))), "{exec:?}");
    assert!(tainted);
}

#[test]
fn a_forged_operation() {
    hangs_up(frames([(99, data(1))]));
    hangs_up(frames([(u64::MAX, Reply::Done(Done::Unit))]));
}

#[test]
fn more_than_the_window() {
    // Nobody polls a third operation's replies here, so it is the stream's window alone that bounds it.
    let (mine, mut theirs) = UnixStream::pair().unwrap();
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let _inside = runtime.enter();
    let link = Link::new(mine).unwrap();
    link.begin(Epoch(1));
    let session = Session::new(Arc::clone(&link) as _, Epoch(1), Arc::new(Defaults::default()));
    let stream = session.exec_stream(Exec::new("flood")).unwrap();
    let piece = frames([(1, data(60_000))]);
    let mut sent = 0;
    while theirs.write_all(&piece).is_ok() {
        sent += 60_000;
        assert!(sent < 4 * WINDOW as usize, "it takes {sent} bytes that nobody asked for");
    }
    let error = runtime.block_on(stream.wait()).unwrap_err();
    assert!(matches!(error, WireError::Protocol(_)), "{error:?}");
}

#[test]
fn nothing_as_data_and_credit_for_nothing() {
    let mut empty = Vec::new();
    encode_frame(&mut empty, Kind::Data, 1, |out| out.push(0)).unwrap();
    hangs_up(empty);
    hangs_up(frames([(1, Reply::Credit(0))]));
    hangs_up(frames([(1, Reply::Credit(1))]));
}

#[test]
fn an_answer_after_the_end() {
    let twice = frames([(1, Reply::Done(Done::Read { size: 0 })), (1, Reply::Done(Done::Read { size: 0 }))]);
    let (read, exec, tainted) = offer(twice, Ends::Open);
    assert!(read.is_ok_and(|content| content.is_empty()));
    assert!(matches!(exec, Some(WireError::Protocol(_))) && tainted);
}

#[test]
fn an_answer_to_another_question_taints_the_runtime() {
    let exited = Done::Exited(Exited { code: Some(0), ..Exited::default() });
    let (read, exec, tainted) =
        offer(frames([(1, Reply::Done(Done::Unit)), (2, Reply::Done(exited))]), Ends::Open);
    assert!(matches!(read, Err(WireError::Protocol(_))) && exec.is_none() && tainted);
}

#[test]
fn more_output_than_was_asked_for() {
    let limit = usize::try_from(Defaults::default().output_limit).unwrap();
    let flood = (0..=limit / 1000).map(|_| (2, data(1000)));
    let end = (1, Reply::Done(Done::Read { size: 0 }));
    let (_, exec, tainted) = offer(frames(std::iter::once(end).chain(flood)), Ends::Open);
    assert!(matches!(exec, Some(WireError::Protocol(_))) && tainted, "{exec:?}");
}

#[test]
fn a_frame_that_is_too_long() {
    let mut header = vec![0; HEADER];
    header[..4].copy_from_slice(&u32::MAX.to_le_bytes());
    header[4] = Kind::Data as u8;
    header[8] = 1;
    hangs_up(header);
}

#[test]
fn talk_about_operations_that_are_over_is_bounded() {
    let (mine, mut theirs) = UnixStream::pair().unwrap();
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let _inside = runtime.enter();
    let link = Link::new(mine).unwrap();
    link.begin(Epoch(1));
    let session = Session::new(Arc::clone(&link) as _, Epoch(1), Arc::new(Defaults::default()));
    drop(session.exec_stream(Exec::new("gone")).unwrap());
    let piece = frames([(1, data(60_000))]);
    let mut sent = 0;
    while theirs.write_all(&piece).is_ok() {
        sent += 60_000;
        assert!(sent < 5 * WINDOW as usize, "it listens to {sent} bytes about an operation that is over");
    }
    assert!(sent > WINDOW as usize, "a window may have been on its way");
    assert!(matches!(runtime.block_on(session.read("x")), Err(WireError::Protocol(_))));
}
