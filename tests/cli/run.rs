//! `ostler run`: readiness, events, and stopping in order.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::host::{Place, Running, children, no_orphans, ostler};

#[test]
fn says_when_pools_are_ready_and_ends_well_when_told_to() {
    for signal in [Signal::TERM, Signal::INT] {
        let (_place, config) = Place::fake();
        let mut running = Running::start(ostler(["run".as_ref(), config.as_os_str()]));
        let line = running.out("pool p ready");
        assert!(line.contains("2 of up to 4 runtimes (fake)"), "{line}");
        running.signal(signal);
        let done = running.end().expect(0);
        assert!(done.stderr.contains("draining"), "{}", done.stderr);
    }
}

#[test]
fn events_are_a_json_object_a_line_to_the_last() {
    let (_place, config) = Place::fake();
    let words = ["run", "--json", "--log-level", "debug", config.to_str().unwrap()];
    let mut running = Running::start(ostler(words));
    running.err("ready, handle: fake r1");
    running.err("ready, handle: fake r2");
    running.signal(Signal::TERM);
    let done = running.end().expect(0);
    let events: Vec<Value> = done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().all(|event| event["pool"] == "p"), "{}", done.stdout);
    let has_time =
        |event: &Value| event["at"].as_str().is_some_and(|at| humantime::parse_rfc3339(at).is_ok());
    assert!(events.iter().all(has_time), "{}", done.stdout);
    let count = |name| events.iter().filter(|event| event["event"] == name).count();
    let each = ["launching", "ready", "gone", "drained"].map(count);
    assert_eq!(each, [2, 2, 2, 1], "{}", done.stdout);
}

#[test]
fn asked_for_it_says_how_the_pools_are() {
    let (_place, config) = Place::fake();
    let mut running = Running::start(ostler(["run".as_ref(), config.as_os_str()]));
    running.out("pool p ready");
    running.signal(Signal::USR1);
    let line = running.out("pool p (fake)");
    assert!(line.contains("2 of 4 runtimes"), "{line}");
    running.out("launched 2");
    running.signal(Signal::TERM);
    running.end().expect(0);

    let words = ["run", "--json", "--log-level", "debug", config.to_str().unwrap()];
    let mut running = Running::start(ostler(words));
    running.err("ready, handle: fake r2");
    let mut ask = || -> Value {
        running.signal(Signal::USR1);
        serde_json::from_str(&running.out("\"status\"")).unwrap()
    };
    let mut told = ask();
    assert_eq!((&told["status"]["pool"], &told["status"]["max"]), (&"p".into(), &4.into()));
    // One is ready a moment before its health is known.
    let begun = Instant::now();
    while told["status"]["runtimes"][0]["health"] != "healthy" {
        assert!(begun.elapsed() < Duration::from_secs(10), "{told}");
        told = ask();
    }
    running.signal(Signal::TERM);
    running.end().expect(0);
}

#[test]
fn logs_are_json_where_that_is_asked_for() {
    let (_place, config) = Place::fake();
    let words = ["run", config.to_str().unwrap(), "--log-format", "json", "--log-level", "debug"];
    let mut running = Running::start(ostler(words));
    running.out("ready");
    running.signal(Signal::TERM);
    let done = running.end().expect(0);
    for line in done.stderr.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        assert!(record["msg"].is_string() && record["level"].is_string(), "{line}");
    }
}

#[test]
fn a_second_signal_does_not_wait_for_a_runtime_that_hangs() {
    let place = Place::new();
    let config =
        place.config("shutdown_grace = \"1h\"\n[pools.p]\nmin = 1\nmax = 1\nretire_timeout = \"10m\"\n");
    let mut running = Running::start(ostler(["run".as_ref(), config.as_os_str()]));
    running.out("pool p ready");
    let own = u32::try_from(running.pid().as_raw_nonzero().get()).unwrap();
    let keepers = children(own);
    assert_eq!(keepers.len(), 1);
    let keeper = Pid::from_raw(i32::try_from(keepers[0]).unwrap()).unwrap();
    kill_process(keeper, Signal::STOP).unwrap();
    running.signal(Signal::TERM);
    running.err("draining");
    running.signal(Signal::TERM);
    running.err("stopping now");
    let done = running.end();
    assert!(done.status.is_some(), "{done:?}");
    // What it could not end it says, and it ends once it can.
    assert_eq!(done.status == Some(1), done.stderr.contains("not ended in time: p/r1 (pid "), "{done:?}");
    let _ = kill_process(keeper, Signal::CONT);
    assert!(done.took.as_secs() < 20, "{done:?}");
    no_orphans();
}

#[test]
fn nothing_is_left_of_real_runtimes() {
    let (_place, config) = Place::process();
    let mut running = Running::start(ostler(["run".as_ref(), config.as_os_str()]));
    running.out("pool p ready");
    running.signal(Signal::TERM);
    running.end().expect(0);
    no_orphans();
}

#[test]
fn killed_outright_it_takes_its_runtimes_along() {
    let (_place, config) = Place::process();
    let mut running = Running::start(ostler(["run".as_ref(), config.as_os_str()]));
    running.out("pool p ready");
    running.signal(Signal::KILL);
    assert_eq!(running.end().status, None);
    no_orphans();
}
