//! P17: what a sandbox keeps its commands from. Each test tries to get out in one way.
//!
//! All of it runs as whoever runs the tests; as root, once more as an ordinary user.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "sandbox/mod.rs"]
mod sandbox;

use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use ostler::guest::Exec;
use ostler::model::{IsolationLevel, Limits, NetworkAccess, ProcessSpec};
use sandbox::{Runtime, again_as_an_ordinary_user, is_root, limits, spec};

async fn sandboxed() -> Runtime {
    Runtime::start(IsolationLevel::Auto).await
}

async fn basic() -> Runtime {
    Runtime::start(IsolationLevel::Basic).await
}

/// A script that makes one system call and prints the number of its error, or 0.
fn call(number: u32, args: &str) -> String {
    format!(
        "perl -e '$! = 0; my $b = chr(0) x 16; my $r = syscall({number}, {args}); print $r < 0 ? $! + 0 : 0'"
    )
}

const EPERM: &str = "1";
const ENOSYS: &str = "38";
const EAFNOSUPPORT: &str = "97";

#[test]
fn the_same_as_an_ordinary_user() {
    again_as_an_ordinary_user("the_same_as_an_ordinary_user");
}

#[tokio::test]
async fn nothing_but_loopback_is_on_the_network() {
    let runtime = sandboxed().await;
    let devices = runtime.says("tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '").await;
    assert_eq!(devices, "lo");
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = host.local_addr().unwrap().port();
    runtime.refuses(&format!("bash -c 'echo > /dev/tcp/127.0.0.1/{port}'")).await;
    runtime.refuses("timeout 2 bash -c 'echo > /dev/tcp/192.0.2.1/80'").await;
    // The sandbox's own loopback is there.
    let refused = runtime.refuses("bash -c 'echo > /dev/tcp/127.0.0.1/1'").await;
    assert!(refused.contains("refused"), "{refused}");
    runtime.end().await;
}

#[tokio::test]
async fn the_hosts_network_is_there_when_it_is_asked_for() {
    let spec = ProcessSpec { network: NetworkAccess::Host, ..ProcessSpec::default() };
    let runtime = Runtime::with(&spec, &limits()).await;
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = host.local_addr().unwrap().port();
    runtime.says(&format!("bash -c 'echo > /dev/tcp/127.0.0.1/{port}'")).await;
    runtime.end().await;
}

