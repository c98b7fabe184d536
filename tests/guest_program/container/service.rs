//! The image's own program, run and watched by the guest.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use ostler::protocol::{ContainerSetup, Done, ExecRequest, Request, Reset, Service};
use rustix::process::{Pid, Signal, kill_process};

use super::{Newcomer, names};
use crate::client::{EPOCH, Guest, eventually, is_alive, shell};

fn service(script: &str) -> Service {
    Service {
        argv: ["sh", "-c", script].map(|arg| arg.as_bytes().to_vec()).into(),
        env: vec![(b"OF_SERVICE".to_vec(), b"yes".to_vec())],
        cwd: Vec::new(),
        stop_signal: 15,
        grace_ms: 10_000,
    }
}

fn start(service: Service) -> Guest {
    start_with(service, |command| {
        command.stdout(Stdio::null()).stderr(Stdio::null());
    })
}

fn start_with(service: Service, prepare: impl FnOnce(&mut std::process::Command)) -> Guest {
    let newcomer = Newcomer::start(prepare);
    let setup = ContainerSetup { service: Some(service), ..newcomer.setup() };
    newcomer.serve(&setup)
}

fn signal(guest: &Guest, signal: Signal) {
    let pid = Pid::from_raw(guest.child.id().cast_signed()).expect("a pid");
    kill_process(pid, signal).expect("the guest is there");
}

/// Waits for the line that a service writes into its workspace, or beside it, when it is ready.
fn said(file: &Path) -> String {
    let mut said = String::new();
    eventually("the service says something", || {
        said = fs::read_to_string(file).unwrap_or_default();
        said.ends_with('\n')
    });
    said.trim().to_owned()
}

fn pid_in(file: &Path) -> u32 {
    said(file).parse().expect("a pid")
}

const READY: &str = "echo $$ > ../pid";

fn pid_file(guest: &Guest) -> std::path::PathBuf {
    guest.workspace().join("pid")
}

#[test]
fn it_runs_beside_the_operations_and_writes_to_the_engine_s_log() {
    let mut guest = start_with(
        service(&format!("echo $OF_SERVICE $PWD; echo wrong >&2; {READY}; exec sleep 1000")),
        |command| {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        },
    );
    let pid = pid_in(&pid_file(&guest));
    assert!(is_alive(pid));
    assert_eq!(guest.data.shell("echo ${OF_SERVICE-no}").text(), "no\n", "its variables are its own");
    let vitals = guest.control.ping();
    assert!(vitals.service_ms.is_some() && vitals.processes >= 1, "{vitals:?}");
    let workspace = guest.workspace().join("work");
    guest.control.socket.shutdown(std::net::Shutdown::Write).expect("hang up");
    assert_eq!(guest.wait().code(), Some(137), "it was killed");
    assert!(!is_alive(pid));
    let (mut out, mut err) = (String::new(), String::new());
    guest.child.stdout.take().expect("a pipe").read_to_string(&mut out).expect("its output");
    guest.child.stderr.take().expect("a pipe").read_to_string(&mut err).expect("its errors");
    assert_eq!((out, err.as_str()), (format!("yes {}\n", workspace.display()), "wrong\n"));
}

#[test]
fn its_end_is_the_guest_s_with_its_status() {
    for (script, status) in [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137), ("kill -USR1 $$", 138)] {
        // It waits for its cue, so that the guest is greeted before it is gone.
        let mut guest = start(service(&format!(
            "sleep 1000 & echo $! > ../pid; while [ ! -e cue ]; do sleep 0.01; done; {script}"
        )));
        let other = pid_in(&pid_file(&guest));
        // Its answer may not come any more.
        guest.data.open(&Request::Exec(shell("touch cue")));
        assert_eq!(guest.wait().code(), Some(status), "{script}");
        assert!(!is_alive(other), "what it left is gone too");
        assert!(guest.control.next().is_none());
    }
}

#[test]
fn a_term_is_passed_on_and_its_answer_awaited() {
    let mut guest = start(service(&format!(
        "trap 'sleep 0.1; echo bye > ../bye; exit 3' TERM; {READY}; while :; do sleep 0.01; done"
    )));
    pid_in(&pid_file(&guest));
    signal(&guest, Signal::TERM);
    assert_eq!(guest.wait().code(), Some(3));
    assert_eq!(said(&guest.workspace().join("bye")), "bye");
}

#[test]
fn who_does_not_heed_a_term_is_killed_after_the_grace() {
    let heedless = format!("trap '' TERM; {READY}; while :; do sleep 0.01; done");
    let mut guest = start(Service { grace_ms: 150, ..service(&heedless) });
    pid_in(&pid_file(&guest));
    let began = Instant::now();
    signal(&guest, Signal::TERM);
    assert_eq!(guest.wait().code(), Some(137));
    assert!(began.elapsed() >= Duration::from_millis(150), "{:?}", began.elapsed());
}

