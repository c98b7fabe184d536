use std::time::Duration;

use ostler::decide::{Event, Fate};
use ostler::model::{PoolSpec, ResetPolicy, RestartPolicy, RestartSpec, RuntimeId};

use super::{Plan, World};

/// What a random history is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mix {
    /// Leases, faults, resizes, spec changes.
    Everything,
    /// Leases and faults; the settings stay.
    Faults,
}

/// Settings small enough that every bound is met often, from one word.
fn random_spec(word: u64) -> PoolSpec {
    let mut rng = fastrand::Rng::with_seed(word);
    let max = rng.usize(1..=6);
    PoolSpec {
        min: rng.usize(0..=max),
        max,
        overflow: rng.usize(0..=2),
        launch_parallelism: rng.usize(1..=4),
        launch_timeout: Duration::from_secs(2),
        max_uses: rng.bool().then(|| rng.u64(1..=4)),
        max_lifetime: (rng.u8(0..3) == 0).then(|| Duration::from_secs(rng.u64(1..20))),
        idle_timeout: rng.bool().then(|| Duration::from_secs(rng.u64(1..5))),
        reset: if rng.bool() { ResetPolicy::Wipe } else { ResetPolicy::None },
        restart: RestartSpec {
            policy: RestartPolicy::Always,
            intensity: rng.u32(1..=5),
            window: Duration::from_millis(rng.u64(200..5000)),
            backoff: Duration::from_millis(rng.u64(10..200)),
            backoff_cap: Duration::from_millis(rng.u64(200..1500)),
        },
        ..PoolSpec::default()
    }
}

impl World {
    /// A pool with random settings.
    pub(crate) fn random(seed: u64) -> Self {
        Self::new(random_spec(seed), Plan::CALM, seed)
    }

    /// A random history, then peace, and the checks of what must hold then.
    pub(crate) fn live_through(&mut self, words: &[u32], mix: Mix) {
        for word in words {
            self.act(*word, mix);
        }
        if words.len().is_multiple_of(4) {
            // The end comes in the midst of it.
            self.queue(Event::Drain);
            for word in words.iter().take(50) {
                self.act(*word, mix);
            }
            return self.check_drain();
        }
        self.calm();
        self.check_rest();
        self.check_heals();
        self.check_idle();
        self.check_drain();
    }

    /// One stimulus, decoded from a word; zero is the dullest, so that failures shrink towards it.
    fn act(&mut self, word: u32, mix: Mix) {
        let arg = (word >> 8) as usize;
        match word % 64 {
            0..=11 => self.pass(Duration::from_millis(arg as u64 % 64)),
            12..=13 => self.pass(Duration::from_millis(arg as u64 % 2048)),
            14..=24 => {
                for _ in 0..arg % 6 {
                    self.deliver_next();
                }
            }
            25 => self.deliver_all(),
            26..=34 => self.lease(),
            35..=36 => self.lease_with_overflow(),
            37..=46 => self.release(arg, Fate::Used),
            47 if arg.is_multiple_of(3) => self.expire(arg),
            47 => self.release(arg, Fate::Quarantined),
            48..=50 => self.give_up(),
            51 => self.queue_tick(),
            52..=53 => self.harm(arg, Event::Exited),
            54 => self.harm(arg, Event::Unhealthy),
            55 => {
                if let Some(id) = self.some_runtime(arg) {
                    self.crash(id);
                }
            }
            56 => self.plan.launch_faults = [0, 0, 20, 100][arg % 4],
            57 => self.plan.launch_hangs = [0, 0, 0, 10][arg % 4],
            58 => self.plan.reset_faults = [0, 0, 10, 50][arg % 4],
            59 => self.plan.retire = Duration::from_millis([0, 20, 20, 2000][arg % 4]),
            60 => self.plan.launch = Duration::from_millis([0, 5, 50, 500][arg % 4]),
            _ if mix == Mix::Faults => {}
            61 => self.resize(arg),
            62 if arg.is_multiple_of(2) => self.reconfigure(|spec| {
                spec.env.insert("version".to_owned(), arg.to_string());
            }),
            62 => self.reconfigure(|spec| spec.max_uses = Some(arg as u64 % 4 + 1)),
            _ => self.lease(),
        }
    }

    fn resize(&mut self, arg: usize) {
        self.reconfigure(|spec| {
            spec.max = arg % 6 + 1;
            spec.min = (arg / 6) % (spec.max + 1);
            spec.overflow = (arg / 42) % 3;
        });
    }

    fn harm(&mut self, arg: usize, what: fn(RuntimeId) -> Event) {
        if let Some(id) = self.some_runtime(arg) {
            self.queue(what(id));
        }
    }

    fn some_runtime(&self, nth: usize) -> Option<RuntimeId> {
        self.runtimes
            .iter()
            .filter(|(_, runtime)| !runtime.crashed)
            .nth(nth % self.runtimes.len().max(1))
            .map(|(id, _)| *id)
    }
}