#[tokio::test]
async fn abstract_sockets_of_the_host_are_out_of_reach() {
    use std::os::linux::net::SocketAddrExt;
    let name = format!("ostler-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let _host = UnixDatagram::bind_addr(&address).unwrap();
    let connect = format!(
        "perl -MSocket -e 'socket(S, AF_UNIX, SOCK_DGRAM, 0) or exit 3; \
         connect(S, pack(\"S a*\", AF_UNIX, \"\\0{name}\")) or do {{ print $!; exit 1 }}'"
    );
    for network in [NetworkAccess::None, NetworkAccess::Host] {
        let spec = ProcessSpec { network, ..ProcessSpec::default() };
        let runtime = Runtime::with(&spec, &limits()).await;
        let said = runtime.refuses(&connect).await;
        assert!(said.contains("refused") || said.contains("not permitted"), "{said}");
        runtime.end().await;
    }
}

#[tokio::test]
async fn families_of_sockets_that_leave_the_namespace_are_refused() {
    let runtime = sandboxed().await;
    for (family, name) in [(40, "vsock"), (38, "alg"), (17, "packet"), (31, "bluetooth")] {
        assert_eq!(runtime.says(&call(41, &format!("{family}, 1, 0"))).await, EAFNOSUPPORT, "{name}");
    }
    runtime.end().await;
}

#[tokio::test]
async fn processes_and_files_of_the_host_are_out_of_sight() {
    let runtime = sandboxed().await;
    let pids = runtime.says("ls /proc | grep -c '^[0-9]*$'").await;
    assert!(pids.parse::<u32>().unwrap() < 10, "{pids} processes in sight");
    for path in
        ["/root", "/home", "/var", "/sys", "/boot", "/etc/shadow", "/dev/vda", "/dev/kmsg", "/dev/mem"]
    {
        runtime.refuses(&format!("test -e {path}")).await;
    }
    let directories = runtime.says("ls -A / | tr '\\n' ' '").await;
    for seen in directories.split_whitespace() {
        let known =
            ["bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "tmp", "usr", "work"];
        assert!(known.contains(&seen), "/{seen}");
    }
    runtime.end().await;
}

#[tokio::test]
async fn only_the_writable_places_can_be_written() {
    let runtime = sandboxed().await;
    for place in ["/work", "/tmp", "/dev/shm", "."] {
        runtime.says(&format!("echo > {place}/file && mkdir {place}/directory && rm -r {place}/*")).await;
    }
    for place in ["/", "/usr", "/usr/bin", "/etc", "/dev", "/bin", "/proc", "/proc/self"] {
        runtime.refuses(&format!("touch {place}/file")).await;
    }
    for file in ["/etc/passwd", "/usr/bin/env", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger"] {
        runtime.refuses(&format!("echo > {file}")).await;
    }
    for device in ["/dev/null", "/dev/full", "/dev/stdout"] {
        runtime.sh(&format!("echo > {device}")).await;
    }
    runtime.says("echo > /dev/null").await;
    runtime.refuses("mknod /work/device c 1 3").await;
    runtime.end().await;
}

#[tokio::test]
async fn writable_places_are_sized() {
    let spec = ProcessSpec { workspace_size: 512 << 10, tmp_size: 256 << 10, ..ProcessSpec::default() };
    let runtime = Runtime::with(&spec, &Limits { file_size: None, ..limits() }).await;
    for (place, size) in [("/work", 512 << 10), ("/tmp", 256 << 10), ("/dev/shm", 256 << 10)] {
        runtime.refuses(&format!("head -c 2000000 /dev/zero > {place}/file")).await;
        let written: u64 = runtime.says(&format!("stat -c %s {place}/file")).await.parse().unwrap();
        assert!(written <= size, "{place}: {written}");
        runtime.says(&format!("rm {place}/file")).await;
    }
    runtime.end().await;
}

#[tokio::test]
async fn there_are_no_capabilities_and_none_to_be_had() {
    for runtime in [sandboxed().await, basic().await] {
        let status = runtime.says("grep -E '^(Cap...|NoNewPrivs|Seccomp):' /proc/self/status").await;
        for line in status.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()) {
            match line[..] {
                // As an ordinary user without namespaces it can't be emptied, and gives nothing.
                ["CapBnd:", _] if !is_root() => {}
                [name, value] if name.starts_with("Cap") => assert_eq!(value, "0000000000000000", "{name}"),
                ["NoNewPrivs:", value] => assert_eq!(value, "1"),
                ["Seccomp:", value] => assert_eq!(value, "2"),
                _ => panic!("{line:?}"),
            }
        }
        assert_ne!(runtime.says("id -u").await, "0");
        assert_eq!(
            runtime.says("cp /usr/bin/id . && chmod u+s id && ./id -u").await,
            runtime.says("id -u").await
        );
        runtime.end().await;
    }
}

#[tokio::test]
async fn processes_are_limited() {
    let mut runtime = sandboxed().await;
    let bomb = "for i in $(seq 100); do sleep 100 & done; jobs -p | wc -l";
    let (_, said) = runtime.sh(bomb).await;
    assert!(said.contains("fork"), "100 processes with a limit of 32: {said}");
    // The guest is not among those that run out: it can still clean up and serve.
    assert_eq!(runtime.reset().await, Ok(()));
    assert_eq!(runtime.says("echo served").await, "served");
    runtime.end().await;
}

#[tokio::test]
async fn memory_is_limited() {
    let runtime = sandboxed().await;
    runtime.refuses("head -c 300M /dev/zero | tail > /dev/null; exit ${PIPESTATUS:-$?}").await;
    assert_eq!(runtime.says("head -c 1M /dev/zero | tail | wc -c").await, "1048576");
    runtime.end().await;
}

#[tokio::test]
async fn files_and_descriptors_are_limited() {
    for runtime in [sandboxed().await, basic().await] {
        runtime.refuses("head -c 2M /dev/zero > file").await;
        assert_eq!(runtime.says("stat -c %s file").await, "1048576");
        // Also for what the guest itself writes.
        assert!(runtime.session().write("big", vec![0; 2 << 20]).await.is_err());
        assert_eq!(runtime.says("ulimit -n").await, "64");
        runtime.refuses("ulimit -n 65").await;
        assert_eq!(runtime.says("ulimit -c").await, "0");
        runtime.end().await;
    }
}

#[tokio::test]
#[cfg(target_arch = "x86_64")]
async fn system_calls_that_lead_out_are_refused() {
    let runtime = sandboxed().await;
    let refused = [
        (165, "0, 0, 0, 0, 0", "mount"),
        (166, "0, 0", "umount2"),
        (155, "0, 0", "pivot_root"),
        (161, "0", "chroot"),
        (308, "0, 0", "setns"),
        (272, "0x10000000", "unshare"),
        (56, "0x10000011, 0, 0, 0, 0", "clone with a namespace"),
        (428, "-100, 0, 1", "open_tree"),
        (430, "0, 0", "fsopen"),
        (248, "0, 0, 0, 0, 0", "add_key"),
        (250, "0, 0, 0, 0, 0", "keyctl"),
        (321, "0, 0, 0", "bpf"),
        (298, "0, 0, 0, 0, 0", "perf_event_open"),
        (101, "0, 0, 0, 0", "ptrace"),
        (310, "1, 0, 0, 0, 0, 0", "process_vm_readv"),
        (246, "0, 0, 0, 0", "kexec_load"),
        (175, "0, 0, 0", "init_module"),
        (169, "0, 0, 0, 0", "reboot"),
        (167, "0, 0", "swapon"),
        (103, "2, 0, 0", "syslog"),
        (163, "0", "acct"),
        (227, "0, 0", "clock_settime"),
        (172, "3", "iopl"),
        (323, "0", "userfaultfd"),
        (304, "0, 0, 0", "open_by_handle_at"),
        (300, "0, 0", "fanotify_init"),
        (135, "0x40000", "personality without random addresses"),
        (16, "0, 0x5412, 0", "TIOCSTI"),
        (434, "1, 0", "pidfd_open of the guest"),
    ];
    for (number, args, name) in refused {
        assert_eq!(runtime.says(&call(number, args)).await, EPERM, "{name}");
    }
    for (number, name) in [(435, "clone3"), (425, "io_uring_setup")] {
        assert_eq!(runtime.says(&call(number, "0, 0")).await, ENOSYS, "{name}");
    }
    runtime.end().await;
}

#[tokio::test]
#[cfg(target_arch = "x86_64")]
async fn the_guest_cannot_be_reached_by_its_commands() {
    let runtime = sandboxed().await;
    for signal in ["KILL", "STOP", "TERM", "INT", "USR1"] {
        runtime.refuses(&format!("kill -{signal} 1")).await;
    }
    for (number, args, name) in [
        (62, "1, 15", "kill"),
        (200, "1, 15", "tkill"),
        (234, "1, 1, 15", "tgkill"),
        (141, "0, 1, 19", "setpriority"),
        (141, "2, 0, 19", "setpriority of all of the user"),
        (203, "1, 0, 0", "sched_setaffinity"),
        (251, "1, 1, 0", "ioprio_set"),
        (302, "1, 7, 0, 0", "prlimit64"),
        (302, "0, 15, $b, 0", "prlimit64 of its mark"),
        (160, "15, $b", "setrlimit of its mark"),
    ] {
        assert_eq!(runtime.says(&call(number, args)).await, EPERM, "{name}");
    }
    for file in ["environ", "mem", "maps", "auxv", "stack", "syscall"] {
        runtime.refuses(&format!("head -c 1 /proc/1/{file}")).await;
    }
    runtime.refuses("ls -l /proc/1/fd").await;
    runtime.refuses("ls /proc/1/root/").await;
    runtime.says("kill -9 -1 || true").await;
    assert_eq!(runtime.control.ping(std::time::Duration::from_secs(2)).await.unwrap().operations, 0);
    runtime.end().await;
}

#[tokio::test]
async fn namespaces_and_mounts_cannot_be_made() {
    let runtime = sandboxed().await;
    for what in ["-U", "-m", "-n", "-p", "-i", "-u", "-Ur"] {
        runtime.refuses(&format!("unshare {what} true")).await;
    }
    runtime.refuses("mkdir -p m && mount -t tmpfs none m").await;
    runtime.refuses("umount -l /tmp").await;
    runtime.refuses("mount -o remount,rw /").await;
    runtime.refuses("nsenter -t 1 -m true").await;
    runtime.end().await;
}

#[tokio::test]
async fn shared_memory_is_the_leases_own() {
    let mut runtime = sandboxed().await;
    runtime.says("ipcmk -M 4096 && ipcmk -Q && ipcmk -S 1").await;
    assert_eq!(runtime.says("tail -qn +2 /proc/sysvipc/* | wc -l").await, "3");
    assert_eq!(runtime.reset().await, Ok(()));
    assert_eq!(runtime.says("tail -qn +2 /proc/sysvipc/* | wc -l").await, "0");
    runtime.end().await;
}

#[tokio::test]
async fn commands_of_one_lease_reach_each_other() {
    let runtime = sandboxed().await;
    let pid = runtime.says("sleep 100 > /dev/null 2>&1 & echo $!").await;
    runtime.says(&format!("renice -n 1 -p {pid} && kill {pid}")).await;
    runtime.end().await;
}

#[tokio::test]
async fn basic_isolation_opens_the_workspace_only() {
    let runtime = basic().await;
    runtime.says("echo hi > file && mkdir d && rm -r d && mv file other").await;
    for place in ["/tmp", "/var/tmp", "/dev/shm", ".."] {
        runtime.refuses(&format!("touch {place}/ostler-test-escape")).await;
    }
    runtime.end().await;
}

#[tokio::test]
async fn basic_isolation_has_no_network() {
    let runtime = basic().await;
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = host.local_addr().unwrap().port();
    runtime.refuses(&format!("bash -c 'echo > /dev/tcp/127.0.0.1/{port}'")).await;
    runtime.end().await;
}

#[tokio::test]
async fn basic_isolation_leaves_nothing_in_the_hosts_shared_memory() {
    let runtime = basic().await;
    for kind in ["-M 4096", "-Q", "-S 1"] {
        runtime.refuses(&format!("ipcmk {kind}")).await;
    }
    runtime.end().await;
}

#[tokio::test]
async fn basic_isolation_lets_no_signal_out() {
    let runtime = basic().await;
    let user = runtime.says("id -u").await;
    let mut stranger = Command::new("sleep");
    let stranger = stranger.arg("100").stdin(Stdio::null());
    if is_root() {
        use std::os::unix::process::CommandExt;
        stranger.uid(user.parse().unwrap());
    }
    let mut stranger = stranger.spawn().unwrap();
    let said = runtime.refuses(&format!("kill -9 {}", stranger.id())).await;
    assert!(said.contains("not permitted"), "{said}");
    runtime.refuses(&format!("renice -n 5 -p {}", stranger.id())).await;
    runtime.refuses(&format!("kill -9 {}", runtime.pid)).await;
    assert!(stranger.try_wait().unwrap().is_none());
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    runtime.end().await;
}

#[tokio::test]
async fn strict_refuses_what_is_missing_and_names_it() {
    use ostler::backend::Backend;
    let state = sandbox::state_dir();
    // No host has this directory to put a workspace in, nor needs it under strict isolation.
    let unlimited = Limits { memory: None, pids: None, cpus: None, ..limits() };
    let backend = sandbox::backend(&spec(IsolationLevel::Strict), &unlimited, state.path().to_owned());
    backend.prepare().await.unwrap();
    backend.close().await.unwrap();
    if !is_root() {
        let backend = sandbox::backend(&spec(IsolationLevel::Strict), &limits(), state.path().to_owned());
        let error = backend.prepare().await.unwrap_err();
        assert!(!error.retryable);
        let why = error.source.unwrap().to_string();
        for part in ["memory cgroup", "pids cgroup", "cpu cgroup"] {
            assert!(why.contains(part), "{why}");
        }
        backend.close().await.unwrap();
    }
    assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0);
}

