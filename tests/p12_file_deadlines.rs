//! P12 for files: a guest that does not answer a file operation ends it after `file_timeout`, whichever it is, and the
//! runtime is replaced. What a caller's own stream takes does not count.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod support;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use ostler::backend::fake::{Act, Fake, Point};
use ostler::model::HealthSpec;
use ostler::{Error, ErrorKind, Lease, PoolSpec};
use support::gated::Gates;
use support::sim::{simulate, start};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::time::{Instant, sleep};

const LIMIT: Duration = Duration::from_secs(3);

type Operation = for<'a> fn(&'a Lease) -> Pin<Box<dyn Future<Output = Result<(), Error>> + 'a>>;

/// A tar of one file.
fn tar() -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o644);
    header.set_cksum();
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, "file", &b"text"[..]).unwrap();
    archive.into_inner().unwrap()
}

const OPERATIONS: [(&str, Operation); 14] = [
    ("read", |lease| Box::pin(async { lease.read("file").await.map(drop) })),
    ("read_range", |lease| Box::pin(async { lease.read_range("file", 1..2).await.map(drop) })),
    ("read_to", |lease| Box::pin(async { lease.read_to("file", tokio::io::sink()).await.map(drop) })),
    ("write", |lease| Box::pin(lease.write("file", b"short"))),
    ("a long write", |lease| Box::pin(lease.write("file", vec![7; 1 << 20]))),
    ("write_from", |lease| Box::pin(async { lease.write_from("file", &b"text"[..]).await.map(drop) })),
    ("list", |lease| Box::pin(async { lease.list("").await.map(drop) })),
    ("stat", |lease| Box::pin(async { lease.stat("file").await.map(drop) })),
    ("remove", |lease| Box::pin(lease.remove("file"))),
    ("remove_all", |lease| Box::pin(lease.remove_all("file"))),
    ("make_dir", |lease| Box::pin(lease.make_dir("directory"))),
    ("symlink", |lease| Box::pin(lease.symlink("file", "link"))),
    ("copy_in", |lease| Box::pin(async { lease.copy_in("", &tar()[..]).await.map(drop) })),
    ("copy_out_to", |lease| Box::pin(async { lease.copy_out_to("", tokio::io::sink()).await.map(drop) })),
];

fn spec() -> PoolSpec {
    // Health must not be what ends it.
    let health = HealthSpec { interval: Duration::from_mins(10), ..HealthSpec::default() };
    PoolSpec { min: 1, max: 1, file_timeout: LIMIT, health, ..PoolSpec::default() }
}

#[test]
fn every_operation_ends_when_the_guest_does_not_answer() {
    for (name, operation) in OPERATIONS {
        simulate(async {
            let gates = Gates::default();
            let (ostler, pool) = start(spec(), Fake::scripted(gates.clone()), 1).await;
            let lease = pool.acquire().await.unwrap();
            lease.write("file", b"text").await.unwrap();
            gates.set(Point::Operation, Act::Hang);
            let begun = Instant::now();
            let ended = tokio::time::timeout(LIMIT * 10, operation(&lease)).await;
            let error = ended.unwrap_or_else(|_| panic!("{name} did not end")).unwrap_err();
            let took = begun.elapsed();
            assert!(matches!(error.kind(), ErrorKind::Lost(_)) && error.is_retryable(), "{name}: {error:?}");
            assert!((LIMIT..LIMIT * 2).contains(&took), "{name}: {took:?}");
            gates.set(Point::Operation, Act::Work);
            let runtime = lease.runtime();
            drop(lease);
            let next = pool.acquire().await.unwrap();
            assert_ne!(next.runtime(), runtime, "{name}: nobody knows what became of it");
            assert!(next.list("").await.unwrap().is_empty(), "{name}");
            drop(next);
            ostler.shutdown().await.unwrap();
        });
    }
}

#[test]
fn a_slow_guest_and_a_slower_caller_are_not_cut_off() {
    simulate(async {
        let gates = Gates::default();
        let (ostler, pool) = start(spec(), Fake::scripted(gates.clone()), 1).await;
        let lease = pool.acquire().await.unwrap();
        gates.set(Point::Operation, Act::Slow(LIMIT / 2));
        let (mut ours, theirs) = duplex(64);
        let writes = lease.write_from("file", theirs);
        let feeds = async {
            for _ in 0..10 {
                sleep(LIMIT).await;
                ours.write_all(b"more").await.unwrap();
            }
            drop(ours);
        };
        let (written, ()) = tokio::join!(writes, feeds);
        assert_eq!(written.unwrap(), 40);
        let (mut ours, theirs) = duplex(8);
        let reads = lease.read_to("file", theirs);
        let drinks = async {
            let mut bytes = [0; 4];
            for _ in 0..10 {
                sleep(LIMIT).await;
                ours.read_exact(&mut bytes).await.unwrap();
            }
        };
        let (read, ()) = tokio::join!(reads, drinks);
        assert_eq!(read.unwrap(), 40);
        drop(lease);
        ostler.shutdown().await.unwrap();
    });
}
