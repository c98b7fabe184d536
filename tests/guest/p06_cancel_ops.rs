//! P6: operations of a lease may be dropped at any await, while others run on the same wire; nothing leaks,
//! nothing is answered to the wrong one, and the guest forgets what nobody wants.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::scripted::ScriptedGuest;
use ostler::guest::{Defaults, Exec, Link, Session, Wire, WireError};
use ostler::model::Epoch;
use tokio::runtime::Builder;

/// Polls what is inside so many times; then it is gone.
struct DropAfter<F> {
    inner: Pin<Box<F>>,
    polls: u32,
}

impl<F: Future> Future for DropAfter<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls == 0 {
            return Poll::Ready(None);
        }
        self.polls -= 1;
        let poll = self.inner.as_mut().poll(cx).map(Some);
        if poll.is_pending() && self.polls == 0 {
            cx.waker().wake_by_ref();
        }
        poll
    }
}

/// One operation of a random kind, with its answer checked.
async fn operation(session: Session, random: fastrand::Rng) -> Result<(), WireError> {
    let mut random = random;
    let id = random.u64(..);
    let name = format!("f{}", id % 50);
    let size = [0, 10, 1000, 70_000, 1_500_000][random.usize(..5)];
    let content = vec![u8::try_from(id % 256).unwrap(); size];
    match random.u32(..5) {
        0 => session.write(&name, &content).await,
        1 => match session.read(&name).await {
            Ok(content) => {
                // Written whole or not at all: all bytes of a file are the same.
                assert!(content.windows(2).all(|pair| pair[0] == pair[1]));
                Ok(())
            }
            Err(error) if error.refusal().is_some() => Ok(()),
            Err(error) => Err(error),
        },
        2 => {
            let out = session.exec(Exec::new("cat").stdin(content.clone()).output_limit(4 << 20)).await?;
            assert!(out.stdout == content);
            Ok(())
        }
        3 => {
            let mut stream = session.exec_stream(Exec::new("spew").args([size.to_string(), "999".into()]))?;
            let mut left = random.u32(..20);
            while left > 0 && stream.next().await.transpose()?.is_some() {
                left -= 1;
            }
            let read = stream.wait().await?;
            assert_eq!(read.stdout_bytes, size as u64);
            Ok(())
        }
        _ => session.write_from(&name, content.as_slice()).await.map(drop),
    }
}

async fn storm(seed: u64, rounds: usize) {
    let (guest, stream) = ScriptedGuest::start();
    let link = Link::new(stream).unwrap();
    link.hello(Duration::from_secs(5)).await.unwrap();
    let mut random = fastrand::Rng::with_seed(seed);
    for epoch in 1..=3 {
        link.begin(Epoch(epoch));
        let wire: Arc<dyn Wire> = Arc::clone(&link) as _;
        let session = Session::new(wire, Epoch(epoch), Arc::new(Defaults::default()));
        let mut tasks = tokio::task::JoinSet::new();
        let mut dropped = 0;
        for _ in 0..rounds {
            let work = operation(session.clone(), random.fork());
            let polls = if random.bool() { u32::MAX } else { random.u32(1..5) };
            tasks.spawn(DropAfter { inner: Box::pin(work), polls });
            if random.u32(..4) == 0 {
                tokio::task::yield_now().await;
            }
            while tasks.len() > 20 {
                let done = tasks.join_next().await.unwrap().unwrap();
                dropped += usize::from(done.is_none());
                done.transpose().unwrap();
            }
        }
        if epoch == 3 {
            // The lease ends in the middle of it.
            link.end();
            while let Some(done) = tasks.join_next().await {
                assert!(matches!(done.unwrap(), None | Some(Ok(()) | Err(WireError::Ended))), "seed {seed}");
            }
        } else {
            while let Some(done) = tasks.join_next().await {
                done.unwrap().transpose().unwrap();
            }
        }
        assert!(dropped > rounds / 20, "seed {seed}: only {dropped} were dropped");
        assert_eq!(link.operations(), 0, "seed {seed}");
        // Answered after everything before it, so the guest has heard of every cancel.
        session.ping(Duration::from_secs(5)).await.unwrap();
        assert_eq!(guest.seen().open, 0, "seed {seed}");
        assert!(!link.is_tainted(), "seed {seed}");
        link.end();
    }
    drop(link);
    tokio::task::spawn_blocking(|| guest.join()).await.unwrap();
}

#[test]
fn operations_dropped_at_random_awaits_leave_nothing_behind() {
    for seed in 0..8 {
        let mut builder =
            if seed % 2 == 0 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
        let runtime = builder.enable_all().build().unwrap();
        runtime.block_on(async {
            let storm = pin!(storm(seed, 150));
            let limit = tokio::time::timeout(Duration::from_mins(1), storm).await;
            assert!(limit.is_ok(), "seed {seed}: a wake-up was lost");
        });
    }
}