/// Set for the host without namespaces.
const WITHOUT: &str = "OSTLER_TEST_WITHOUT_NAMESPACES";

/// Runs the test below in a user namespace in which no further ones can be made, as in many containers.
#[test]
fn without_namespaces() {
    let script =
        "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$0\" --exact a_host_without_namespaces";
    let status = Command::new("unshare")
        .args(["-Ur", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .env(WITHOUT, "1")
        .status()
        .unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn a_host_without_namespaces() {
    use ostler::backend::Owner;
    use ostler::backend::process::Process;
    use ostler::backend::{Backend, Launch};
    use ostler::model::{PoolName, RuntimeId};
    if std::env::var(WITHOUT).is_err() {
        return;
    }
    let runtime = sandboxed().await;
    let own = std::fs::read_link("/proc/self/ns/pid").unwrap();
    assert_eq!(runtime.says("readlink /proc/self/ns/pid").await, own.to_str().unwrap(), "the fall-back");
    runtime.refuses("touch /tmp/ostler-test-escape").await;
    assert_eq!(
        runtime.says("grep -E '^Cap(Prm|Eff|Bnd|Amb)' /proc/self/status | grep -vc '0000$'; true").await,
        "0"
    );
    runtime.end().await;

    let state = sandbox::state_dir();
    let (sender, log) = std::sync::mpsc::channel();
    let owner = Owner { instance: "told".to_owned(), state_dir: state.path().to_owned() };
    let logger = slog::Logger::root(Told(sender), slog::o!());
    let backend = Process::new(&spec(IsolationLevel::Auto), &limits(), owner, logger);
    backend.prepare().await.unwrap();
    let launch = Launch { pool: PoolName::new("p"), runtime: RuntimeId(1) };
    backend.launch(launch).await.unwrap().instance.destroy().await.unwrap();
    let told: Vec<String> = log.try_iter().collect();
    let parts: Vec<_> = told.iter().filter_map(|line| line.strip_prefix("isolation without ")).collect();
    assert_eq!(parts.iter().filter(|part| **part == "namespaces").count(), 1, "{told:?}");
    assert_eq!(parts.iter().collect::<std::collections::BTreeSet<_>>().len(), parts.len(), "{told:?}");
    backend.close().await.unwrap();

    let strict = sandbox::backend(&spec(IsolationLevel::Strict), &limits(), state.path().to_owned());
    let error = strict.prepare().await.unwrap_err();
    assert!(error.source.unwrap().to_string().contains("make namespaces"));
    strict.close().await.unwrap();
}

/// Passes on what is logged.
struct Told(std::sync::mpsc::Sender<String>);

impl slog::Drain for Told {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &slog::Record<'_>, _: &slog::OwnedKVList) -> Result<(), slog::Never> {
        self.0.send(record.msg().to_string()).unwrap();
        Ok(())
    }
}

#[tokio::test]
async fn the_last_users_environment_and_groups_are_not_inherited() {
    let runtime = sandboxed().await;
    let output = runtime.run(Exec::new("env")).await.unwrap();
    let env = String::from_utf8(output.stdout).unwrap();
    let names: Vec<_> = env.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    assert!(names.iter().all(|name| ["PATH", "HOME", "LANG"].contains(name)), "{names:?}");
    assert_eq!(runtime.says("umask").await, "0022");
    runtime.end().await;
}

/// A connection that has ended is remembered for a minute, its address taken.
#[tokio::test]
async fn the_next_lease_sees_no_connection_of_the_last() {
    let mut runtime = Runtime::start(IsolationLevel::Auto).await;
    let connect = "perl -MIO::Socket::INET -e '\
        $l = IO::Socket::INET->new(Listen => 1, LocalAddr => \"127.0.0.1:5555\", Proto => \"tcp\") or die \"listen: $!\"; \
        $c = IO::Socket::INET->new(PeerAddr => \"127.0.0.1:5555\", Proto => \"tcp\") or die \"connect: $!\"; \
        $s = $l->accept or die \"accept: $!\"; close $s; sysread $c, $b, 1; close $c; print \"done\"'";
    assert_eq!(runtime.says(connect).await, "done");
    runtime.reset().await.unwrap();
    let table = runtime.says("cat /proc/net/tcp").await;
    assert_eq!(table.lines().count(), 1, "no more than the heading: {table}");
    // And its address is free.
    assert_eq!(runtime.says(connect).await, "done");
    runtime.end().await;
}
