//! What commands find in a container: its environment, its files, its limits, its secrets.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use ostler::protocol::{
    ContainerLimits, ContainerSetup, Done, ExecRequest, Read, Request, Reset, Secret, Stat,
};

use super::{Newcomer, names};
use crate::client::{EPOCH, shell};

fn pair(name: &str, value: &str) -> (Vec<u8>, Vec<u8>) {
    (name.into(), value.into())
}

fn bare(script: &str) -> Request {
    Request::Exec(ExecRequest { env: Vec::new(), ..shell(script) })
}

#[test]
fn the_image_s_environment_then_the_pool_s_then_the_command_s() {
    let newcomer = Newcomer::start(|command| {
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("A", "image")
            .env("B", "image")
            .env("C", "image");
        command.env("HOME", "/usr").env("OSTLER_SECRET", "x").env("LANG", "xx");
    });
    let setup = ContainerSetup { env: vec![pair("B", "pool"), pair("C", "pool")], ..newcomer.setup() };
    let mut guest = newcomer.serve(&setup);
    let mut exec = shell("env | grep -v '^PWD=\\|^_=\\|^SHLVL=\\|^OLDPWD=' | sort");
    exec.env = vec![pair("C", "command")];
    let said = guest.data.call(&Request::Exec(exec)).text();
    assert_eq!(said, "A=image\nB=pool\nC=command\nHOME=/usr\nLANG=xx\nPATH=/usr/bin:/bin\n");
}

#[test]
fn an_image_without_path_and_home_gets_them() {
    let newcomer = Newcomer::start(|command| {
        command.env_clear();
    });
    let setup = newcomer.setup();
    let mut guest = newcomer.serve(&setup);
    let said = guest.data.call(&bare("echo $PATH; echo $HOME")).text();
    let home = fs::read_to_string("/etc/passwd").expect("users");
    let uid = format!(":x:{}:", rustix::process::getuid().as_raw());
    let home = home.lines().find(|line| line.contains(&uid)).and_then(|line| line.split(':').nth(5));
    assert_eq!(
        said,
        format!("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n{}\n", home.expect("a home"))
    );
}

#[test]
fn any_directory_and_any_file_of_the_container_can_be_named() {
    let newcomer = Newcomer::start(|_| {});
    let setup = newcomer.setup();
    let mut guest = newcomer.serve(&setup);
    let answer = guest.data.call(&Request::Exec(ExecRequest { cwd: b"/usr".to_vec(), ..shell("pwd") }));
    assert_eq!(answer.text(), "/usr\n");
    let read = Read { epoch: EPOCH, path: b"/etc/passwd".to_vec(), offset: 0, length: None };
    assert_eq!(guest.data.call(&Request::Read(read)).out, fs::read("/etc/passwd").expect("users"));
    let stat = Request::Stat { epoch: EPOCH, path: b"/proc/self/status".to_vec() };
    assert!(guest.data.call(&stat).result.is_err(), "the kernel's files are none");
}

#[test]
fn limits_hold_for_commands_and_not_for_the_guest() {
    let newcomer = Newcomer::start(|_| {});
    let limits = ContainerLimits { open_files: Some(33), core: Some(0), ..ContainerLimits::default() };
    let setup = ContainerSetup { limits, ..newcomer.setup() };
    let mut guest = newcomer.serve(&setup);
    assert_eq!(guest.data.shell("ulimit -n; ulimit -Hn; ulimit -c").text(), "33\n33\n0\n");
    let own = fs::read_to_string(format!("/proc/{}/limits", guest.child.id())).expect("its limits");
    assert!(!own.lines().any(|line| line.starts_with("Max open files") && line.contains(" 33 ")));
}

#[test]
fn no_descriptor_of_the_guest_leaks() {
    let newcomer = Newcomer::start(|_| {});
    let setup = newcomer.setup();
    let mut guest = newcomer.serve(&setup);
    let said = guest.data.shell("exec ls -l /proc/self/fd").text();
    // The fourth is the directory that is being listed.
    assert_eq!(said.lines().filter(|line| line.contains("->")).count(), 4, "{said}");
    assert!(said.contains("0 -> /dev/null") && !said.contains("socket:"), "{said}");
}

#[test]
fn secrets_are_files_and_nothing_else() {
    let memory = tempfile::tempdir_in("/dev/shm").expect("a tmpfs");
    let directory = memory.path().join("secrets");
    let newcomer = Newcomer::start(|_| {});
    let secrets = vec![
        Secret { name: b"token".to_vec(), value: b"s3cret".to_vec() },
        Secret { name: b"big".to_vec(), value: vec![7; 200_000] },
    ];
    let secrets_directory = directory.to_str().expect("text").into();
    let setup = ContainerSetup { secrets, secrets_directory, ..newcomer.setup() };
    let mut guest = newcomer.serve(&setup);
    let token = directory.join("token");
    for epoch in 1..4 {
        assert_eq!(fs::metadata(&token).expect("it is there").permissions().mode() & 0o7777, 0o400);
        assert_eq!(fs::read(&token).expect("its content"), b"s3cret");
        assert_eq!(fs::read(directory.join("big")).expect("its content"), vec![7; 200_000]);
        assert_eq!(names(&directory), ["big", "token"]);
        let exec = ExecRequest {
            epoch,
            ..shell(
                "env; cd $0; rm -f token; echo other > token; chmod 777 big; echo x > big; mkdir new; echo done",
            )
        };
        let mut exec = exec;
        exec.argv.push(directory.to_str().expect("text").into());
        let said = guest.data.call(&Request::Exec(exec)).text();
        assert!(said.ends_with("done\n") && !said.contains("s3cret"), "{said}");
        guest.control.reset(epoch);
    }
    assert!(!format!("{setup:?}").contains("s3cret"));
    let visible = fs::read(format!("/proc/{}/environ", guest.child.id())).expect("its environment");
    assert!(!String::from_utf8_lossy(&visible).contains("s3cret"));
}

