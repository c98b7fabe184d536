//! The guest as PID 1 of namespaces of its own, as an engine starts it; and with nothing around it but itself, as
//! in an image made from scratch.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use ostler::protocol::{
    ContainerSetup, Done, ExecRequest, Input, Read, RefusalKind, Request, Reset, Secret, Service, Write,
};
use rustix::process::{Pid, Signal, kill_process};

use super::Newcomer;
use crate::client::{EPOCH, Guest, eventually, program, program_of, shell};

/// Into namespaces as an engine makes them.
fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount", "--ipc"]);
    command
}

/// Starts the guest as PID 1 in a view of this machine's files.
fn first() -> Newcomer {
    Newcomer::start_as(|door| {
        let mut command = unshare();
        command.arg("--mount-proc").arg(program()).args(["container", "--link"]).arg(door);
        command
    })
}

/// The guest's pid as this process sees it.
fn pid_of(guest: &Guest) -> Pid {
    let outer = guest.child.id();
    let children = fs::read_to_string(format!("/proc/{outer}/task/{outer}/children")).expect("children");
    Pid::from_raw(children.trim().parse().expect("one child")).expect("a pid")
}

fn begin(newcomer: Newcomer, setup: &ContainerSetup) -> Guest {
    let (report, mut guest) = newcomer.tell(setup);
    assert_eq!(report.failure, None);
    assert_eq!((report.pid, report.first), (1, true));
    guest.control.greet();
    guest.data.greet();
    guest
}

#[test]
fn no_command_can_end_it_and_a_reset_leaves_nobody() {
    let newcomer = first();
    let setup = newcomer.setup();
    let mut guest = begin(newcomer, &setup);
    let script = "kill -KILL 1; kill -TERM 1; kill -INT 1; kill -STOP 1; kill -HUP 1; echo alive; \
                  setsid sleep 1000 & (setsid sleep 1000 &); sleep 1000 & trap '' TERM; echo $!";
    assert!(guest.data.shell(script).text().starts_with("alive\n"));
    assert_eq!(guest.control.ping().processes, 3);
    assert!(guest.control.reset(EPOCH) >= 3);
    assert_eq!(guest.control.ping().processes, 0);
    let next = ExecRequest { epoch: EPOCH + 1, ..shell("echo /proc/[0-9]*") };
    let said = guest.data.call(&Request::Exec(next)).text();
    assert_eq!(said.split_whitespace().count(), 2, "the guest and the shell: {said}");
}

/// The kernel lets whoever is the same user change these of the guest, and all that the next lease runs would have them.
#[test]
fn a_guest_that_a_lease_has_lamed_is_not_clean() {
    let own = "ulimit -f 100; renice -n 19 -p $$; ionice -c 3 -p $$; choom -p $$ -n 500";
    let lame =
        ["prlimit --pid 1 --fsize=100000", "renice -n 19 -p 1", "ionice -c 3 -p 1", "choom -p 1 -n 500"];
    for (script, is_clean) in [(own, true)].into_iter().chain(lame.map(|script| (script, false))) {
        let newcomer = first();
        let setup = newcomer.setup();
        let mut guest = begin(newcomer, &setup);
        let said = guest.data.shell(&format!("{script} && echo done")).text();
        assert!(said.ends_with("done\n"), "{script}: {said}");
        let reset = guest.control.call(&Request::Reset(Reset { fence: EPOCH })).result;
        assert_eq!(reset.is_ok(), is_clean, "{script}: {reset:?}");
    }
}

#[test]
fn the_engine_can_end_it() {
    let newcomer = first();
    let setup = newcomer.setup();
    let mut guest = begin(newcomer, &setup);
    kill_process(pid_of(&guest), Signal::TERM).expect("it is there");
    assert_eq!(guest.wait().code(), Some(0));

    let newcomer = first();
    let argv = ["sh", "-c", "trap 'exit 9' TERM; echo ready > ready; while :; do sleep 0.01; done"];
    let service = Service {
        argv: argv.map(|arg| arg.as_bytes().to_vec()).into(),
        env: Vec::new(),
        cwd: Vec::new(),
        stop_signal: 15,
        grace_ms: 10_000,
    };
    let setup = ContainerSetup { service: Some(service), ..newcomer.setup() };
    let ready = newcomer.workspace().join("ready");
    let mut guest = begin(newcomer, &setup);
    eventually("the service is ready", || ready.exists());
    kill_process(pid_of(&guest), Signal::TERM).expect("it is there");
    assert_eq!(guest.wait().code(), Some(9));
}

#[test]
fn a_timeout_kills_the_whole_tree_and_orphans_are_reaped() {
    let newcomer = first();
    let setup = newcomer.setup();
    let mut guest = begin(newcomer, &setup);
    let script =
        "(setsid sh -c 'trap \"\" TERM; sleep 1000' &) ; sh -c 'kill -STOP $$' & echo begun; sleep 1000";
    let exec = ExecRequest { timeout_ms: Some(200), ..shell(script) };
    let began = Instant::now();
    let answer = guest.data.call(&Request::Exec(exec));
    assert!(answer.exited().timed_out && answer.text() == "begun\n");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    eventually("they are gone", || guest.control.ping().processes == 0);
    // Zombies would be seen as processes.
    assert_eq!(
        guest.data.shell("i=0; while [ $i -lt 50 ]; do (sleep 0 &); i=$((i+1)); done").exited().code,
        Some(0)
    );
    eventually("its orphans are reaped", || guest.control.ping().processes == 0);
}

