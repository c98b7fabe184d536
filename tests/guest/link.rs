//! The link goes where its caller is: one runtime, another one, several at once, or none; and no call waits for
//! another that nobody polls.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use crate::scripted::ScriptedGuest;
use ostler::guest::{Defaults, Exec, Link, Session, Wire, connect};
use ostler::model::Epoch;
use tokio::runtime::{Builder, Runtime};

const FILE: &[u8] = &[7; 1024];

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn multi_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// A runtime with a thread that drives it, as ostler's own has.
struct Home(Runtime);

impl Home {
    fn new() -> Self {
        Self(Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap())
    }

    fn link(&self) -> (ScriptedGuest, Arc<Link>) {
        let (guest, stream) = ScriptedGuest::start();
        guest.put("file", FILE);
        let link = Link::with_home(stream, self.0.handle().clone()).unwrap();
        self.0.block_on(link.hello(Duration::from_secs(5))).unwrap();
        link.end();
        (guest, link)
    }
}

fn session(link: &Arc<Link>, epoch: u64) -> Session {
    link.begin(Epoch(epoch));
    Session::new(Arc::clone(link) as _, Epoch(epoch), Arc::new(Defaults::default()))
}

/// An executor that knows nothing of tokio.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn a_wire_moves_from_runtime_to_runtime_with_its_lease() {
    let home = Home::new();
    let (_guest, link) = home.link();
    for epoch in 0..20 {
        let runtime = if epoch % 2 == 0 { current_thread() } else { multi_thread() };
        let session = session(&link, epoch);
        assert_eq!(runtime.block_on(session.read("file")).unwrap(), FILE);
        assert_eq!(
            runtime
                .block_on(async { tokio::spawn(async move { session.read("file").await }).await })
                .unwrap()
                .unwrap(),
            FILE
        );
        if epoch % 3 != 0 {
            // The runtime may end before the lease or after it.
            drop(runtime);
        }
        link.end();
    }
}

#[test]
fn one_lease_is_used_from_several_runtimes_of_which_some_stand_still() {
    let home = Home::new();
    let (_guest, link) = home.link();
    let session = session(&link, 1);
    let (still, other) = (current_thread(), current_thread());
    assert_eq!(still.block_on(session.read("file")).unwrap(), FILE);
    assert_eq!(other.block_on(session.read("file")).unwrap(), FILE);
    // Begun on one, finished on the other: nobody drives the first any more.
    let mut half = Box::pin(session.read("file"));
    still.block_on(async {
        std::future::poll_fn(|cx| {
            let _ = half.as_mut().poll(cx);
            Poll::Ready(())
        })
        .await;
    });
    assert_eq!(other.block_on(half).unwrap(), FILE);
    drop(still);
    assert_eq!(other.block_on(session.read("file")).unwrap(), FILE);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let runtime = current_thread();
                for _ in 0..50 {
                    assert_eq!(runtime.block_on(session.read("file")).unwrap(), FILE);
                }
            });
        }
    });
    assert_eq!(link.operations(), 0);
}

#[test]
fn a_caller_without_tokio_is_served_from_home() {
    let home = Home::new();
    let (_guest, link) = home.link();
    let defaults = Defaults { home: Some(home.0.handle().clone()), ..Defaults::default() };
    link.begin(Epoch(1));
    let session = Session::new(Arc::clone(&link) as _, Epoch(1), Arc::new(defaults));
    for _ in 0..100 {
        assert_eq!(block_on(session.read("file")).unwrap(), FILE);
    }
    assert!(block_on(session.exec(Exec::new("true"))).unwrap().success());
    let silent = block_on(session.exec(Exec::new("hang").timeout(Duration::from_millis(1)))).unwrap_err();
    assert!(silent.is_unknown());
}

async fn thousand(session: &Session) {
    let mut reads = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let session = session.clone();
        reads.spawn(async move { session.read("file").await });
    }
    while let Some(read) = reads.join_next().await {
        assert_eq!(read.unwrap().unwrap(), FILE);
    }
}

