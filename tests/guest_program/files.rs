//! Files are read, written and described as asked, whatever their names, and only where the guest may.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use ostler::protocol::{Done, FileKind, Input, Read, RefusalKind, Reply, Request, WINDOW, Write};

use crate::client::{Answer, EPOCH, Guest};

pub(crate) fn read(path: impl AsRef<[u8]>) -> Request {
    Request::Read(Read { epoch: EPOCH, path: path.as_ref().to_vec(), offset: 0, length: None })
}

pub(crate) fn write(path: impl AsRef<[u8]>, data: &[u8]) -> Request {
    Request::Write(Write {
        epoch: EPOCH,
        path: path.as_ref().to_vec(),
        mode: 0o640,
        data: data.to_vec(),
        complete: true,
    })
}

fn stat(path: impl AsRef<[u8]>) -> Request {
    Request::Stat { epoch: EPOCH, path: path.as_ref().to_vec() }
}

fn described(answer: &Answer) -> &ostler::protocol::Stat {
    match &answer.result {
        Ok(Done::Stat(stat)) => stat,
        other => panic!("not described: {other:?}"),
    }
}

fn names(guest: &Guest) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(guest.workspace()).expect("the workspace");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().as_bytes().to_vec()).collect();
    names.sort_unstable();
    names
}

#[test]
fn what_was_written_is_read() {
    let mut guest = Guest::start();
    for content in [&b""[..], b"hi\n", &vec![7; 100_000]] {
        assert_eq!(guest.data.call(&write("a", content)).result, Ok(Done::Unit));
        let answer = guest.data.call(&read("a"));
        assert_eq!(answer.out, content);
        assert_eq!(answer.result, Ok(Done::Read { size: content.len() as u64 }));
    }
    let mode = fs::metadata(guest.workspace().join("a")).expect("the file").permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);
    assert_eq!(names(&guest), [b"a"]);
}

#[test]
fn any_bytes_make_a_name() {
    let mut guest = Guest::start();
    let odd: [&[u8]; 6] = [b"\xff\xfe", b"new\nline", b" ", b"-rf", "\u{202e}name".as_bytes(), &[b'n'; 255]];
    for name in odd {
        assert_eq!(guest.data.call(&write(name, name)).result, Ok(Done::Unit), "{name:?}");
        assert_eq!(guest.data.call(&read(name)).out, name);
        assert_eq!(described(&guest.data.call(&stat(name))).size, name.len() as u64);
    }
    let mut wanted: Vec<_> = odd.iter().map(|name| name.to_vec()).collect();
    wanted.sort_unstable();
    assert_eq!(names(&guest), wanted);
    for name in [&b"zero\0byte"[..], &[b'n'; 256]] {
        assert_eq!(guest.data.call(&write(name, b"")).refused(), RefusalKind::Invalid);
    }
}

#[test]
fn parents_are_made() {
    let mut guest = Guest::start();
    assert_eq!(guest.data.call(&write("a/./b//c", b"deep")).result, Ok(Done::Unit));
    assert_eq!(fs::read(guest.workspace().join("a/b/c")).expect("the file"), b"deep");
    let make_directory = |path: &str| Request::MakeDir { epoch: EPOCH, path: path.into(), mode: 0o711 };
    assert_eq!(guest.data.call(&make_directory("x/y/z")).result, Ok(Done::Unit));
    assert_eq!(
        guest.data.call(&make_directory("x/y/z/")).result,
        Ok(Done::Unit),
        "one that is there is no error"
    );
    let made = described(&guest.data.call(&stat("x/y/z"))).clone();
    assert_eq!((made.kind, made.mode), (FileKind::Directory, 0o711));
    assert_eq!(guest.data.call(&make_directory("a/b/c")).refused(), RefusalKind::WrongKind);
    assert_eq!(guest.data.call(&write("a/b/c/d", b"")).refused(), RefusalKind::WrongKind);
}

#[test]
fn a_part_can_be_read() {
    let mut guest = Guest::start();
    fs::write(guest.workspace().join("digits"), "0123456789").expect("a file");
    for (offset, length, wanted) in [
        (2, Some(3), "234"),
        (8, None, "89"),
        (8, Some(u64::MAX), "89"),
        (99, None, ""),
        (u64::MAX, Some(1), ""),
    ] {
        let request = Read { epoch: EPOCH, path: b"digits".to_vec(), offset, length };
        let answer = guest.data.call(&Request::Read(request));
        assert_eq!((answer.text().as_str(), answer.result), (wanted, Ok(Done::Read { size: 10 })));
    }
}

#[test]
fn a_large_file_goes_both_ways() {
    let mut guest = Guest::start();
    let content: Vec<u8> =
        (0..u32::try_from(5 * WINDOW as usize / 4).expect("fits")).flat_map(u32::to_le_bytes).collect();
    let request =
        Write { epoch: EPOCH, path: b"big".to_vec(), mode: 0o600, data: Vec::new(), complete: false };
    let op = guest.data.open(&Request::Write(request));
    let mut window = WINDOW as usize;
    for chunk in content.chunks(100_000) {
        while window < chunk.len() {
            let Reply::Credit(bytes) = guest.data.reply(op) else { panic!("not credit") };
            window += bytes as usize;
        }
        guest.data.say(op, &Input::Data(chunk.to_vec()));
        window -= chunk.len();
    }
    assert!(!guest.workspace().join("big").exists(), "nobody sees half of it");
    guest.data.say(op, &Input::End);
    assert_eq!(guest.data.finish(op).result, Ok(Done::Unit));
    assert!(guest.data.call(&read("big")).out == content);
}