#[test]
fn secrets_are_not_written_to_a_disk() {
    let newcomer = Newcomer::start(|_| {});
    let secrets = vec![Secret { name: b"token".to_vec(), value: b"s3cret".to_vec() }];
    let disk = newcomer.workspace();
    let secrets_directory = disk.to_str().expect("text").into();
    let setup = ContainerSetup { secrets, secrets_directory, ..newcomer.setup() };
    let (report, _guest) = newcomer.tell(&setup);
    if report.failure.is_none() {
        // Temporary directories may be in memory themselves.
        assert_eq!(rustix::fs::statfs(&disk).expect("a file system").f_type, 0x0102_1994);
    }
}

#[test]
fn all_places_are_wiped_and_what_is_guarded_goes_back() {
    let newcomer = Newcomer::start(|_| {});
    let base = newcomer.directory.path().to_owned();
    for directory in ["a", "b", "dev/sub"] {
        fs::create_dir_all(base.join(directory)).expect("a directory");
    }
    fs::write(base.join("dev/null"), "device").expect("a file");
    fs::set_permissions(base.join("b"), fs::Permissions::from_mode(0o1777)).expect("a mode");
    let path = |name: &str| base.join(name).into_os_string().into_encoded_bytes();
    let mut setup = newcomer.setup();
    setup.places.extend([path("a"), path("b")]);
    setup.guarded = vec![path("dev")];
    let mut guest = newcomer.serve(&setup);
    let script = "cd ..; for d in work a b dev; do mkdir -p $d/x/y; echo 1 > $d/x/y/z; done; \
                  echo 2 > dev/sub/kept; chmod 0 a/x a; chmod 700 b";
    assert_eq!(guest.data.shell(script).exited().code, Some(0));
    guest.control.reset(EPOCH);
    assert!(["work", "a", "b"].iter().all(|place| names(&base.join(place)).is_empty()));
    assert_eq!(names(&base.join("dev")), ["null", "sub"]);
    let mode = |name: &str| fs::metadata(base.join(name)).expect("there").permissions().mode() & 0o7777;
    assert_eq!((mode("a"), mode("b")), (0o755, 0o1777));
}

#[test]
fn what_was_attached_to_a_place_goes_too() {
    use rustix::fs::{XattrFlags, getxattr, setxattr};
    let newcomer = Newcomer::start(|_| {});
    let workspace = newcomer.workspace();
    let setup = newcomer.setup();
    let mut guest = newcomer.serve(&setup);
    if setxattr(&workspace, "user.left", b"x", XattrFlags::empty()).is_err() {
        // This file system, like a tmpfs before Linux 6.6, has no such thing to leave.
        return;
    }
    guest.control.reset(EPOCH);
    let mut room = [0; 8];
    assert_eq!(getxattr(&workspace, "user.left", &mut room), Err(rustix::io::Errno::NODATA));
}

#[test]
fn a_place_that_is_gone_fails_the_reset() {
    let newcomer = Newcomer::start(|_| {});
    let setup = newcomer.setup();
    let mut guest = newcomer.serve(&setup);
    guest.data.shell("rmdir $PWD");
    let reset = guest.control.call(&Request::Reset(Reset { fence: EPOCH }));
    assert!(reset.result.is_err());
    let exec = ExecRequest { epoch: EPOCH + 1, cwd: b"/".to_vec(), ..shell("true") };
    assert!(guest.data.call(&Request::Exec(exec)).result.is_err(), "nothing is served after it");
}

#[test]
fn writing_goes_anywhere_the_user_may() {
    let newcomer = Newcomer::start(|_| {});
    let elsewhere = tempfile::tempdir().expect("a directory");
    let setup = newcomer.setup();
    let mut guest = newcomer.serve(&setup);
    let path: Vec<u8> = elsewhere.path().join("new/file").into_os_string().into_encoded_bytes();
    let write = ostler::protocol::Write {
        epoch: EPOCH,
        path: path.clone(),
        mode: 0o640,
        data: b"x".to_vec(),
        complete: true,
    };
    assert_eq!(guest.data.call(&Request::Write(write)).result, Ok(Done::Unit));
    let stat = guest.data.call(&Request::Stat { epoch: EPOCH, path }).result;
    assert!(matches!(stat, Ok(Done::Stat(Stat { mode: 0o640, size: 1, .. }))), "{stat:?}");
}
