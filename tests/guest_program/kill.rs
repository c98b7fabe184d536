//! P12: a timeout or a cancel kills an operation's whole tree, keeps the output so far and is back within
//! 100 ms; a held-open stdout cannot hang an operation.

use std::time::{Duration, Instant};

use ostler::protocol::{ExecRequest, Input, RefusalKind, Reply, Request};

use crate::client::{Guest, eventually, is_alive, shell};

/// Milliseconds a command may run.
const TIMEOUT: u64 = 300;

fn timed(script: &str) -> Request {
    Request::Exec(ExecRequest { timeout_ms: Some(TIMEOUT), ..shell(script) })
}

/// Pids a script left in files of its workspace.
fn pids(guest: &Guest) -> Vec<u32> {
    std::fs::read_dir(guest.workspace())
        .expect("the workspace")
        .map(|entry| std::fs::read_to_string(entry.expect("an entry").path()).expect("a pid"))
        .map(|text| text.trim().parse().expect("a number"))
        .collect()
}

#[test]
fn a_timeout_kills_sessions_orphans_and_stopped_processes_and_keeps_the_output() {
    let mut guest = Guest::start();
    let script = "echo so far
        setsid sh -c 'echo $$ > session; sleep 1000 & echo $! > below; wait' &
        (setsid sh -c 'setsid sh -c \"echo \\$\\$ > orphan; exec sleep 1000\" & exit' &)
        sh -c 'echo $$ > stopped; kill -STOP $$' &
        echo $$ > shell
        trap '' TERM HUP INT
        while [ $(ls | wc -l) -lt 5 ]; do sleep 0.01; done
        echo ready
        sleep 1000";
    let answer = guest.data.call(&timed(script));
    assert_eq!(answer.text(), "so far\nready\n");
    assert!(answer.exited().timed_out);
    assert_eq!(answer.exited().signal, Some(9));
    let pids = pids(&guest);
    assert_eq!(pids.len(), 5);
    for pid in pids {
        eventually("it is dead", || !is_alive(pid));
    }
}

/// The shortest of a few runs, because what else the machine does is not the guest's doing.
fn shortest(mut run: impl FnMut()) -> Duration {
    let times = (0..5).map(|_| {
        let began = Instant::now();
        run();
        began.elapsed()
    });
    times.min().expect("five runs")
}

#[test]
fn a_timeout_is_back_within_a_tenth_of_a_second() {
    let mut guest = Guest::start();
    let took = shortest(|| {
        let answer =
            guest.data.call(&timed("setsid sleep 1000 & (setsid sh -c 'kill -STOP $$' &) ; sleep 1000"));
        assert!(answer.exited().timed_out);
    });
    let deadline = Duration::from_millis(TIMEOUT);
    assert!(took >= deadline && took < deadline + Duration::from_millis(100), "{took:?}");
}

#[test]
fn a_timeout_leaves_other_operations_alone() {
    let mut guest = Guest::start();
    let other = guest.data.open(&Request::Exec(shell("setsid sleep 1000 & echo $! ; wait")));
    let Reply::Data(_, pid) = guest.data.reply(other) else { panic!("no output") };
    let pid: u32 = String::from_utf8_lossy(&pid).trim().parse().expect("a pid");
    assert!(guest.data.call(&timed("sleep 1000")).exited().timed_out);
    assert!(is_alive(pid));
    guest.data.say(other, &Input::Cancel);
    guest.data.finish(other);
    eventually("it is dead", || !is_alive(pid));
}

#[test]
fn a_command_that_ends_in_time_is_not_timed_out() {
    let mut guest = Guest::start();
    let answer = guest.data.call(&timed("exit 3"));
    assert_eq!((answer.exited().code, answer.exited().timed_out), (Some(3), false));
}

#[test]
fn a_reader_that_takes_nothing_does_not_delay_a_timeout() {
    let mut guest = Guest::start();
    guest.data.credits = false;
    let took = shortest(|| assert!(guest.data.call(&timed("yes")).exited().timed_out));
    assert!(took < Duration::from_millis(TIMEOUT + 100), "{took:?}");
}

#[test]
fn a_held_open_stdout_does_not_hang_a_command() {
    let mut guest = Guest::start();
    let began = Instant::now();
    let answer = guest.data.shell("echo before; sleep 1000 & echo $!");
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(answer.exited().code, Some(0));
    let text = answer.text();
    let (before, pid) = text.trim().split_once('\n').expect("two lines");
    assert_eq!(before, "before");
    assert!(is_alive(pid.parse().expect("a pid")), "what a command leaves behind lives until the reset");
}

#[test]
fn a_background_process_that_still_writes_is_not_killed_by_its_closed_output() {
    let mut guest = Guest::start();
    let script = "sh -c 'head -c 1000000 /dev/zero; echo survived > proof' & echo started";
    let answer = guest.data.shell(script);
    assert!(answer.text().starts_with("started") || answer.out.ends_with(b"started\n"));
    eventually("it writes all of it", || guest.workspace().join("proof").exists());
}

#[test]
fn what_is_in_the_pipes_at_the_end_is_delivered() {
    let mut guest = Guest::start();
    for _ in 0..20 {
        let answer = guest.data.shell("head -c 60000 /dev/zero; sleep 1000 & exit");
        assert_eq!(answer.out.len(), 60_000);
    }
}

#[test]
fn a_cancel_kills_the_tree_and_is_answered_when_it_is_gone() {
    let mut guest = Guest::start();
    let script = "setsid sh -c 'echo $$ > session; exec sleep 1000' &
        echo $$ > shell; while [ $(ls | wc -l) -lt 2 ]; do sleep 0.01; done; echo ready; sleep 1000";
    let op = guest.data.open(&Request::Exec(shell(script)));
    assert!(matches!(guest.data.reply(op), Reply::Data(..)));
    guest.data.say(op, &Input::Cancel);
    assert_eq!(guest.data.finish(op).refused(), RefusalKind::Failed);
    for pid in pids(&guest) {
        eventually("it is dead", || !is_alive(pid));
    }
    assert_eq!(guest.control.ping().operations, 0);
}

#[test]
fn a_swarm_that_keeps_forking_is_killed() {
    let mut guest = Guest::start();
    // Each generation is a session of its own and dies as soon as the next one lives.
    let script = "cat > hop <<'E'\n#!/bin/sh\n[ -e stop ] || setsid ./hop &\nE\nchmod +x hop; ./hop; ./hop; sleep 1000";
    let answer = guest.data.call(&timed(script));
    assert!(answer.exited().timed_out);
    eventually("the swarm is gone", || guest.control.ping().processes == 0);
}
