//! A stream begins with hello and ends cleanly whatever else is said.

use ostler::protocol::{Done, Hello, RefusalKind, Request, Reset, VERSION};

use crate::client::{Guest, shell};

#[test]
fn both_streams_are_welcomed() {
    let mut guest = Guest::start_silent();
    for client in [&mut guest.control, &mut guest.data] {
        let welcome = client.greet();
        assert_eq!(welcome.version, VERSION);
        assert_eq!(welcome.pid, guest.child.id());
    }
}

#[test]
fn another_version_is_told_so_and_sent_away() {
    let mut guest = Guest::start_silent();
    let answer = guest.data.call(&Request::Hello(Hello { version: VERSION + 1 }));
    assert_eq!(answer.refused(), RefusalKind::Invalid);
    assert!(guest.data.next().is_none(), "the stream has ended");
    guest.control.greet();
    guest.control.ping();
}

#[test]
fn who_does_not_say_hello_is_sent_away() {
    let mut guest = Guest::start_silent();
    guest.data.open(&Request::Ping);
    assert!(guest.data.next().is_none());
    guest.control.greet();
    guest.control.ping();
}

#[test]
fn the_end_of_the_control_stream_ends_the_guest_and_all_it_started() {
    let mut guest = Guest::start();
    let answer = guest.data.shell("sleep 1000 >/dev/null & echo $!");
    let sleeper: u32 = answer.text().trim().parse().expect("a pid");
    guest.control.socket.shutdown(std::net::Shutdown::Write).expect("hang up");
    assert!(guest.wait().success());
    assert!(!crate::client::is_alive(sleeper));
}

#[test]
fn the_end_of_the_data_stream_ends_its_operations_only() {
    let mut guest = Guest::start();
    let op = guest.data.open(&Request::Exec(shell("echo $$; exec sleep 1000")));
    let ostler::protocol::Reply::Data(_, pid) = guest.data.reply(op) else { panic!("no output") };
    let pid: u32 = String::from_utf8_lossy(&pid).trim().parse().expect("a pid");
    guest.data.socket.shutdown(std::net::Shutdown::Both).expect("hang up");
    crate::client::eventually("the sleeper is killed", || !crate::client::is_alive(pid));
    assert_eq!(guest.control.ping().operations, 0);
}

#[test]
fn shutdown_answers_and_ends_the_guest() {
    let mut guest = Guest::start();
    let sleeper: u32 =
        guest.data.shell("sleep 1000 >/dev/null & echo $!").text().trim().parse().expect("a pid");
    assert_eq!(guest.control.call(&Request::Shutdown).result, Ok(Done::Unit));
    assert!(guest.wait().success());
    assert!(!crate::client::is_alive(sleeper));
}

#[test]
fn only_the_control_stream_resets_and_shuts_down() {
    let mut guest = Guest::start();
    for request in [Request::Reset(Reset { fence: 0 }), Request::Shutdown] {
        assert_eq!(guest.data.call(&request).refused(), RefusalKind::Denied);
    }
}
