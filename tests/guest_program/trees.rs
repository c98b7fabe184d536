//! Whole trees are listed and removed, however deep and wide, and no link is followed.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;

use ostler::protocol::{Done, Entry, FileKind, List, RefusalKind, Remove, Request};

use crate::client::{EPOCH, Guest};

fn list(path: &str, recursive: bool) -> Request {
    Request::List(List { epoch: EPOCH, path: path.into(), recursive })
}

fn remove(path: &str, recursive: bool) -> Request {
    Request::Remove(Remove { epoch: EPOCH, path: path.into(), recursive })
}

fn entries(guest: &mut Guest, request: &Request) -> Vec<Entry> {
    let answer = guest.data.call(request);
    assert_eq!(answer.result, Ok(Done::Unit));
    Entry::decode_all(&answer.out).expect("entries")
}

#[test]
fn a_directory_is_listed() {
    let mut guest = Guest::start();
    fs::create_dir_all(guest.workspace().join("d/below")).expect("a directory");
    fs::write(guest.workspace().join("d/file"), "12345").expect("a file");
    symlink("file", guest.workspace().join("d/link")).expect("a link");
    let mut entries = entries(&mut guest, &list("d", false));
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    let kinds: Vec<_> = entries.iter().map(|entry| (entry.path.as_slice(), entry.stat.kind)).collect();
    let wanted: [(&[u8], FileKind); 3] =
        [(b"below", FileKind::Directory), (b"file", FileKind::File), (b"link", FileKind::Symlink)];
    assert_eq!(kinds, wanted);
    assert_eq!((entries[1].stat.size, entries[2].stat.target.as_slice()), (5, &b"file"[..]));
    assert!(entries[1].stat.modified_ms > 1_500_000_000_000);
    assert_eq!(guest.data.call(&list("d/file", false)).refused(), RefusalKind::WrongKind);
}

#[test]
fn a_tree_is_listed_from_the_top_and_once() {
    let mut guest = Guest::start();
    let mut wanted = BTreeSet::new();
    for top in 0..30 {
        for below in 0..30 {
            let path = format!("t{top}/b{below}");
            fs::create_dir_all(guest.workspace().join(&path)).expect("a directory");
            fs::write(guest.workspace().join(&path).join("f"), "").expect("a file");
            wanted.extend([format!("t{top}"), path.clone(), format!("{path}/f")]);
        }
    }
    symlink("..", guest.workspace().join("t0/up")).expect("a link");
    wanted.insert("t0/up".into());
    let mut seen = BTreeSet::new();
    for entry in entries(&mut guest, &list("", true)) {
        let path = String::from_utf8(entry.path).expect("text");
        if let Some((parent, _)) = path.rsplit_once('/') {
            assert!(seen.contains(parent), "{path} before its directory");
        }
        assert!(seen.insert(path.clone()), "{path} twice");
    }
    assert_eq!(seen, wanted);
}

#[test]
fn a_deep_tree_is_listed_with_few_descriptors() {
    let mut guest = Guest::start();
    let path = "d/".repeat(1500);
    guest.data.shell(&format!("ulimit -n 64; mkdir -p {path}; touch {path}f d/last"));
    let entries = entries(&mut guest, &list("", true));
    assert_eq!(entries.len(), 1502);
    assert!(entries.iter().any(|entry| entry.path == format!("{path}f").into_bytes()));
    assert!(entries.iter().any(|entry| entry.path == b"d/last"));
    assert_eq!(guest.data.call(&remove("d", true)).result, Ok(Done::Unit));
}

#[test]
fn a_tree_deeper_than_any_path_is_removed_and_its_listing_refused() {
    let mut guest = Guest::start();
    let script = "mkdir top; cd -P top; n=0
        while [ $n -lt 22 ]; do p=$(printf 'd%.0s/' $(seq 100)); mkdir -p $p; cd -P ./$p; n=$((n+1)); done; touch f";
    let made = guest.data.shell(script);
    assert_eq!(made.exited().code, Some(0), "{}", String::from_utf8_lossy(&made.err));
    assert_eq!(guest.data.call(&list("top", true)).refused(), RefusalKind::Invalid);
    assert_eq!(guest.data.call(&remove("top", true)).result, Ok(Done::Unit));
    assert_eq!(fs::read_dir(guest.workspace()).expect("the workspace").count(), 0);
}

#[test]
fn a_wide_tree_is_removed_and_pings_are_answered_meanwhile() {
    let mut guest = Guest::start();
    guest.data.shell("mkdir w; cd w; seq 1 40000 | xargs touch; mkdir $(seq -f 'd%g' 1 100)");
    let op = guest.control.open(&remove("w", true));
    let mut pings = 0;
    while guest.control.ping().operations > 0 {
        pings += 1;
    }
    assert!(pings > 3, "only {pings} pings");
    assert_eq!(guest.control.finish(op).result, Ok(Done::Unit));
    assert!(!guest.workspace().join("w").exists());
}

#[test]
fn links_are_removed_and_not_followed() {
    let mut guest = Guest::start();
    let outside = tempfile::tempdir().expect("a directory");
    fs::write(outside.path().join("kept"), "x").expect("a file");
    fs::create_dir(guest.workspace().join("d")).expect("a directory");
    symlink(outside.path(), guest.workspace().join("d/link")).expect("a link");
    symlink(outside.path(), guest.workspace().join("link")).expect("a link");
    for path in ["d", "link"] {
        assert_eq!(guest.data.call(&remove(path, true)).result, Ok(Done::Unit));
    }
    assert!(outside.path().join("kept").exists());
}

#[test]
fn only_what_was_asked_for_is_removed() {
    let mut guest = Guest::start();
    guest.data.shell("mkdir -p full/x empty; touch file");
    assert_eq!(guest.data.call(&remove("full", false)).refused(), RefusalKind::WrongKind);
    assert_eq!(guest.data.call(&remove("none", true)).refused(), RefusalKind::NotFound);
    for path in ["", ".", "./", "full/..", "/"] {
        let refused = guest.data.call(&remove(path, true)).refused();
        assert!(matches!(refused, RefusalKind::Invalid | RefusalKind::Denied), "{path}: {refused:?}");
    }
    for path in ["empty", "file", "full/x"] {
        assert_eq!(guest.data.call(&remove(path, false)).result, Ok(Done::Unit), "{path}");
    }
}
