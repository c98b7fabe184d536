//! Directories in and out as tar streams, with the `tar` crate and the system's `tar` as judges.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ostler::guest::{Defaults, Link, Session, Wire, WireError};
use ostler::model::Epoch;
use proptest::prelude::*;
use tar::{Archive, Builder, EntryType, Header};
use tokio::io::{AsyncReadExt, BufReader};

use crate::scripted::{ScriptedGuest, Seen};

async fn session() -> (ScriptedGuest, Arc<Link>, Session) {
    let (guest, stream) = ScriptedGuest::start();
    let link = Link::new(stream).unwrap();
    link.hello(Duration::from_secs(5)).await.unwrap();
    link.begin(Epoch(1));
    let session = Session::new(Arc::clone(&link) as _, Epoch(1), Arc::new(Defaults::default()));
    (guest, link, session)
}

fn header(kind: EntryType, size: usize, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size as u64);
    header.set_mode(mode);
    header
}

fn add(tar: &mut Builder<Vec<u8>>, path: impl AsRef<Path>, mode: u32, content: &[u8]) {
    tar.append_data(&mut header(EntryType::Regular, content.len(), mode), path, content).unwrap();
}

/// A header with names that `tar` refuses to write, its checksum right all the same.
fn forged(kind: EntryType, name: &[u8], link: &[u8]) -> Vec<u8> {
    let mut header = header(kind, 0, 0o644);
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn long(byte: u8) -> Vec<u8> {
    let mut name = vec![byte; 200];
    name[99] = b'/';
    name
}

fn big() -> Vec<u8> {
    (0..3_000_001_u32).map(|at| u8::try_from(at % 253).unwrap()).collect()
}

/// One of everything that is carried.
fn sample() -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    tar.append_data(&mut header(EntryType::Directory, 0, 0o755), "./", &b""[..]).unwrap();
    tar.append_data(&mut header(EntryType::Directory, 0, 0o555), "empty", &b""[..]).unwrap();
    add(&mut tar, "bin/tool", 0o755, b"#!/bin/sh\n");
    add(&mut tar, "nothing", 0o600, b"");
    add(&mut tar, "block", 0o644, &[9; 512]);
    add(&mut tar, "edge", 0o644, &vec![9; 64 << 10]);
    add(&mut tar, "big", 0o644, &big());
    add(&mut tar, OsStr::from_bytes(b"odd \xff\n name"), 0o644, b"odd");
    add(&mut tar, OsStr::from_bytes(&long(b'p')), 0o644, b"long");
    let mut link = header(EntryType::Symlink, 0, 0o777);
    tar.append_link(&mut link, "out", "/etc/passwd").unwrap();
    let mut link = header(EntryType::Symlink, 0, 0o777);
    tar.append_link(&mut link, "far", OsStr::from_bytes(&long(b't'))).unwrap();
    let mut link = header(EntryType::Link, 0, 0o755);
    tar.append_link(&mut link, "twin", "bin/tool").unwrap();
    tar.append_pax_extensions([("path", b"pax/\xc3\xa9".as_slice()), ("mtime", b"1.5")]).unwrap();
    add(&mut tar, "short", 0o644, b"pax");
    for at in 0..500 {
        add(&mut tar, format!("many/{at}"), 0o644, at.to_string().as_bytes());
    }
    tar.into_inner().unwrap()
}

fn expect_sample(seen: &Seen, base: &str) {
    let at = |name: &[u8]| [base.as_bytes(), name].concat();
    let file = |name: &[u8]| seen.files.get(&at(name)).unwrap_or_else(|| panic!("{:?}", name.escape_ascii()));
    assert_eq!(*file(b"bin/tool"), (0o755, b"#!/bin/sh\n".to_vec()));
    assert_eq!(*file(b"twin"), *file(b"bin/tool"));
    assert_eq!(*file(b"nothing"), (0o600, Vec::new()));
    assert_eq!(file(b"block").1, [9; 512]);
    assert_eq!(file(b"edge").1, vec![9; 64 << 10]);
    assert!(file(b"big").1 == big());
    assert_eq!(file(b"odd \xff\n name").1, b"odd");
    assert_eq!(file(&long(b'p')).1, b"long");
    assert_eq!(file(b"pax/\xc3\xa9").1, b"pax");
    assert!((0..500).all(|n: u32| file(format!("many/{n}").as_bytes()).1 == n.to_string().as_bytes()));
    assert_eq!(seen.links[&at(b"out")], b"/etc/passwd");
    assert_eq!(seen.links[&at(b"far")], long(b't'));
    // Writable by its owner, so that what belongs into it can follow.
    assert_eq!(seen.directories[&at(b"empty")], 0o755);
}

