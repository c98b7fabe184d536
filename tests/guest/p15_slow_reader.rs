//! P15: bounded memory. A stream that nobody reads holds a window of output and no more, and holds up nobody.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ostler::guest::{Chunk, Defaults, Exec, Link, Session, Wire};
use ostler::model::Epoch;
use ostler::protocol::WINDOW;

use crate::scripted::ScriptedGuest;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_nobody_reads_slows_down_nobody_but_its_own_command() {
    let (guest, stream) = ScriptedGuest::start();
    let link = Link::new(stream).unwrap();
    link.hello(Duration::from_secs(5)).await.unwrap();
    link.begin(Epoch(1));
    let session = Session::new(Arc::clone(&link) as _, Epoch(1), Arc::new(Defaults::default()));
    let mut slow = Vec::new();
    for _ in 0..8 {
        slow.push(session.exec_stream(Exec::new("spew").args(["30000000", "50000"])).unwrap());
    }
    for _ in 0..200 {
        session.write("file", vec![1; 10_000]).await.unwrap();
        assert_eq!(session.read("file").await.unwrap().len(), 10_000);
    }
    assert_eq!(guest.seen().open, 8);
    // Of the 240 MB that are to come it could send eight windows, beside what was read above.
    assert!(guest.seen().sent <= 8 * u64::from(WINDOW) + 200 * 10_000, "{} bytes", guest.seen().sent);
    for mut stream in slow {
        let mut got = 0;
        while let Some(chunk) = stream.next().await {
            let (Chunk::Stdout(bytes) | Chunk::Stderr(bytes)) = chunk.unwrap();
            got += Bytes::len(&bytes);
        }
        assert_eq!(got, 30_000_000);
    }
}
