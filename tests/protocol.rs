//! The protocol: what one end writes the other reads, and nothing that arrives makes a decoder panic.

use ostler::protocol::{
    Done, Entry, ExecRequest, Exited, FileKind, Frame, FrameBuffer, HEADER, Hello, Input, Kind, List,
    MAX_PAYLOAD, Read, Refusal, RefusalKind, Remove, Reply, Request, Reset, Stat, Stream, Vitals, Welcome,
    Write,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..64)
}

fn request() -> impl Strategy<Value = Request> {
    let exec = (
        any::<u64>(),
        vec(bytes(), 0..5),
        vec((bytes(), bytes()), 0..5),
        bytes(),
        option::of(any::<u64>()),
        any::<bool>(),
        option::of(any::<u64>()),
    )
        .prop_map(|(epoch, argv, env, cwd, timeout_ms, stdin, output_cap)| {
            Request::Exec(ExecRequest { epoch, argv, env, cwd, timeout_ms, stdin, output_cap })
        });
    let write = (any::<u64>(), bytes(), any::<u32>(), bytes(), any::<bool>()).prop_map(
        |(epoch, path, mode, data, complete)| Request::Write(Write { epoch, path, mode, data, complete }),
    );
    prop_oneof![
        any::<u32>().prop_map(|version| Request::Hello(Hello { version })),
        Just(Request::Ping),
        exec,
        (any::<u64>(), bytes(), any::<u64>(), option::of(any::<u64>()))
            .prop_map(|(epoch, path, offset, length)| Request::Read(Read { epoch, path, offset, length })),
        write,
        (any::<u64>(), bytes(), any::<bool>()).prop_map(|(epoch, path, recursive)| Request::List(List {
            epoch,
            path,
            recursive
        })),
        (any::<u64>(), bytes()).prop_map(|(epoch, path)| Request::Stat { epoch, path }),
        (any::<u64>(), bytes(), any::<bool>()).prop_map(|(epoch, path, recursive)| Request::Remove(Remove {
            epoch,
            path,
            recursive
        })),
        (any::<u64>(), bytes(), any::<u32>()).prop_map(|(epoch, path, mode)| Request::MakeDir {
            epoch,
            path,
            mode
        }),
        (any::<u64>(), bytes(), bytes()).prop_map(|(epoch, path, target)| Request::Link {
            epoch,
            path,
            target
        }),
        any::<u64>().prop_map(|fence| Request::Reset(Reset { fence })),
        Just(Request::Shutdown),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        bytes().prop_map(Input::Data),
        Just(Input::End),
        any::<u32>().prop_map(Input::Credit),
        any::<u32>().prop_map(Input::Signal),
        Just(Input::Cancel),
    ]
}

fn stat() -> impl Strategy<Value = Stat> {
    let kind = prop_oneof![
        Just(FileKind::File),
        Just(FileKind::Directory),
        Just(FileKind::Symlink),
        Just(FileKind::Other)
    ];
    (kind, any::<u64>(), any::<u32>(), any::<u64>(), bytes())
        .prop_map(|(kind, size, mode, modified_ms, target)| Stat { kind, size, mode, modified_ms, target })
}

fn done() -> impl Strategy<Value = Done> {
    let exited = (option::of(any::<u32>()), option::of(any::<u32>()), any::<bool>(), any::<[u64; 4]>())
        .prop_map(|(code, signal, timed_out, [stdout_bytes, stderr_bytes, cpu_us, max_rss])| {
            Done::Exited(Exited { code, signal, timed_out, stdout_bytes, stderr_bytes, cpu_us, max_rss })
        });
    prop_oneof![
        Just(Done::Unit),
        (any::<u32>(), any::<u32>()).prop_map(|(version, pid)| Done::Welcome(Welcome { version, pid })),
        (any::<u64>(), any::<u32>(), any::<u32>(), option::of(any::<u64>())).prop_map(
            |(uptime_ms, processes, operations, service_ms)| {
                Done::Vitals(Vitals { uptime_ms, processes, operations, service_ms })
            }
        ),
        exited,
        any::<u64>().prop_map(|size| Done::Read { size }),
        stat().prop_map(Done::Stat),
        any::<u32>().prop_map(|killed| Done::Reset { killed }),
    ]
}

fn reply() -> impl Strategy<Value = Reply> {
    let kind = prop::sample::select(vec![
        RefusalKind::NotFound,
        RefusalKind::Denied,
        RefusalKind::WrongKind,
        RefusalKind::Exhausted,
        RefusalKind::Stale,
        RefusalKind::Invalid,
        RefusalKind::Failed,
    ]);
    prop_oneof![
        (prop_oneof![Just(Stream::Out), Just(Stream::Err)], bytes())
            .prop_map(|(stream, data)| Reply::Data(stream, data)),
        any::<u32>().prop_map(Reply::Credit),
        done().prop_map(Reply::Done),
        (kind, any::<u32>(), ".{0,40}").prop_map(|(kind, errno, message)| Reply::Failed(Refusal {
            kind,
            errno,
            message
        })),
    ]
}

