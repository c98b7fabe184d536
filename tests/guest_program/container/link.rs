//! The guest comes in through a socket, hears what it is to be, and serves.

use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use ostler::protocol::{ContainerSetup, Request};

use super::Newcomer;
use crate::client::{is_alive, program};

#[test]
fn it_comes_in_and_serves() {
    let newcomer = Newcomer::start(|_| {});
    let setup = newcomer.setup();
    let workspace = newcomer.workspace();
    let (report, mut guest) = newcomer.tell(&setup);
    assert_eq!(report.failure, None);
    assert_eq!(report.pid, guest.child.id());
    assert!(!report.first, "somebody else is PID 1 here");
    assert_eq!(report.uid, rustix::process::getuid().as_raw());
    guest.control.greet();
    guest.data.greet();
    assert_eq!(guest.data.shell("pwd").text().trim(), workspace.to_str().expect("text"));
    let vitals = guest.control.ping();
    assert_eq!((vitals.operations, vitals.service_ms), (0, None));
    assert_eq!(guest.control.reset(1), 0);
}

#[test]
fn the_door_may_open_after_the_guest_has_come() {
    let directory = tempfile::tempdir().expect("a directory");
    let door = directory.path().join("link");
    let mut child = Command::new(program()).arg("container").arg("--link").arg(&door).spawn().expect("start");
    // Not to wait for anything, only to make the other order likely.
    std::thread::sleep(Duration::from_millis(20));
    let listener = UnixListener::bind(&door).expect("a door");
    let (control, _) = listener.accept().expect("the guest");
    drop((control, listener));
    let status = child.wait().expect("its end");
    assert_eq!(status.code(), Some(1), "the host has gone before the setup");
}

#[test]
fn a_door_that_never_opens_is_not_waited_for_for_ever() {
    let output = Command::new(program())
        .args(["container", "--link", "/nonexistent/link"])
        .stdin(Stdio::null())
        .output()
        .expect("start");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nonexistent/link"));
}

#[test]
fn the_end_of_the_control_stream_ends_all() {
    let newcomer = Newcomer::start(|_| {});
    let setup = newcomer.setup();
    let mut guest = newcomer.serve(&setup);
    let sleeper: u32 =
        guest.data.shell("sleep 1000 >/dev/null & echo $!").text().trim().parse().expect("a pid");
    guest.control.socket.shutdown(Shutdown::Write).expect("hang up");
    assert!(guest.wait().success());
    assert!(!is_alive(sleeper));
}

#[test]
fn a_setup_that_makes_no_sense_ends_it() {
    let newcomer = Newcomer::start(|command| {
        command.stderr(Stdio::null());
    });
    let mut control = newcomer.control;
    let mut bytes = Vec::new();
    Request::Ping.encode(1, &mut bytes).expect("a ping");
    control.write_all(&bytes).expect("send it");
    let mut child = newcomer.child;
    assert_eq!(child.wait().expect("its end").code(), Some(1));
}

#[test]
fn the_engine_can_end_it_before_it_was_told_anything() {
    let mut newcomer = Newcomer::start(|_| {});
    let pid = rustix::process::Pid::from_child(&newcomer.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it is there");
    assert_eq!(newcomer.child.wait().expect("its end").code(), Some(143));
}

#[test]
fn a_setup_that_cannot_be_is_refused_in_words() {
    for (setup, about) in [
        (ContainerSetup::new("work"), "absolute"),
        (
            ContainerSetup { places: vec![b"/nonexistent".to_vec()], ..ContainerSetup::new("/tmp") },
            "/nonexistent",
        ),
        (
            ContainerSetup { places: vec![b"/".to_vec()], ..ContainerSetup::new("/tmp") },
            "no directory to wipe",
        ),
    ] {
        let (report, mut guest) = Newcomer::start(|_| {}).tell(&setup);
        let failure = report.failure.expect("a refusal");
        assert!(failure.contains(about), "{failure}");
        assert_eq!(guest.wait().code(), Some(i32::from(ostler::protocol::EXIT_NO_GUEST)));
    }
}