#[test]
fn what_is_left_in_the_ipc_namespace_goes_with_a_reset() {
    let newcomer = first();
    let setup = ContainerSetup { own_ipc: true, ..newcomer.setup() };
    let mut guest = begin(newcomer, &setup);
    let made = guest.data.shell("ipcmk -M 1000 && ipcmk -S 2 && ipcmk -Q");
    assert_eq!(made.exited().code, Some(0), "{}", String::from_utf8_lossy(&made.err));
    let count = "cat /proc/sysvipc/shm /proc/sysvipc/sem /proc/sysvipc/msg | wc -l";
    assert_eq!(guest.data.shell(count).text().trim(), "6");
    guest.control.reset(EPOCH);
    let next = ExecRequest { epoch: EPOCH + 1, ..shell(count) };
    assert_eq!(guest.data.call(&Request::Exec(next)).text().trim(), "3", "the headings");
}

/// A root with the guest in it, and nothing else but what a runtime mounts.
fn scratch() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a directory");
    // What this process holds open for writing, a child forked meanwhile does too, and then nobody can execute it.
    let copied = Command::new("cp").arg(program()).arg(root.path().join("guest")).status();
    assert!(copied.expect("cp").success());
    for directory in ["proc", "door", "tmp"] {
        fs::create_dir(root.path().join(directory)).expect("a directory");
    }
    root
}

/// The guest in such a root, with its door inside.
fn from_scratch(root: &Path) -> Newcomer {
    Newcomer::start_at(&root.join("door"), |_| {
        let mut command = unshare();
        command.arg("--mount-proc=/proc").arg("--root").arg(root);
        command.env_clear().args(["/guest", "container", "--link", "/door/link"]);
        command
    })
}

fn exec(argv: &[&str]) -> Request {
    Request::Exec(ExecRequest { env: Vec::new(), ..program_of(argv) })
}

#[test]
fn an_image_from_scratch_is_enough() {
    let root = scratch();
    let setup =
        ContainerSetup { places: vec![b"/work".to_vec(), b"/tmp".to_vec()], ..ContainerSetup::new("/work") };
    let mut guest = begin(from_scratch(root.path()), &setup);
    let write = |path: &str| {
        let path = path.as_bytes().to_vec();
        Request::Write(Write { epoch: EPOCH, path, mode: 0o644, data: b"x".to_vec(), complete: true })
    };
    for path in ["a", "deep/er/b", "/tmp/c"] {
        assert_eq!(guest.data.call(&write(path)).result, Ok(Done::Unit), "{path}");
    }
    let read = Read { epoch: EPOCH, path: b"/tmp/c".to_vec(), offset: 0, length: None };
    assert_eq!(guest.data.call(&Request::Read(read)).out, b"x");
    assert_eq!(guest.data.call(&exec(&["sh", "-c", "true"])).refused(), RefusalKind::NotFound);
    // The one program there is.
    assert_eq!(guest.data.call(&exec(&["/guest"])).exited().code, Some(2));
    let waiting = guest.data.open(&exec(&["/guest", "container", "--link", "/nowhere"]));
    guest.data.say(waiting, &Input::Cancel);
    guest.data.finish(waiting);
    assert_eq!(guest.control.ping().processes, 0);
    guest.control.reset(EPOCH);
    for place in ["work", "tmp"] {
        assert_eq!(fs::read_dir(root.path().join(place)).expect("it stays").count(), 0);
    }
}

#[test]
fn what_is_mounted_below_a_place_stays_and_only_that() {
    let root = scratch();
    let kept: PathBuf = root.path().join("run/a/kept");
    fs::create_dir_all(&kept).expect("a directory");
    fs::create_dir_all(root.path().join("work")).expect("a directory");
    // A mount of the namespaces' own, made on the way in.
    let door = root.path().join("door");
    let newcomer = Newcomer::start_at(&door, |_| {
        let mut command = unshare();
        command.arg(format!("--mount-proc={}", root.path().join("proc").display()));
        let script = "mount -t tmpfs none $0/run/a/kept && : > $0/run/a/kept/file && \
                      exec chroot $0 /guest container --link /door/link";
        command.args(["sh", "-c", script]).arg(root.path());
        command
    });
    let secret = Secret { name: b"s".to_vec(), value: b"v".to_vec() };
    let setup = ContainerSetup {
        places: vec![b"/run".to_vec(), b"/work".to_vec()],
        secrets_directory: b"/run/a/kept".to_vec(),
        secrets: vec![secret],
        ..ContainerSetup::new("/work")
    };
    let mut guest = begin(newcomer, &setup);
    let write = |path: &str| {
        let path = path.as_bytes().to_vec();
        Request::Write(Write { epoch: EPOCH, path, mode: 0o644, data: b"x".to_vec(), complete: true })
    };
    for path in ["/run/new", "/run/a/new/x", "/run/a/kept/new"] {
        assert_eq!(guest.data.call(&write(path)).result, Ok(Done::Unit), "{path}");
    }
    guest.control.reset(EPOCH);
    let mut seen = |path: &str| {
        let list = ostler::protocol::List { epoch: EPOCH + 1, path: path.into(), recursive: true };
        let mut names = Vec::new();
        let out = guest.data.call(&Request::List(list)).out;
        for entry in ostler::protocol::Entry::decode_all(&out).expect("entries") {
            names.push(String::from_utf8_lossy(&entry.path).into_owned());
        }
        names.sort_unstable();
        names
    };
    assert_eq!(seen("/run"), ["a", "a/kept"], "what leads to the mount");
    assert_eq!(seen("/run/a/kept"), ["s"], "the secret");
    assert!(seen("/work").is_empty());
}

#[test]
fn the_program_is_small() {
    let size = fs::metadata(program()).expect("the program").len();
    assert!(size <= 1_500_000, "{size} bytes");
    assert_eq!(fs::metadata(program()).expect("the program").permissions().mode() & 0o777, 0o755);
}
