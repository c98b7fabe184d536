use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use slog::warn;
use tokio::time::{MissedTickBehavior, interval};

use super::board::Sample;
use super::checker::{Allowance, Breach, Census, Grown, Growth, Vitals, excess};
use super::faults::Clock;
use super::progress::Progress;
use super::world::{Target, World};

/// How often a run is looked at.
const REAL: Duration = Duration::from_millis(250);
const VIRTUAL: Duration = Duration::from_millis(100);
/// Looks at every process of the host are dear; one look in so many.
const EACH: u64 = 8;

/// Takes a sample now and again, and looks at the host.
pub(super) struct Sampler {
    world: Arc<World>,
    census: Option<Census>,
    growth: Growth,
    ticks: u64,
    progress: Progress,
    stall: Duration,
}

impl Sampler {
    pub(super) fn new(world: &Arc<World>) -> Self {
        let recovery = world.targets.iter().map(Target::recovery).max().unwrap_or_default();
        // Some come seldom.
        let arrivals =
            world.settings.arrivals.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(10.0 / rate));
        Self {
            world: Arc::clone(world),
            census: census(world),
            growth: Growth::default(),
            ticks: 0,
            progress: Progress::new(world),
            stall: recovery * 2 + world.slack + arrivals,
        }
    }

    /// A load that gets no lease any more would never come to its end.
    fn watch_progress(&mut self) {
        if self.progress.idle(&self.world) > self.stall && !self.world.board.is_stopped() {
            let words = format!("nobody was given a lease for {:?}; the load ends here", self.stall);
            self.world.breach(Breach::Lost, words);
            self.world.board.stop();
        }
    }

    /// What has become of this process so far; nothing when it is too early to tell.
    pub(super) fn grown(&self) -> Option<Grown> {
        self.growth.result()
    }

    /// One look.
    fn look(&mut self) {
        self.world.judge(false);
        self.watch_progress();
        let mut vitals = Vitals::default();
        // Hours of another clock say nothing about how this process grows with time.
        if self.world.clock == Clock::Real
            && let Some(now) = Vitals::read()
        {
            vitals = now;
            self.growth.add(self.world.now(), now);
        }
        self.world.board.sample(figures(&self.world, vitals));
        if let Err(error) = self.count() {
            warn!(self.world.log, "the processes of this host can't be looked at"; "cause" => %error);
        }
        self.ticks += 1;
    }

    fn count(&mut self) -> std::io::Result<()> {
        let dear = !self.ticks.is_multiple_of(EACH);
        for target in self.world.targets.iter().filter(|target| target.is_fake() || !dear) {
            // Engines are stopped and started again; in the end there must be an answer.
            drop(self.world.count(target));
        }
        let Some(census) = &mut self.census else { return Ok(()) };
        let world = Arc::clone(&self.world);
        let allowances = world.targets.iter().filter(|target| target.has_keepers()).map(|target| Allowance {
            pool: target.pool.name(),
            limit: target.limit(),
            keepers: &target.keepers,
        });
        for what in excess(&Census::at_once()?, &allowances.collect::<Vec<_>>()) {
            world.breach(Breach::Exceeded, what);
        }
        if self.ticks.is_multiple_of(EACH) {
            for (breach, what) in census.survivors(|token| world.is_live(token))? {
                world.breach(breach, what);
            }
            world.board.tally.scans.one();
        }
        Ok(())
    }
}

/// For as long as it is let.
pub(super) async fn sample(sampler: Rc<RefCell<Sampler>>) {
    let pause = match sampler.borrow().world.clock {
        Clock::Real => REAL,
        Clock::Virtual => VIRTUAL,
    };
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        sampler.borrow_mut().look();
    }
}

/// What there is to look at: processes, on this host or in containers of it, if any pool makes such.
pub(super) fn census(world: &World) -> Option<Census> {
    let real = || world.targets.iter().filter(|target| !target.is_fake());
    let graces = real().map(|target| target.spec.reset_timeout + target.spec.retire_timeout);
    Some(Census::new(world.run, graces.max()? + Duration::from_secs(10)))
}

fn figures(world: &World, vitals: Vitals) -> Sample {
    let [acquire_p50_ms, acquire_p99_ms] = world.board.latencies.take_recent();
    let mut sample = Sample {
        at_s: world.now().as_secs_f64(),
        states: BTreeMap::new(),
        leases: world.board.tally.leases.get(),
        acquire_p50_ms,
        acquire_p99_ms,
        vitals,
        ..Sample::default()
    };
    for target in &world.targets {
        let status = target.pool.status();
        for (state, count) in &status.states {
            *sample.states.entry(state.name()).or_default() += count;
        }
        sample.ready += status.ready;
        sample.leased += status.leased;
        sample.waiters += status.waiters;
        sample.degraded |= status.degraded;
    }
    sample
}
