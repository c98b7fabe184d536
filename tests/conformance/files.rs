//! Files and trees, in and out.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use ostler::Exec;
use tar::{Builder, EntryType, Header};
use tokio::io::AsyncReadExt as _;

use crate::On;
use crate::stable::{Stable, text};

pub(crate) async fn written_and_read(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    let long = vec![7; 70_000];
    for content in [&b""[..], b"text\n", b"\0\xff\x80", &long] {
        lease.write("a/b/file", content).await.unwrap();
        assert_eq!(lease.read("a/b/file").await.unwrap(), content);
        assert_eq!(lease.stat("a/b/file").await.unwrap().len, content.len() as u64);
    }
    lease.remove("a/b/file").await.unwrap();
    assert!(lease.read("a/b/file").await.unwrap_err().is_not_found());
    drop(lease);
    stable.close().await;
}

pub(crate) async fn what_is_not_there(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    assert!(lease.read("none").await.unwrap_err().is_not_found());
    assert!(lease.stat("none").await.unwrap_err().is_not_found());
    assert!(lease.remove("none").await.unwrap_err().is_not_found());
    drop(lease);
    stable.close().await;
}

pub(crate) async fn ranges(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    lease.write("file", b"0123456789").await.unwrap();
    assert_eq!(lease.read_range("file", 3..6).await.unwrap(), b"345");
    assert_eq!(lease.read_range("file", 8..).await.unwrap(), b"89");
    assert_eq!(lease.read_range("file", 8..100).await.unwrap(), b"89");
    assert_eq!(lease.read_range("file", 100..).await.unwrap(), b"");
    drop(lease);
    stable.close().await;
}

pub(crate) async fn odd_names(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    let long = [b'n'; 255];
    let mut names: Vec<&[u8]> = vec![
        b" ",
        b"-rf",
        b"--",
        b"*",
        b"a\nb",
        b"$(id)",
        b"\"",
        b"\\",
        b"\xff\xfe",
        "é\u{202e}".as_bytes(),
        b"...",
        &long,
    ];
    for name in &names {
        lease.write(OsStr::from_bytes(name), name).await.unwrap();
    }
    let mut found: Vec<_> = lease.list("").await.unwrap().into_iter().map(|entry| entry.path).collect();
    found.sort();
    names.sort_unstable();
    let names: Vec<_> = names.iter().map(|name| PathBuf::from(OsStr::from_bytes(name))).collect();
    assert_eq!(found, names);
    for name in names {
        assert_eq!(lease.read(&name).await.unwrap(), name.as_os_str().as_bytes());
        lease.remove(&name).await.unwrap();
    }
    assert!(lease.list("").await.unwrap().is_empty());
    drop(lease);
    stable.close().await;
}

pub(crate) async fn lists_and_trees(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    lease.write("tree/a/one", b"1").await.unwrap();
    lease.write_mode("tree/b/two", b"22", 0o755).await.unwrap();
    lease.symlink("a/one", "tree/link").await.unwrap();
    let mut paths: Vec<_> = lease.walk("tree").await.unwrap().into_iter().map(|entry| entry.path).collect();
    paths.sort();
    assert_eq!(paths, ["a", "a/one", "b", "b/two", "link"].map(PathBuf::from));
    assert_eq!(lease.read("tree/link").await.unwrap(), b"1");
    let mode = lease.exec(Exec::shell("test -x tree/b/two && test ! -x tree/a/one")).await.unwrap();
    assert!(mode.success());
    lease.remove_all("tree").await.unwrap();
    assert!(lease.list("").await.unwrap().is_empty());
    drop(lease);
    stable.close().await;
}

pub(crate) async fn links_are_not_followed_out(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    let traps = "mkdir keep trap; echo kept > keep/file; ln -s ../keep trap/link; ln -s / trap/root; ln -s trap/loop trap/loop";
    assert!(lease.exec(Exec::shell(traps)).await.unwrap().success());
    lease.remove_all("trap").await.unwrap();
    assert_eq!(lease.read("keep/file").await.unwrap(), b"kept\n");
    lease.symlink("/etc", "out").await.unwrap();
    lease.write("out/passwd", b"root::0:0::/:/bin/sh\n").await.unwrap_err();
    let passwd = lease.exec(Exec::shell("grep -c '^root::' /etc/passwd")).await.unwrap();
    assert_eq!(text(&passwd.stdout), "0\n");
    drop(lease);
    stable.close().await;
}

pub(crate) async fn a_large_file(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    let content: Vec<u8> = (0..16_u32 << 20).map(|at| u8::try_from(at % 253).unwrap()).collect();
    lease.write("large", &content).await.unwrap();
    assert!(lease.read("large").await.unwrap() == content);
    let sizes = lease.exec(Exec::shell("wc -c < large")).await.unwrap();
    assert_eq!(text(&sizes.stdout).trim(), content.len().to_string());
    drop(lease);
    stable.close().await;
}

fn header(kind: EntryType, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size as u64);
    header.set_mode(0o644);
    header
}

pub(crate) async fn tar_in_and_out(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    let mut tar = Builder::new(Vec::new());
    let long = vec![2; 100_000];
    for (path, content) in [("one", &b"1"[..]), ("deep/er/two", &long)] {
        tar.append_data(&mut header(EntryType::Regular, content.len()), path, content).unwrap();
    }
    tar.append_link(&mut header(EntryType::Symlink, 0), "link", "/etc/passwd").unwrap();
    let tar = tar.into_inner().unwrap();
    lease.copy_in("to", &tar[..]).await.unwrap();
    assert_eq!(lease.read("to/deep/er/two").await.unwrap(), long);
    let mut out = Vec::new();
    lease.copy_out("to").read_to_end(&mut out).await.unwrap();
    let mut found = Vec::new();
    for entry in tar::Archive::new(&out[..]).entries().unwrap() {
        let entry = entry.unwrap();
        let target = entry.link_name().unwrap().map(std::borrow::Cow::into_owned);
        let path = entry.path().unwrap().components().collect::<PathBuf>();
        if entry.header().entry_type() != EntryType::Directory {
            found.push((path, entry.size(), target));
        }
    }
    found.sort();
    let expected = [("deep/er/two", 100_000, None), ("link", 0, Some("/etc/passwd")), ("one", 1, None)];
    assert_eq!(found, expected.map(|(path, size, target)| (path.into(), size, target.map(PathBuf::from))));
    drop(lease);
    stable.close().await;
}

pub(crate) async fn a_tar_that_climbs_out(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    for name in [&b"../climbed"[..], b"a/../../climbed", b"/tmp/climbed"] {
        let mut header = header(EntryType::Regular, 0);
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_cksum();
        let mut tar = header.as_bytes().to_vec();
        tar.extend([0; 1024]);
        drop(lease.copy_in("to", &tar[..]).await);
        for place in ["climbed", "/tmp/climbed"] {
            assert!(
                lease.stat(Path::new(place)).await.unwrap_err().is_not_found(),
                "{name:?} came to {place}"
            );
        }
    }
    drop(lease);
    stable.close().await;
}

pub(crate) async fn read_only_root(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    let places = "for place in / /bin /etc /usr /var /proc/sys/kernel; do echo x > $place/probe && echo $place; done 2>/dev/null; true";
    let written = lease.exec(Exec::shell(places)).await.unwrap();
    assert_eq!(text(&written.stdout), "", "written to");
    drop(lease);
    stable.close().await;
}