#[test]
fn a_write_that_is_cancelled_leaves_nothing() {
    let mut guest = Guest::start();
    fs::write(guest.workspace().join("a"), "old").expect("a file");
    let request =
        Write { epoch: EPOCH, path: b"a".to_vec(), mode: 0o600, data: b"new".to_vec(), complete: false };
    let op = guest.data.open(&Request::Write(request.clone()));
    guest.data.say(op, &Input::Data(b"er".to_vec()));
    guest.data.say(op, &Input::Cancel);
    assert_eq!(guest.data.finish(op).refused(), RefusalKind::Failed);
    assert_eq!(names(&guest), [b"a"]);
    assert_eq!(guest.data.call(&read("a")).out, b"old");

    guest.data.open(&Request::Write(request));
    guest.data.socket.shutdown(std::net::Shutdown::Both).expect("hang up");
    crate::client::eventually("the half-written file is gone", || names(&guest) == [b"a"]);
}

#[test]
fn pipes_and_devices_are_neither_read_nor_waited_for() {
    let mut guest = Guest::start();
    guest.data.shell("mkfifo fifo; mknod null c 1 3");
    for path in ["fifo", "null"] {
        if guest.workspace().join(path).exists() {
            assert_eq!(guest.data.call(&read(path)).refused(), RefusalKind::WrongKind, "{path}");
            assert_eq!(described(&guest.data.call(&stat(path))).kind, FileKind::Other);
        }
    }
    assert!(guest.workspace().join("fifo").exists());
    assert_eq!(guest.data.call(&read(".")).refused(), RefusalKind::WrongKind);
}

#[test]
fn no_path_leads_out_of_the_workspace() {
    let mut guest = Guest::start();
    let outside = tempfile::tempdir().expect("a directory");
    fs::write(outside.path().join("secret"), "s").expect("a file");
    let links = [
        ("absolute", outside.path().to_path_buf()),
        ("climbing", "../".repeat(20).into()),
        ("dangling", outside.path().join("new")),
    ];
    for (name, target) in &links {
        symlink(target, guest.workspace().join(name)).expect("a link");
    }
    fs::create_dir(guest.workspace().join("a")).expect("a directory");
    let secret = outside.path().join("secret");
    let secret = secret.as_os_str().as_bytes();
    let climbing = [&b"climbing"[..], secret].concat();
    for path in [&b"../x"[..], b"a/../../x", secret, b"absolute/secret", &climbing, b"absolute"] {
        assert_eq!(guest.data.call(&read(path)).refused(), RefusalKind::Denied, "{path:?}");
    }
    for path in [&b"absolute/new"[..], b"../new", b"/tmp/ostler-new"] {
        assert_eq!(guest.data.call(&write(path, b"x")).refused(), RefusalKind::Denied, "{path:?}");
        let remove = ostler::protocol::Remove { epoch: EPOCH, path: path.to_vec(), recursive: true };
        assert_eq!(guest.data.call(&Request::Remove(remove)).refused(), RefusalKind::Denied, "{path:?}");
        let list = ostler::protocol::List { epoch: EPOCH, path: path.to_vec(), recursive: true };
        assert_eq!(guest.data.call(&Request::List(list)).refused(), RefusalKind::Denied, "{path:?}");
    }
    assert_eq!(
        guest.data.call(&write("dangling", b"x")).result,
        Ok(Done::Unit),
        "the link itself is replaced"
    );
    assert!(!outside.path().join("new").exists());
    assert_eq!(fs::read_dir(outside.path()).expect("a directory").count(), 1);
}

#[test]
fn links_within_the_workspace_are_followed() {
    let mut guest = Guest::start();
    fs::create_dir(guest.workspace().join("real")).expect("a directory");
    fs::write(guest.workspace().join("real/file"), "x").expect("a file");
    symlink("real", guest.workspace().join("link")).expect("a link");
    assert_eq!(guest.data.call(&read("link/file")).out, b"x");
    symlink("loop", guest.workspace().join("loop")).expect("a link");
    assert_eq!(guest.data.call(&read("loop")).refused(), RefusalKind::Denied);
}

#[test]
fn links_are_made_and_described_not_followed() {
    let mut guest = Guest::start();
    let link = |target: &[u8]| Request::Link { epoch: EPOCH, path: b"l".to_vec(), target: target.to_vec() };
    for target in [&b"/etc/passwd"[..], b"\xff elsewhere"] {
        assert_eq!(guest.data.call(&link(target)).result, Ok(Done::Unit));
        let answer = guest.data.call(&stat("l"));
        assert_eq!(
            (described(&answer).kind, described(&answer).target.as_slice()),
            (FileKind::Symlink, target)
        );
    }
    fs::remove_file(guest.workspace().join("l")).expect("remove the link");
    fs::create_dir(guest.workspace().join("l")).expect("a directory");
    assert_eq!(guest.data.call(&link(b"x")).refused(), RefusalKind::WrongKind);
    assert_eq!(names(&guest), [b"l"]);
}

#[test]
fn what_is_not_there_is_not_found() {
    let mut guest = Guest::start();
    for request in [read("no"), stat("no"), read("no/no"), read("")] {
        let kind = guest.data.call(&request).refused();
        assert!(matches!(kind, RefusalKind::NotFound | RefusalKind::WrongKind), "{kind:?}");
    }
    let answer = guest.data.call(&read("no"));
    let refusal = answer.result.expect_err("a refusal");
    assert_eq!((refusal.kind, refusal.errno), (RefusalKind::NotFound, 2));
    assert!(refusal.message.contains("read no"), "{}", refusal.message);
}
