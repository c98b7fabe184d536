//! What no backend can do to a pool is staged behind the harness's back, as a pool that is broken would look to it.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use ostler::backend::Backend;
use ostler::{Change, Epoch, Reason, RuntimeId};
use slog::{Discard, Logger, o};
use tokio::time::Instant;

use super::board::Board;
use super::checker::{Arrival, Breach};
use super::faults::{Fault, Faults, Inflicted, Scene};
use super::run::{Outcome, play_with};
use super::tests::{Flaw, Flawed, POOL, breaches, settings_of};
use super::world::Target;

/// What is done at each fault, without a word to the docket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trick {
    /// A runtime is killed.
    Kill,
    /// An hour goes by.
    Sleep,
    /// Somebody else has each runtime.
    Share,
    /// Somebody comes and is served at once.
    Push,
    /// A runtime is said to have been killed.
    Pretend,
    /// Many are said to have failed.
    Owe,
}

struct Trickster {
    flawed: Flawed,
    trick: Trick,
}

impl Trickster {
    async fn play(&self, scene: &Scene<'_>, rng: &mut Rng) -> anyhow::Result<()> {
        let Target { ledger, notices, restarts, .. } = &scene.world.targets[0];
        let stamps = &scene.world.stamps;
        let runtimes = scene.pool.snapshot().await?.runtimes;
        let any = runtimes.get(rng.usize(..runtimes.len().max(1))).map(|runtime| runtime.id);
        let enter = |runtime, epoch| {
            let (began, granted) = (stamps.next(), stamps.next());
            let arrival = Arrival { client: 99, began, queued: None, granted, at: Instant::now() };
            ledger.enter(runtime, epoch, arrival);
        };
        match self.trick {
            Trick::Kill => drop(any.map(|id| self.flawed.fake.kill(id))),
            Trick::Sleep => tokio::time::advance(Duration::from_hours(1)).await,
            Trick::Share => runtimes.iter().for_each(|runtime| enter(runtime.id, Epoch(u64::MAX))),
            Trick::Push => {
                let runtime = RuntimeId(rng.u64(1 << 32..1 << 40));
                enter(runtime, Epoch(1));
                ledger.leave(runtime, Epoch(1), stamps.next());
            }
            Trick::Pretend => drop(any.map(|id| notices.killed(&format!("fake {id}")))),
            Trick::Owe => {
                let failed = Change::Retiring { runtime: RuntimeId(0), reason: Reason::Exited };
                for _ in 0..200 {
                    restarts.hear(&failed, Instant::now());
                }
            }
        }
        Ok(())
    }
}

impl Faults for Trickster {
    fn refuses(&self, fault: Fault) -> Option<&'static str> {
        (fault != Fault::Kill).then_some("it is no trick")
    }

    fn inflict<'a>(&'a self, _: Fault, scene: &'a Scene<'a>, rng: &'a mut Rng) -> Inflicted<'a> {
        Box::pin(async move { self.play(scene, rng).await.map(|()| true) })
    }
}

fn play(trick: Trick, max_uses: u64) -> Outcome {
    let pool = POOL.replace("max = 4\n", &format!("max = 4\nmax_uses = {max_uses}\n"));
    let words = ["--ops", "4000", "--faults", "kill", "--rate", "20/1000"];
    let log = Logger::root(Discard, o!());
    play_with(&settings_of(&pool, &words), 1, &Arc::new(Board::new()), &log, |_, _| {
        let flawed = Flawed::new(Flaw::None);
        let backend: Arc<dyn Backend> = Arc::new(flawed.clone());
        (Arc::new(Trickster { flawed, trick }) as Arc<dyn Faults>, Some(backend))
    })
    .unwrap()
}

#[test]
fn each_trick_is_found_out() {
    for (trick, max_uses, wanted) in [
        (Trick::Kill, 1000, Breach::Disturbed),
        (Trick::Sleep, 1000, Breach::Late),
        (Trick::Share, 1000, Breach::Doubled),
        (Trick::Share, 2, Breach::Evicted),
        (Trick::Push, 1000, Breach::Overtaken),
        (Trick::Pretend, 1000, Breach::Unnoticed),
        (Trick::Owe, 1, Breach::Rushed),
    ] {
        let outcome = play(trick, max_uses);
        assert!(outcome.counts.all_faults() > 2, "{trick:?}: {:?}", outcome.counts);
        assert!(breaches(&outcome).contains(&wanted), "{trick:?}: {:?}", outcome.violations);
    }
}