/// Whatever any decoder makes of a frame, it answers.
fn decode_all(frame: &Frame<'_>) {
    let _ = Request::decode(frame);
    let _ = Input::decode(frame);
    let _ = Reply::decode(frame);
    let _ = Entry::decode_all(frame.payload);
}

/// Cuts bytes into frames, handed over in pieces, until they end or make no sense.
fn cut(bytes: &[u8], piece: usize) -> usize {
    let mut buffer = FrameBuffer::new();
    let mut frames = 0;
    for piece in bytes.chunks(piece) {
        buffer.extend(piece);
        loop {
            match buffer.cut() {
                Ok(Some(frame)) => {
                    decode_all(&frame);
                    frames += 1;
                }
                Ok(None) => break,
                Err(_) => return frames,
            }
        }
        assert!(buffer.pending() <= HEADER + MAX_PAYLOAD + piece.len());
    }
    frames
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn requests_arrive_as_they_were_sent(request in request(), op: u64, piece in 1usize..40) {
        let mut sent = Vec::new();
        request.encode(op, &mut sent).expect("it fits");
        let mut buffer = FrameBuffer::new();
        for piece in sent.chunks(piece) {
            prop_assert!(buffer.cut().expect("good so far").is_none());
            buffer.extend(piece);
        }
        let frame = buffer.cut().expect("good").expect("whole");
        prop_assert_eq!(frame.op, op);
        prop_assert_eq!(Request::decode(&frame), Ok(Some(request)));
        prop_assert_eq!(Input::decode(&frame), Ok(None));
    }

    #[test]
    fn inputs_and_replies_arrive_as_they_were_sent(input in input(), reply in reply(), op: u64) {
        let mut sent = Vec::new();
        input.encode(op, &mut sent).expect("it fits");
        reply.encode(op, &mut sent).expect("it fits");
        let mut buffer = FrameBuffer::new();
        buffer.extend(&sent);
        let frame = buffer.cut().expect("good").expect("whole");
        prop_assert_eq!(Input::decode(&frame), Ok(Some(input)));
        prop_assert_eq!(Request::decode(&frame), Ok(None));
        let frame = buffer.cut().expect("good").expect("whole");
        prop_assert_eq!(Reply::decode(&frame), Ok(reply));
        prop_assert_eq!(buffer.pending(), 0);
    }

    #[test]
    fn entries_arrive_as_they_were_sent(entries in vec((bytes(), stat()), 0..8)) {
        let entries: Vec<_> = entries.into_iter().map(|(path, stat)| Entry { path, stat }).collect();
        let mut sent = Vec::new();
        for entry in &entries {
            entry.encode(&mut sent);
        }
        prop_assert_eq!(Entry::decode_all(&sent), Ok(entries));
    }

    #[test]
    fn any_bytes_are_cut_without_a_panic(bytes in vec(any::<u8>(), 0..600), piece in 1usize..100) {
        cut(&bytes, piece);
    }

    #[test]
    fn any_payload_of_any_kind_is_decoded_without_a_panic(kind: u8, payload in vec(any::<u8>(), 0..300)) {
        if let Ok(kind) = Kind::from_byte(kind) {
            decode_all(&Frame { kind, op: 1, payload: &payload });
        }
    }

    #[test]
    fn mutated_frames_are_decoded_without_a_panic(
        request in request(),
        reply in reply(),
        mutations in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        end in any::<prop::sample::Index>(),
    ) {
        let mut sent = Vec::new();
        request.encode(1, &mut sent).expect("it fits");
        reply.encode(2, &mut sent).expect("it fits");
        for (at, byte) in mutations {
            let at = at.index(sent.len());
            sent[at] = byte;
        }
        cut(&sent, 7);
        cut(&sent[..end.index(sent.len())], sent.len());
    }
}

#[test]
fn a_payload_that_is_too_long_is_neither_written_nor_read() {
    let mut out = b"before".to_vec();
    assert!(Input::Data(vec![0; MAX_PAYLOAD + 1]).encode(1, &mut out).is_err());
    assert_eq!(out, b"before");
    Input::Data(vec![0; MAX_PAYLOAD]).encode(1, &mut out).expect("it just fits");
    let mut header = u32::try_from(MAX_PAYLOAD + 1).expect("it fits").to_le_bytes().to_vec();
    header.extend([Kind::Input as u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let mut buffer = FrameBuffer::new();
    buffer.extend(&header);
    assert!(buffer.cut().is_err());
}