#[test]
fn told_twice_it_waits_for_nothing() {
    let mut guest =
        start(service(&format!("trap 'echo heard > ../heard' TERM; {READY}; while :; do sleep 0.01; done")));
    pid_in(&pid_file(&guest));
    let began = Instant::now();
    signal(&guest, Signal::TERM);
    said(&guest.workspace().join("heard"));
    signal(&guest, Signal::TERM);
    assert_eq!(guest.wait().code(), Some(137));
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
}

#[test]
fn the_image_s_own_stop_signal_is_sent_and_other_signals_pass() {
    let script = format!(
        "trap 'exit 4' QUIT; trap 'exit 5' TERM; trap 'echo hup > ../hup' HUP; {READY}; while :; do sleep 0.01; done"
    );
    let mut guest = start(Service { stop_signal: 3, ..service(&script) });
    pid_in(&pid_file(&guest));
    signal(&guest, Signal::HUP);
    assert_eq!(said(&guest.workspace().join("hup")), "hup");
    signal(&guest, Signal::TERM);
    assert_eq!(guest.wait().code(), Some(4));
}

#[test]
fn a_shutdown_asks_it_to_end_first() {
    let mut guest = start(service(&format!("trap 'exit 0' TERM; {READY}; while :; do sleep 0.01; done")));
    pid_in(&pid_file(&guest));
    assert_eq!(guest.control.call(&Request::Shutdown).result, Ok(Done::Unit));
    assert_eq!(guest.wait().code(), Some(0));
}

#[test]
fn a_command_cannot_tell_the_guest_to_end() {
    let newcomer = Newcomer::start(|_| {});
    let setup = newcomer.setup();
    let mut guest = newcomer.serve(&setup);
    let script = format!("kill -TERM {0}; kill -INT {0}; kill -HUP {0}; echo sent", guest.child.id());
    assert_eq!(guest.data.shell(&script).text(), "sent\n");
    guest.control.ping();
    assert_eq!(guest.data.shell("echo on").text(), "on\n");
    signal(&guest, Signal::TERM);
    assert_eq!(guest.wait().code(), Some(0));
}

#[test]
fn a_reset_starts_it_anew_in_a_clean_place() {
    let mut guest = start(service("ls -A > ../found; echo $$ >> ../found; touch left; exec sleep 1000"));
    let found = guest.workspace().join("found");
    let mut before = 0;
    for epoch in EPOCH..=3 {
        let mut lines = Vec::new();
        eventually("a new one is ready", || {
            lines = fs::read_to_string(&found).unwrap_or_default().lines().map(str::to_owned).collect();
            guest.workspace().join("work/left").exists()
                && lines.last().is_some_and(|pid| pid != &before.to_string())
        });
        assert_eq!(lines.len(), 1, "it found something: {lines:?}");
        before = lines[0].parse::<u32>().expect("a pid");
        let exec = ExecRequest { epoch, ..shell("touch rubbish; setsid sleep 1000 >/dev/null 2>&1 &") };
        assert_eq!(guest.data.call(&Request::Exec(exec)).exited().code, Some(0));
        assert!(guest.control.reset(epoch) >= 2);
        assert!(!is_alive(before));
        assert!(!names(&guest.workspace().join("work")).contains(&"rubbish".to_owned()));
        assert!(guest.control.ping().service_ms.is_some());
    }
}

#[test]
fn a_service_that_cannot_start_is_reported() {
    let newcomer = Newcomer::start(|_| {});
    let service = Service { argv: vec![b"/nonexistent/server".to_vec()], ..service("") };
    let setup = ContainerSetup { service: Some(service), ..newcomer.setup() };
    let (report, mut guest) = newcomer.tell(&setup);
    let failure = report.failure.expect("a refusal");
    assert!(failure.contains("/nonexistent/server") && failure.contains("service"), "{failure}");
    assert_eq!(guest.wait().code(), Some(126));
}

#[test]
fn a_service_that_cannot_start_again_fails_the_reset() {
    let newcomer = Newcomer::start(|_| {});
    let program = newcomer.directory.path().join("server");
    std::os::unix::fs::symlink("/bin/sleep", &program).expect("a link");
    let argv = vec![program.clone().into_os_string().into_encoded_bytes(), b"1000".to_vec()];
    let setup = ContainerSetup { service: Some(Service { argv, ..service("") }), ..newcomer.setup() };
    let mut guest = newcomer.serve(&setup);
    fs::remove_file(program).expect("take it away");
    let refusal = guest.control.call(&Request::Reset(Reset { fence: EPOCH })).result.expect_err("no reset");
    assert!(refusal.message.contains("service"), "{refusal:?}");
    let exec = ExecRequest { epoch: EPOCH + 1, ..shell("true") };
    assert!(guest.data.call(&Request::Exec(exec)).result.is_err(), "nothing is served after it");
}