#[tokio::test]
async fn what_went_in_comes_out() {
    let (guest, link, session) = session().await;
    let tar = sample();
    assert_eq!(session.copy_in("base", tar.as_slice()).await.unwrap(), 513);
    expect_sample(&guest.seen(), "base/");
    // In one byte at a time, from nowhere in particular.
    session.copy_in("", BufReader::with_capacity(1, tar.as_slice())).await.unwrap();
    expect_sample(&guest.seen(), "");

    let mut out = Vec::new();
    session.copy_out("base").read_to_end(&mut out).await.unwrap();
    let mut found = BTreeMap::new();
    for entry in Archive::new(out.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let link = entry.link_name_bytes().map(std::borrow::Cow::into_owned);
        let header = entry.header();
        assert_eq!(header.mtime().unwrap(), 1);
        found.insert(
            entry.path_bytes().into_owned(),
            (header.entry_type(), header.mode().unwrap(), link, content),
        );
    }
    assert_eq!(found[&b"bin/tool"[..]], (EntryType::Regular, 0o755, None, b"#!/bin/sh\n".to_vec()));
    assert_eq!(found[&long(b'p')].3, b"long");
    assert_eq!(found[&b"far"[..]].2.as_deref(), Some(long(b't').as_slice()));
    assert_eq!(found[&b"empty"[..]].0, EntryType::Directory);
    assert!(found[&b"big"[..]].3 == big());

    // And back in again, which reads what was written here.
    session.copy_in("again", out.as_slice()).await.unwrap();
    expect_sample(&guest.seen(), "again/");
    assert!(link.operations() == 0 && !link.is_tainted());
}

#[tokio::test]
async fn the_systems_tar_reads_it() {
    let (_guest, _link, session) = session().await;
    session.copy_in("base", sample().as_slice()).await.unwrap();
    let mut out = Vec::new();
    session.copy_out_to("base", &mut out).await.unwrap();
    let mut list = Command::new("tar");
    list.args(["-t", "--quoting-style=literal"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut list = list.spawn().expect("the system has a tar");
    let mut stdin = list.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&out));
    let listed = list.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(listed.status.success());
    let names: Vec<&[u8]> = listed.stdout.split(|byte| *byte == b'\n').collect();
    assert!(names.contains(&&b"bin/tool"[..]) && names.contains(&long(b'p').as_slice()));
}

#[tokio::test]
async fn members_that_lead_out_are_refused() {
    let (guest, link, session) = session().await;
    let file = EntryType::Regular;
    let through = [forged(EntryType::Symlink, b"a", b"/etc"), forged(file, b"a/passwd", b"")].concat();
    for (tar, word) in [
        (forged(file, b"/etc/passwd", b""), "leads out"),
        (forged(file, b"../x", b""), "leads out"),
        (forged(file, b"a/../../x", b""), "leads out"),
        (forged(EntryType::Link, b"a", b"/etc/passwd"), "outside"),
        (forged(EntryType::Link, b"a", b"../x"), "outside"),
        (forged(EntryType::Char, b"null", b""), "neither"),
        (forged(EntryType::Fifo, b"pipe", b""), "neither"),
        (forged(EntryType::GNUSparse, b"holes", b""), "neither"),
        (forged(file, b"", b""), "without a name"),
        (through, "through a link"),
        (vec![b'x'; 512], ""),
        (sample()[..700].to_vec(), "cut short"),
    ] {
        let before = guest.seen().files;
        let error = session.copy_in("base", tar.as_slice()).await.unwrap_err();
        let WireError::Caller(cause) = &error else { panic!("{word}: {error:?}") };
        assert!(cause.to_string().contains(word), "{word}: {cause}");
        session.ping(Duration::from_secs(5)).await.unwrap();
        assert_eq!(guest.seen().files, before, "{word}");
    }
    assert!(link.operations() == 0 && !link.is_tainted());
}

#[tokio::test]
async fn a_copy_that_is_dropped_stops() {
    let (guest, link, session) = session().await;
    session.copy_in("base", sample().as_slice()).await.unwrap();
    let mut out = session.copy_out("base");
    out.read_exact(&mut [0; 4000]).await.unwrap();
    drop(out);
    assert_eq!(link.operations(), 0);
    session.ping(Duration::from_secs(5)).await.unwrap();
    assert_eq!(guest.seen().open, 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_stream_is_an_error_or_an_archive(
        hits in proptest::collection::vec((0_usize..4096, any::<u8>()), 1..8),
        cut in 0_usize..8192,
    ) {
        static SAMPLE: LazyLock<Vec<u8>> = LazyLock::new(|| sample()[..8192].to_vec());
        let mut tar = SAMPLE.clone();
        for (at, byte) in hits {
            tar[at] = byte;
            // Half of them get past the checksum.
            if byte % 2 == 0 {
                let block = &mut tar[at / 512 * 512..][..512];
                let mut header = Header::from_byte_slice(block).clone();
                header.set_cksum();
                block.copy_from_slice(header.as_bytes());
            }
        }
        tar.truncate(cut);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (_guest, link, session) = session().await;
            let work = session.copy_in("base", tar.as_slice());
            let _ = tokio::time::timeout(Duration::from_secs(20), work).await.expect("an end");
            assert!(link.operations() == 0 && !link.is_tainted());
        });
    }
}
