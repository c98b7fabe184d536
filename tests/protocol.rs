//! The protocol: what one end writes the other reads, and nothing that arrives makes a decoder panic.

use ostler::protocol::{
    ContainerReport, ContainerSetup, Decoder, Done, Encoder, Entry, ExecRequest, Exited, FileKind, Frame,
    FrameBuffer, HEADER, Hello, Input, Kind, List, MAX_PAYLOAD, Malformed, Read, Refusal, RefusalKind,
    Remove, Reply, Request, Reset, SECRETS_MAX, Setup, SetupFrames, SetupReport, Stat, Stream, Vitals,
    WINDOW, Welcome, Write,
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
    let mut buffer = FrameBuffer::new();
    buffer.extend(&out[6..]);
    let frame = buffer.cut().expect("good").expect("whole");
    assert_eq!(Input::decode(&frame), Ok(Some(Input::Data(vec![0; MAX_PAYLOAD]))));
    let mut header = u32::try_from(MAX_PAYLOAD + 1).expect("it fits").to_le_bytes().to_vec();
    header.extend([Kind::Input as u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let mut buffer = FrameBuffer::new();
    buffer.extend(&header);
    assert!(buffer.cut().is_err());
}

/// A sender that has a window may always send a whole frame.
const _: () = assert!(MAX_PAYLOAD <= WINDOW as usize);

#[test]
fn what_is_left_over_is_refused() {
    let frame = |kind, encode: &dyn Fn(&mut Encoder<'_>)| {
        let mut payload = Vec::new();
        encode(&mut Encoder::new(&mut payload));
        (kind, payload)
    };
    let report = |e: &mut Encoder<'_>| {
        e.u32(1).flag(true).list(&[0; 0], |_, _| {}).flag(false);
    };
    let refused = Err(Malformed("has bytes left over"));
    for (kind, mut payload) in [
        frame(Kind::Hello, &|e| {
            e.u32(1);
        }),
        frame(Kind::Ping, &|_| {}),
        frame(Kind::Stat, &|e| {
            e.u64(1).bytes(b"a");
        }),
        frame(Kind::Reset, &|e| {
            e.u64(1);
        }),
        frame(Kind::InputEnd, &|_| {}),
        frame(Kind::Signal, &|e| {
            e.u32(9);
        }),
        frame(Kind::Cancel, &|_| {}),
        frame(Kind::Done, &|e| {
            e.u8(0);
        }),
        frame(Kind::Failed, &|e| {
            e.u8(0).u32(2).bytes(b"no");
        }),
        frame(Kind::Credit, &|e| {
            e.u32(7);
        }),
        frame(Kind::SetupReport, &report),
        frame(Kind::ContainerReport, &|e| {
            e.u32(1).flag(true).u32(0).u32(0).list(&[0; 0], |_, _| {}).flag(false);
        }),
        frame(Kind::Secret, &|e| {
            e.bytes(b"name").bytes(b"value");
        }),
    ] {
        let understood = |payload: &[u8]| -> Result<(), Malformed> {
            let frame = Frame { kind, op: 1, payload };
            match kind {
                Kind::SetupReport => SetupReport::decode(&frame).map(drop),
                Kind::ContainerReport => ContainerReport::decode(&frame).map(drop),
                Kind::Secret => SetupFrames::default().take(&frame).map(drop),
                Kind::Done | Kind::Failed => Reply::decode(&frame).map(drop),
                _ => match Request::decode(&frame)? {
                    Some(_) => Ok(()),
                    None => Input::decode(&frame).map(|input| assert!(input.is_some(), "{kind:?}")),
                },
            }
        };
        assert_eq!(understood(&payload), Ok(()), "{kind:?}");
        payload.push(0);
        assert_eq!(understood(&payload), refused, "{kind:?}");
    }
}

#[test]
fn each_report_and_setup_is_told_from_all_else() {
    let frame = Frame { kind: Kind::Done, op: 0, payload: &[] };
    assert_eq!(Setup::decode(&frame), Err(Malformed("not a setup")));
    assert_eq!(SetupReport::decode(&frame), Err(Malformed("not a setup report")));
    assert_eq!(ContainerReport::decode(&frame), Err(Malformed("not a container's report")));
    assert!(SetupFrames::default().take(&frame).is_err());
    assert_eq!(Malformed("not a reply").to_string(), "malformed frame: not a reply");
}

#[test]
fn lists_are_read_up_to_the_last_byte_and_a_forged_count_reserves_nothing() {
    for items in [&b""[..], b"x", b"xyz"] {
        let mut payload = Vec::new();
        Encoder::new(&mut payload).list(items, |e, item| {
            e.u8(*item);
        });
        assert_eq!(Decoder::new(&payload).list(Decoder::u8).as_deref(), Ok(items));
        payload[0] += 1;
        let longer = Err(Malformed("list is longer than its frame"));
        assert_eq!(Decoder::new(&payload).list(Decoder::u8), longer);
    }
}

/// By which the guest refuses what comes after its lease has ended (P3).
#[test]
fn what_a_lease_asks_for_bears_its_epoch_and_nothing_else_does() {
    let (epoch, path) = (7, Vec::new);
    for request in [
        Request::Exec(ExecRequest {
            epoch,
            argv: Vec::new(),
            env: Vec::new(),
            cwd: path(),
            timeout_ms: None,
            stdin: false,
            output_cap: None,
        }),
        Request::Read(Read { epoch, path: path(), offset: 0, length: None }),
        Request::Write(Write { epoch, path: path(), mode: 0, data: Vec::new(), complete: true }),
        Request::List(List { epoch, path: path(), recursive: false }),
        Request::Stat { epoch, path: path() },
        Request::Remove(Remove { epoch, path: path(), recursive: false }),
        Request::MakeDir { epoch, path: path(), mode: 0 },
        Request::Link { epoch, path: path(), target: path() },
    ] {
        assert_eq!(request.epoch(), Some(epoch), "{request:?}");
    }
    let (hello, reset) = (Hello { version: 7 }, Reset { fence: 7 });
    for request in [Request::Hello(hello), Request::Ping, Request::Reset(reset), Request::Shutdown] {
        assert_eq!(request.epoch(), None, "{request:?}");
    }
}

#[test]
fn a_setup_takes_so_many_secrets_and_not_one_more() {
    let mut payload = Vec::new();
    Encoder::new(&mut payload).bytes(b"name").bytes(b"value");
    let secret = Frame { kind: Kind::Secret, op: 0, payload: &payload };
    let mut frames = SetupFrames::default();
    for _ in 0..SECRETS_MAX {
        assert_eq!(frames.take(&secret), Ok(None));
    }
    assert_eq!(frames.take(&secret), Err(Malformed("too many secrets")));
    let mut last = Vec::new();
    ContainerSetup::new("/work").encode(&mut last).expect("it fits");
    let mut buffer = FrameBuffer::new();
    buffer.extend(&last);
    let setup = frames.take(&buffer.cut().expect("good").expect("whole")).expect("good").expect("the last");
    assert_eq!(setup.secrets.len(), SECRETS_MAX);
}
