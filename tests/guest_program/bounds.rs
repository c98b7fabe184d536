//! P15, the guest's part: no reader that stops and no flood makes the guest grow or delays its answers.

use std::time::{Duration, Instant};

use ostler::protocol::{Input, Read, RefusalKind, Reply, Request, WINDOW};

use crate::client::{EPOCH, Guest, eventually, program_of, shell};

/// Waits until nothing more comes of an operation whose reader has stopped.
fn fill_window(guest: &mut Guest, op: u64) {
    let mut taken = 0;
    while taken < WINDOW as usize {
        match guest.data.reply(op) {
            Reply::Data(_, data) => taken += data.len(),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(taken, WINDOW as usize, "never more than the window");
}

#[test]
fn a_reader_that_stops_stops_the_writer_and_nothing_else() {
    let mut guest = Guest::start();
    guest.data.credits = false;
    let op = guest.data.open(&Request::Exec(program_of(&["head", "-c", "1073741824", "/dev/zero"])));
    fill_window(&mut guest, op);
    let before = guest.memory();
    for _ in 0..100 {
        guest.control.ping();
        assert_eq!(guest.data.shell("echo x").out, b"x\n", "other operations of the stream go on");
    }
    assert!(guest.memory() < before + 1024, "{} KiB, then {} KiB", before, guest.memory());
    guest.data.say(op, &Input::Credit(1000));
    assert!(matches!(guest.data.reply(op), Reply::Data(_, data) if data.len() == 1000));
}

#[test]
fn credit_beyond_what_was_sent_widens_nothing() {
    let mut guest = Guest::start();
    guest.data.credits = false;
    let op = guest.data.open(&Request::Exec(program_of(&["yes"])));
    guest.data.say(op, &Input::Credit(u32::MAX));
    fill_window(&mut guest, op);
    guest.data.ping();
}

#[test]
fn a_stream_nobody_reads_fills_and_the_other_goes_on() {
    let mut guest = Guest::start();
    for _ in 0..20 {
        guest.data.open(&Request::Exec(program_of(&["yes"])));
    }
    eventually("all of them run", || guest.control.ping().operations == 20);
    let before = guest.memory();
    for _ in 0..200 {
        guest.control.ping();
    }
    assert!(guest.memory() < before + 2048 && guest.memory() < 16 << 10, "{} KiB", guest.memory());
}

#[test]
fn a_flood_does_not_delay_a_ping() {
    let mut guest = Guest::start();
    for _ in 0..20 {
        let mut request = program_of(&["yes"]);
        request.output_cap = Some(0);
        guest.data.open(&Request::Exec(request));
    }
    eventually("all of them run", || guest.control.ping().operations == 20);
    let mut times: Vec<Duration> = (0..100)
        .map(|_| {
            let began = Instant::now();
            guest.control.ping();
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    // Twenty-one busy processes share the processors with the guest and with this test.
    assert!(times[50] < Duration::from_millis(100), "{:?}", times[50]);
}

#[test]
fn a_host_that_asks_and_never_reads_is_not_listened_to_for_ever() {
    let mut guest = Guest::start();
    guest.data.socket.set_write_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    let mut bytes = Vec::new();
    for op in 10..2000 {
        Request::Ping.encode(op, &mut bytes).expect("a ping");
    }
    let mut sent = 0;
    let stopped = loop {
        match std::io::Write::write(&mut guest.data.socket, &bytes) {
            Ok(count) => sent += count,
            Err(error) => break error,
        }
        assert!(sent < 64 << 20, "the guest takes requests without end");
    };
    assert_eq!(stopped.kind(), std::io::ErrorKind::WouldBlock);
    assert!(guest.memory() < 16 << 10, "{} KiB", guest.memory());
    guest.control.ping();
}

#[test]
fn more_operations_than_allowed_are_refused() {
    let mut guest = Guest::start();
    std::fs::write(guest.workspace().join("big"), vec![0; 2 * WINDOW as usize]).expect("a file");
    guest.data.credits = false;
    let read = Request::Read(Read { epoch: EPOCH, path: b"big".to_vec(), offset: 0, length: None });
    let ops: Vec<u64> = (0..300).map(|_| guest.data.open(&read)).collect();
    let mut refused = 0;
    for op in &ops[256..] {
        loop {
            match guest.data.reply(*op) {
                Reply::Failed(refusal) => {
                    assert_eq!(refusal.kind, RefusalKind::Exhausted);
                    refused += 1;
                    break;
                }
                Reply::Data(..) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(refused, 44);
    assert_eq!(guest.control.ping().operations, 256);
    for op in &ops[..256] {
        guest.data.say(*op, &Input::Cancel);
    }
    eventually("they are gone", || guest.control.ping().operations == 0);
    assert_eq!(guest.data.shell("echo again").out, b"again\n");
}

#[test]
fn input_beyond_the_window_ends_the_stream() {
    let mut guest = Guest::start();
    let mut request = shell("sleep 1000");
    request.stdin = true;
    let op = guest.data.open(&Request::Exec(request));
    let mut bytes = Vec::new();
    Input::Data(vec![0; 128 << 10]).encode(op, &mut bytes).expect("input");
    for _ in 0..16 {
        // The guest may hang up before it is all sent.
        let _sent = std::io::Write::write_all(&mut guest.data.socket, &bytes);
    }
    assert!(guest.data.next().is_none());
    assert_eq!(guest.control.ping().operations, 0);
}
