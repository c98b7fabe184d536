use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use ostler::backend::Backend;
use ostler::backend::fake::{Act, Fake, Point, Script, Seeded};
use ostler::model::FakeSpec;
use ostler::{RuntimeId, State};
use tokio::time::Instant;

use super::{Clock, Fault, Faults, Inflicted, Scene};

/// Longest that the engine is away, and that the clock jumps.
const AWAY: Duration = Duration::from_secs(3);
pub(in super::super) const JUMP: Duration = Duration::from_mins(1);

/// Acts that may wait for their moment.
const ARMED: usize = 64;
/// Strains that may wait to be read.
const STRAINS: usize = 4096;

/// A fake backend on which faults are staged: an act waits for the next call at its point.
#[derive(Debug)]
pub(super) struct Staged {
    fake: Fake,
    play: Arc<Play>,
    clock: Clock,
}

/// What the fake asks before each call.
#[derive(Debug)]
struct Play {
    usual: Seeded,
    staged: Mutex<Acts>,
}

#[derive(Debug, Default)]
struct Acts {
    armed: BTreeMap<u8, Vec<Act>>,
    /// The engine does not answer before.
    away: Option<Instant>,
    /// The engine makes nothing before.
    down: Option<Instant>,
    /// When something was slow, or a probe failed.
    strains: Vec<Instant>,
}

impl Script for Play {
    fn next(&self, point: Point) -> Act {
        let usual = self.usual.next(point);
        let mut acts = self.lock();
        let now = Instant::now();
        let act = acts.next(point, usual, now);
        if matches!(act, Act::Slow(_) | Act::Hang) || (point == Point::Ping && act != Act::Work) {
            acts.strain(now);
        }
        act
    }
}

impl Acts {
    fn next(&mut self, point: Point, usual: Act, now: Instant) -> Act {
        if let Some(end) = self.away.filter(|end| *end > now) {
            return Act::Slow(end - now);
        }
        if point == Point::Launch && self.down.is_some_and(|end| end > now) {
            return Act::Fail;
        }
        self.armed.get_mut(&(point as u8)).and_then(Vec::pop).unwrap_or(usual)
    }

    fn strain(&mut self, now: Instant) {
        if self.strains.last() != Some(&now) && self.strains.len() < STRAINS {
            self.strains.push(now);
        }
    }
}

impl Play {
    fn lock(&self) -> MutexGuard<'_, Acts> {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arm(&self, point: Point, act: Act) -> bool {
        let mut acts = self.lock();
        let fits = acts.armed.values().map(Vec::len).sum::<usize>() < ARMED;
        if fits {
            acts.armed.entry(point as u8).or_default().push(act);
        }
        fits
    }
}

/// The script that a [`Fake`] owns.
#[derive(Debug)]
struct Copy(Arc<Play>);

impl Script for Copy {
    fn next(&self, point: Point) -> Act {
        self.0.next(point)
    }
}

impl Staged {
    pub(super) fn new(spec: &FakeSpec, seed: u64, clock: Clock) -> Self {
        let usual = Seeded::new(&FakeSpec { seed: spec.seed ^ seed, ..spec.clone() });
        let play = Arc::new(Play { usual, staged: Mutex::default() });
        Self { fake: Fake::scripted(Copy(Arc::clone(&play))), play, clock }
    }

    pub(super) fn backend(&self) -> Arc<dyn Backend> {
        Arc::new(self.fake.clone())
    }

    async fn kill(&self, scene: &Scene<'_>, rng: &mut Rng) -> anyhow::Result<bool> {
        let Some(victim) = victim(scene, rng).await? else { return Ok(false) };
        let handle = format!("fake {victim}");
        scene.hurt(&handle);
        scene.killed(&handle);
        Ok(self.fake.kill(victim))
    }

    async fn restart(&self, scene: &Scene<'_>, rng: &mut Rng) -> anyhow::Result<bool> {
        self.play.lock().down = Some(Instant::now() + AWAY.mul_f64(rng.f64()));
        for runtime in scene.pool.snapshot().await?.runtimes {
            scene.hurt(&format!("fake {}", runtime.id));
            self.fake.kill(runtime.id);
        }
        Ok(true)
    }
}

/// Any runtime there is, whatever it is doing.
async fn victim(scene: &Scene<'_>, rng: &mut Rng) -> anyhow::Result<Option<RuntimeId>> {
    let runtimes = scene.pool.snapshot().await?.runtimes;
    let there: Vec<_> = runtimes.iter().filter(|runtime| runtime.state != State::Launching).collect();
    Ok((!there.is_empty()).then(|| there[rng.usize(..there.len())].id))
}

fn any(rng: &mut Rng, points: &[Point]) -> Point {
    points[rng.usize(..points.len())]
}

impl Faults for Staged {
    fn refuses(&self, fault: Fault) -> Option<&'static str> {
        match fault {
            Fault::Oom | Fault::ForkBomb | Fault::DiskFull | Fault::OutputFlood => {
                Some("a fake runtime has no memory, processes, disk or output to run out of")
            }
            Fault::ClockJump if self.clock == Clock::Real => Some("the clock of this run is the world's"),
            _ => None,
        }
    }

    fn inflict<'a>(&'a self, fault: Fault, scene: &'a Scene<'a>, rng: &'a mut Rng) -> Inflicted<'a> {
        use Point::{Destroy, Launch, Operation, Ping, Reset, Verify};
        Box::pin(async move {
            scene.trouble();
            let done = match fault {
                Fault::Kill => return self.kill(scene, rng).await,
                Fault::DaemonRestart => return self.restart(scene, rng).await,
                Fault::DaemonHang => {
                    self.play.lock().away = Some(Instant::now() + AWAY.mul_f64(rng.f64()));
                    true
                }
                Fault::Hang => {
                    let point = any(rng, &[Launch, Ping, Operation, Reset, Verify, Destroy]);
                    self.play.arm(point, Act::Hang)
                }
                Fault::Slow => {
                    let point = any(rng, &[Launch, Ping, Operation, Reset, Verify, Destroy]);
                    self.play.arm(point, Act::Slow(Duration::from_millis(rng.u64(10..1000))))
                }
                Fault::Exit => {
                    let point = any(rng, &[Ping, Operation, Reset]);
                    self.play.arm(point, Act::Exit)
                }
                Fault::LaunchFailure => {
                    let act = if rng.bool() { Act::Fail } else { Act::Panic };
                    self.play.arm(Launch, act)
                }
                Fault::ResetFailure => match rng.u8(..4) {
                    0 => self.play.arm(Reset, Act::Lie),
                    1 => self.play.arm(Verify, Act::Fail),
                    2 => self.play.arm(Verify, Act::Panic),
                    _ => self.play.arm(Reset, Act::Fail),
                },
                Fault::ClockJump => {
                    let by = JUMP.mul_f64(rng.f64());
                    tokio::time::advance(by).await;
                    scene.world.targets.iter().for_each(|target| target.jumped(by));
                    true
                }
                _ => false,
            };
            Ok(done)
        })
    }

    fn relent(&self) {
        let mut acts = self.play.lock();
        *acts = Acts { strains: std::mem::take(&mut acts.strains), ..Acts::default() };
    }

    fn strains(&self) -> Vec<Instant> {
        std::mem::take(&mut self.play.lock().strains)
    }

    fn alive(&self) -> anyhow::Result<u64> {
        Ok(self.fake.census().alive)
    }

    fn count(&self) -> anyhow::Result<Option<usize>> {
        Ok(Some(self.alive()?.try_into()?))
    }
}
