use std::future::ready;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use slog::{info, warn};

use super::leaving::{Leaving, close};
use super::ostler::Running;
use super::timer::within;
use super::{Error, ErrorKind, Ostler, ask};
use crate::actor::Reconfigure;
use crate::config::Config;
use crate::model::{PoolName, PoolSpec};

/// How long a new pool waits for one of its name to go.
const NAMESAKE: Duration = Duration::from_secs(2);

/// What a [`reload`](Ostler::reload) changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Pools that are new.
    pub added: Vec<PoolName>,
    /// Pools whose size or timing changed.
    pub adjusted: Vec<PoolName>,
    /// Pools whose runtimes are being replaced, one after the other.
    pub rolled: Vec<PoolName>,
    /// Pools that are draining.
    pub removed: Vec<PoolName>,
}

impl Ostler {
    /// Takes up a new configuration without dropping a lease: new pools start, pools that are gone drain in the
    /// background, sizes and timings change at once, and where the runtimes themselves would be made differently
    /// they are replaced one by one as they come free.
    ///
    /// A pool whose namesake still drains is waited for, two seconds at most. A configuration made in code without a name
    /// is taken up under the name that ostler has.
    ///
    /// # Errors
    /// [`ErrorKind::Draining`] when that was not enough, [`ErrorKind::Fixed`] when it has another `instance` or
    /// `state_dir`; nothing has changed then. Otherwise as
    /// [`start`](Self::start); pools that were already changed stay changed, and making the same call again goes on
    /// from there.
    pub async fn reload(&mut self, config: Config) -> Result<Reloaded, Error> {
        let config = self.under_our_name(config)?;
        let mut reloaded = Reloaded::default();
        self.await_namesakes(&config).await?;
        self.close_former().await;
        let gone: Vec<_> =
            self.pools.keys().filter(|name| !config.pools.contains_key(*name)).cloned().collect();
        for (name, spec) in &config.pools {
            match self.config.pools.get(name).filter(|_| self.pools.contains_key(name)) {
                None => {
                    self.open(name, spec, None).await.map_err(|error| error.in_pool(name))?;
                    reloaded.added.push(name.clone());
                }
                Some(old) if old == spec => {}
                Some(old) => {
                    let rolls = !spec.makes_the_same_as(old);
                    self.change(name, spec, rolls).await?;
                    if rolls { &mut reloaded.rolled } else { &mut reloaded.adjusted }.push(name.clone());
                }
            }
            // At once: what comes next may fail.
            self.config.pools.insert(name.clone(), spec.clone());
        }
        for name in gone {
            if let Some(running) = self.pools.remove(&name) {
                self.close_when_drained(name.clone(), running);
                reloaded.removed.push(name);
            }
        }
        info!(self.log, "reloaded"; "added" => reloaded.added.len(), "adjusted" => reloaded.adjusted.len(),
            "rolled" => reloaded.rolled.len(), "removed" => reloaded.removed.len());
        self.config = config;
        Ok(reloaded)
    }

    fn under_our_name(&self, mut config: Config) -> Result<Config, Error> {
        if !config.is_named() {
            config.instance.clone_from(&self.config.instance);
        }
        let fixed = |key| Err(Error::new("reload", ErrorKind::Fixed { key }));
        match (config.instance == self.config.instance, config.state_dir == self.config.state_dir) {
            (false, _) => fixed("instance"),
            (true, false) => fixed("state_dir"),
            (true, true) => Ok(config),
        }
    }

    async fn change(&mut self, name: &PoolName, spec: &PoolSpec, rolls: bool) -> Result<(), Error> {
        let made_by = match self.pools.get(name) {
            _ if !rolls => None,
            // A backend handed in by the application makes the new runtimes too.
            Some(running) if running.sweeps.is_some() => {
                let own = Arc::clone(&running.backend);
                Some(self.made_by(name, spec, Some(own), false).await?)
            }
            _ => Some(self.made_by(name, spec, None, true).await?),
        };
        let made_by = made_by.map(|(arriving, made_by)| {
            arriving.arrive();
            made_by
        });
        if let Some(running) = self.pools.get_mut(name) {
            if let Some(made_by) = &made_by {
                let before = mem::replace(&mut running.backend, Arc::clone(&made_by.backend));
                // One of the application's own stays.
                running.former.extend(Some(before).filter(|before| !Arc::ptr_eq(before, &running.backend)));
            }
            let pool = Arc::clone(&running.pool.shared);
            let message = Reconfigure { pool, spec: spec.clone(), made_by };
            let told = ask::tell(&running.pool.supervisor, message).await;
            told.map_err(|kind| Error::new("reload", kind).in_pool(name))?;
        }
        Ok(())
    }

    /// Backends that have no runtimes any more since others took their place.
    async fn close_former(&mut self) {
        let Some(tree) = &self.tree else { return };
        for (name, running) in &mut self.pools {
            for backend in running.former.extract_if(.., |backend| Arc::strong_count(backend) == 1) {
                let close = tree.runtime.spawn(close(backend, name.clone(), self.log.clone()));
                if within(&tree.runtime, NAMESAKE, close).await.is_none() {
                    warn!(self.log, "backend did not close in time"; "pool" => %name);
                }
            }
        }
    }

    fn close_when_drained(&mut self, name: PoolName, running: Running) {
        let Some(tree) = &self.tree else { return };
        let (remains, log) = (running.into_remains(), self.log.clone());
        let leaving = Leaving::start(remains, ready(()), name.clone(), log, &tree.runtime);
        self.leaving.insert(name, leaving);
    }

    /// Two pools of one name would take each other's runtimes for their own.
    async fn await_namesakes(&mut self, config: &Config) -> Result<(), Error> {
        self.leaving.retain(|_, leaving| !leaving.closing.is_finished());
        let Some(tree) = &self.tree else { return Ok(()) };
        let wanted = |name: &PoolName| config.pools.contains_key(name);
        for (name, leaving) in self.leaving.iter_mut().filter(|(name, _)| wanted(name)) {
            if within(&tree.runtime, NAMESAKE, &mut leaving.closing).await.is_none() {
                let left = leaving.left();
                return Err(Error::new("reload", ErrorKind::Draining { left }).in_pool(name));
            }
        }
        self.leaving.retain(|_, leaving| !leaving.closing.is_finished());
        Ok(())
    }
}
