//! Whatever bytes come, the guest ends that stream at worst: it neither crashes nor hangs.

use std::io::Write;
use std::net::Shutdown;

use ostler::protocol::{ExecRequest, HEADER, Hello, Input, Kind, MAX_PAYLOAD, Read, Request, VERSION};
use proptest::prelude::*;

use crate::client::{EPOCH, Guest, shell};

/// Sends bytes on a greeted data stream, hangs up, and sees that the guest ends the stream and lives on.
fn survives(bytes: &[u8]) {
    let mut guest = Guest::start();
    // It may hang up before all is sent.
    let _sent = guest.data.socket.write_all(bytes);
    let _gone = guest.data.socket.shutdown(Shutdown::Write);
    guest.data.credits = false;
    while guest.data.next().is_some() {}
    crate::client::eventually("its operations end", || guest.control.ping().operations == 0);
}

fn frame(length: u32, kind: u8, op: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend([kind, 0, 0, 0]);
    bytes.extend(op.to_le_bytes());
    bytes.extend(payload);
    bytes
}

fn requests() -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = Read { epoch: EPOCH, path: b"file".to_vec(), offset: 1, length: Some(2) };
    let exec = ExecRequest { stdin: true, timeout_ms: Some(50), ..shell("cat; sleep 0.01") };
    for (op, request) in (10..).zip([Request::Ping, Request::Read(read), Request::Exec(exec)]) {
        request.encode(op, &mut bytes).expect("a request");
    }
    for input in [Input::Data(b"abc".to_vec()), Input::Credit(5), Input::End, Input::Cancel] {
        input.encode(12, &mut bytes).expect("input");
    }
    bytes
}

#[test]
fn forged_headers_end_the_stream() {
    for bytes in [
        frame(u32::MAX, Kind::Ping as u8, 9, b""),
        frame(u32::try_from(MAX_PAYLOAD + 1).expect("fits"), Kind::Ping as u8, 9, b""),
        frame(0, 0xff, 9, b""),
        frame(0, Kind::Done as u8, 9, b"\0"),
        frame(0, Kind::Setup as u8, 9, b""),
        frame(1, Kind::Ping as u8, 9, b"x"),
        frame(4, Kind::Exec as u8, 9, &u32::MAX.to_le_bytes()),
        [0xff; HEADER].to_vec(),
    ] {
        survives(&bytes);
    }
}

#[test]
fn forged_counts_end_the_stream() {
    let mut exec = EPOCH.to_le_bytes().to_vec();
    exec.extend(u32::MAX.to_le_bytes());
    let mut path = EPOCH.to_le_bytes().to_vec();
    path.extend(1_000_000u32.to_le_bytes());
    for (kind, payload) in [(Kind::Exec, exec), (Kind::Read, path)] {
        survives(&frame(u32::try_from(payload.len()).expect("fits"), kind as u8, 9, &payload));
    }
}

#[test]
fn a_second_hello_and_a_name_in_use_end_the_stream() {
    let mut bytes = Vec::new();
    Request::Hello(Hello { version: VERSION }).encode(9, &mut bytes).expect("hello");
    survives(&bytes);
    let mut bytes = Vec::new();
    for _ in 0..2 {
        Request::Exec(shell("sleep 1000")).encode(9, &mut bytes).expect("exec");
    }
    survives(&bytes);
}

#[test]
fn half_a_frame_and_the_end() {
    let whole = requests();
    for end in [1, HEADER - 1, HEADER, HEADER + 1, whole.len() - 1] {
        survives(&whole[..end]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
        survives(&bytes);
    }

    #[test]
    fn any_payload_of_any_kind(kind in any::<u8>(), payload in prop::collection::vec(any::<u8>(), 0..512)) {
        survives(&frame(u32::try_from(payload.len()).expect("fits"), kind, 9, &payload));
    }

    #[test]
    fn mutated_requests(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = requests();
        // Not what a shell would run: that the guest does as told is no matter here.
        let at = at.index(bytes.len());
        bytes[at] = byte;
        survives(&bytes);
    }
}
