//! P3 and P11, the guest's part: a reset kills every process of the lease, wipes every writable place, and
//! from then on the lease's epoch is refused.

use std::fs;

use ostler::protocol::{Done, Input, RefusalKind, Reply, Request, Reset};
use rustix::process::{Pid, Signal, kill_process};

use crate::client::{EPOCH, Guest, is_alive, shell};
use crate::files::{read, write};

/// A request of the lease after the first reset.
fn next_lease(script: &str) -> Request {
    Request::Exec(ostler::protocol::ExecRequest { epoch: EPOCH + 1, ..shell(script) })
}

#[test]
fn all_processes_are_killed_and_everything_is_wiped() {
    let mut guest = Guest::start();
    let script = "mkdir -p deep/.hidden; echo x > deep/.hidden/f; chmod 0 deep; mkfifo pipe; ln -s / link
        setsid sh -c 'echo $$; exec sleep 1000' &
        (setsid sh -c 'echo $$; kill -STOP $$' &)
        sh -c 'trap \"\" TERM; echo $$; sleep 1000' &
        while [ $(ls -A | wc -l) -lt 3 ]; do sleep 0.01; done; sleep 0.1; chmod 0 .";
    let answer = guest.data.shell(script);
    let pids: Vec<u32> = answer.text().split_whitespace().map(|pid| pid.parse().expect("a pid")).collect();
    assert_eq!(pids.len(), 3, "{}", answer.text());
    assert!(guest.control.reset(EPOCH) >= 3);
    for pid in pids {
        assert!(!is_alive(pid), "{pid} has survived");
    }
    assert_eq!(fs::read_dir(guest.workspace()).expect("the workspace").count(), 0);
    assert_eq!(guest.control.ping().processes, 0);
    assert_eq!(guest.data.call(&next_lease("echo fresh; ls -A")).out, b"fresh\n");
}

#[test]
fn an_ended_epoch_is_refused() {
    let mut guest = Guest::start();
    assert_eq!(guest.data.call(&write("a", b"")).result, Ok(Done::Unit));
    guest.control.reset(EPOCH);
    for request in [read("a"), write("a", b""), Request::Exec(shell("true"))] {
        assert_eq!(guest.data.call(&request).refused(), RefusalKind::Stale);
        assert_eq!(guest.control.call(&request).refused(), RefusalKind::Stale);
    }
    guest.control.reset(EPOCH - 1);
    assert_eq!(guest.data.call(&read("a")).refused(), RefusalKind::Stale, "a fence is never lowered");
    assert_eq!(guest.data.call(&next_lease("exit 4")).exited().code, Some(4));
}

#[test]
fn running_operations_fail_as_stale() {
    let mut guest = Guest::start();
    let op = guest.data.open(&Request::Exec(shell("echo ready; sleep 1000")));
    assert!(matches!(guest.data.reply(op), Reply::Data(..)));
    assert!(guest.control.reset(EPOCH) >= 1);
    assert_eq!(guest.data.finish(op).refused(), RefusalKind::Stale);
    guest.data.say(op, &Input::Data(b"late".to_vec()));
    guest.data.say(op, &Input::Cancel);
    assert_eq!(guest.data.call(&next_lease("echo on")).out, b"on\n");
}

#[test]
fn ended_by_others_it_answers_nothing_for_the_outcome_is_unknown() {
    let mut guest = Guest::start();
    let op = guest.data.open(&Request::Exec(shell("echo ready; sleep 1000")));
    assert!(matches!(guest.data.reply(op), Reply::Data(..)));
    kill_process(Pid::from_raw(guest.child.id().cast_signed()).expect("a pid"), Signal::TERM)
        .expect("it is there");
    let answer = guest.data.next();
    assert!(answer.is_none(), "{answer:?}");
    guest.wait();
}

#[test]
fn a_reset_ends_whatever_keeps_forking() {
    let mut guest = Guest::start();
    let script = "cat > hop <<'E'\n#!/bin/sh\nsetsid ./hop &\nE\nchmod +x hop; ./hop >/dev/null 2>&1; ./hop >/dev/null 2>&1";
    guest.data.shell(script);
    guest.control.reset(EPOCH);
    assert_eq!(guest.control.ping().processes, 0);
    assert_eq!(fs::read_dir(guest.workspace()).expect("the workspace").count(), 0);
}

#[test]
fn links_in_the_workspace_lead_no_reset_outside() {
    let mut guest = Guest::start();
    let outside = tempfile::tempdir().expect("a directory");
    fs::write(outside.path().join("kept"), "x").expect("a file");
    std::os::unix::fs::symlink(outside.path(), guest.workspace().join("link")).expect("a link");
    guest.control.reset(EPOCH);
    assert!(outside.path().join("kept").exists());
    assert!(!guest.workspace().join("link").exists());
}

#[test]
fn a_reset_that_cannot_wipe_fails_and_nothing_is_served_after_it() {
    let mut guest = Guest::start();
    fs::remove_dir(guest.workspace()).expect("take the workspace away");
    assert_eq!(guest.control.call(&Request::Reset(Reset { fence: EPOCH })).refused(), RefusalKind::NotFound);
    assert_eq!(guest.data.call(&next_lease("true")).refused(), RefusalKind::Stale);
    fs::create_dir(guest.workspace()).expect("put it back for the clean-up");
}