#[test]
fn a_thousand_calls_at_once() {
    let home = Home::new();
    for runtime in [current_thread(), multi_thread()] {
        let (guest, link) = home.link();
        let session = session(&link, 1);
        runtime.block_on(thousand(&session));
        assert_eq!((link.operations(), guest.seen().open, guest.seen().cancels), (0, 0, 0));
    }
}

#[test]
fn a_call_that_nobody_polls_any_more_holds_up_no_other() {
    let home = Home::new();
    for runtime in [current_thread(), multi_thread()] {
        let (_guest, link) = home.link();
        let session = session(&link, 1);
        runtime.block_on(async {
            // Polled once, so that they wait on the socket before anybody else does, and then left alone.
            let mut left = Vec::new();
            for _ in 0..10 {
                let mut stream = session.exec_stream(Exec::new("spew").args(["3000000", "10000"])).unwrap();
                let other = tokio::spawn(async move {
                    let _ = tokio::time::timeout(Duration::ZERO, stream.next()).await;
                    stream
                });
                left.push(other.await.unwrap());
            }
            thousand(&session).await;
            for stream in left {
                let out = stream.wait().await.unwrap();
                assert_eq!((out.stdout_bytes, out.stdout.len()), (3_000_000, 1 << 20));
            }
        });
        assert_eq!(link.operations(), 0);
    }
}

#[test]
fn a_stream_that_is_always_ready_lets_its_neighbours_run() {
    let home = Home::new();
    let (_guest, link) = home.link();
    let session = session(&link, 1);
    let turns = Arc::new(AtomicUsize::new(0));
    current_thread().block_on(async {
        let mut stream = session.exec_stream(Exec::new("spew").args(["10000", "1"])).unwrap();
        // All 10 000 pieces fit the window, and are in the inbox when the ping that came after is answered.
        session.ping(Duration::from_secs(5)).await.unwrap();
        let neighbour = tokio::spawn({
            let turns = Arc::clone(&turns);
            async move {
                loop {
                    turns.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                }
            }
        });
        while stream.next().await.is_some() {}
        neighbour.abort();
    });
    // One in 128 by tokio's budget; a stream that never yields would give it none.
    assert!(turns.load(Ordering::Relaxed) >= 50, "{turns:?} turns");
}

#[test]
fn connect_greets_both_ways_and_a_stranger_is_refused() {
    let runtime = current_thread();
    let ((_a, control), (b, data)) = (ScriptedGuest::start(), ScriptedGuest::start());
    b.put("file", FILE);
    runtime.block_on(async {
        let (control, data) = connect(control, data, Duration::from_secs(5)).await.unwrap();
        data.begin(Epoch(1));
        let defaults = Arc::new(Defaults::default());
        let session = Session::new(data, Epoch(1), Arc::clone(&defaults));
        assert_eq!(session.read("file").await.unwrap(), FILE);
        let keeper = Session::new(control, Epoch(0), defaults);
        keeper.ping(Duration::from_secs(5)).await.unwrap();
        assert_eq!(keeper.reset(Epoch(1), Duration::from_secs(5)).await.unwrap(), 0);
        keeper.shutdown(Duration::from_secs(5)).await.unwrap();

        let (silent, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
        let error = Link::new(silent).unwrap().hello(Duration::from_millis(10)).await.unwrap_err();
        assert!(error.is_unknown());
    });
}

#[test]
fn the_last_one_out_closes_the_stream() {
    let home = Home::new();
    let (guest, link) = home.link();
    let runtime = multi_thread();
    let stream = {
        let session = session(&link, 1);
        let _inside = runtime.enter();
        session.exec_stream(Exec::new("hang")).unwrap()
    };
    drop(link);
    drop(stream);
    // Would hang if the runtime's registration kept the stream open.
    let seen = guest.join();
    assert_eq!((seen.requests, seen.cancels), (2, 1));
}
