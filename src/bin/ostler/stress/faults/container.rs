use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use fastrand::Rng;
use ostler::PoolName;
use ostler::model::{ContainerSpec, Limits};
use tokio::task::{spawn_blocking, spawn_local};
use tokio::time::sleep;

use super::engine::{Container, Engine};
use super::real::Bounds;
use super::{Daemon, Fault, Faults, Inflicted, Scene};

/// Longest that a paused container, or a stopped engine, stays so, when it is let go on at all.
const STOPPED: Duration = Duration::from_secs(3);

/// Harms containers of one pool through their engine, and the engine where the user has said how.
pub(super) struct Containers {
    engine: Option<Engine>,
    bounds: Bounds,
    daemon: Daemon,
}

impl Containers {
    pub(super) fn new(
        pool: &PoolName,
        socket: Option<PathBuf>,
        spec: &ContainerSpec,
        limits: &Limits,
        daemon: &Daemon,
    ) -> Self {
        Self {
            engine: socket.and_then(|socket| Engine::new(&socket, pool)),
            bounds: Bounds::new(limits, spec.workspace_size.max(spec.tmp_size)),
            daemon: daemon.clone(),
        }
    }

    fn all(&self) -> anyhow::Result<Vec<Container>> {
        let engine = self.engine.as_ref();
        engine.context("its engine is not on a unix socket of this host")?.containers()
    }

    async fn one(
        &self,
        fault: Fault,
        engine: &Engine,
        scene: &Scene<'_>,
        rng: &mut Rng,
    ) -> anyhow::Result<bool> {
        let mut there = list(engine).await?;
        there.retain(Container::is_up);
        if there.is_empty() {
            return Ok(false);
        }
        let victim = there.swap_remove(rng.usize(..there.len()));
        scene.hurt(victim.handle());
        let (what, goes_on) = match fault {
            Fault::Kill => ("kill", None),
            Fault::Hang => ("pause", rng.bool().then(|| STOPPED.mul_f64(rng.f64()))),
            _ => ("pause", Some(Duration::from_millis(rng.u64(10..300)))),
        };
        if fault == Fault::Kill {
            scene.killed(victim.handle());
        }
        let teller = engine.clone();
        let handle = victim.handle().to_owned();
        let told = spawn_blocking(move || teller.tell(&victim, what).map(|()| victim)).await?;
        // An engine that did not answer may have done it all the same; then nobody waits for the pool's word.
        let victim = told.inspect_err(|_| scene.spared(&handle))?;
        if let Some(pause) = goes_on {
            let engine = engine.clone();
            spawn_local(async move {
                sleep(pause).await;
                // It may have been given up and removed meanwhile.
                drop(spawn_blocking(move || engine.tell(&victim, "unpause")).await);
            });
        }
        Ok(true)
    }

    /// Every container may be lost with its engine.
    async fn all_hurt(&self, engine: &Engine, scene: &Scene<'_>) -> anyhow::Result<()> {
        for container in list(engine).await? {
            scene.hurt(container.handle());
        }
        Ok(())
    }
}

async fn list(engine: &Engine) -> anyhow::Result<Vec<Container>> {
    let engine = engine.clone();
    spawn_blocking(move || engine.containers()).await?
}

impl Faults for Containers {
    fn refuses(&self, fault: Fault) -> Option<&'static str> {
        match fault {
            Fault::Kill | Fault::Hang | Fault::Slow if self.engine.is_none() => {
                Some("it takes an engine on a unix socket of this host")
            }
            Fault::DaemonRestart if self.daemon.restart.is_none() || self.engine.is_none() => {
                Some("the engine is not ours; say how with --daemon-restart CMD")
            }
            Fault::DaemonHang if self.daemon.pid.is_none() || self.engine.is_none() => {
                Some("the engine is not ours; name its process with --daemon-pid PID")
            }
            _ => self.bounds.refuses(fault),
        }
    }

    fn inflict<'a>(&'a self, fault: Fault, scene: &'a Scene<'a>, rng: &'a mut Rng) -> Inflicted<'a> {
        Box::pin(async move {
            let Some(engine) = &self.engine else { return Ok(false) };
            match fault {
                Fault::DaemonRestart => {
                    let restart = async {
                        self.all_hurt(engine, scene).await?;
                        self.daemon.start_again().await
                    };
                    scene.upheaval(restart).await
                }
                Fault::DaemonHang => {
                    self.all_hurt(engine, scene).await?;
                    self.daemon.stop_for(STOPPED.mul_f64(rng.f64())).await
                }
                Fault::Kill | Fault::Hang | Fault::Slow => self.one(fault, engine, scene, rng).await,
                _ => Ok(false),
            }
        })
    }

    fn alive(&self) -> anyhow::Result<u64> {
        Ok(self.all()?.len() as u64)
    }

    fn count(&self) -> anyhow::Result<Option<usize>> {
        Ok(Some(self.all()?.iter().filter(|container| container.is_up()).count()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_does_not_answer_has_not_said_that_there_is_nothing() {
        let directory = tempfile::tempdir().unwrap();
        for socket in [None, Some(directory.path().join("engine.sock"))] {
            let (spec, limits) = (ContainerSpec::default(), Limits::default());
            let containers = Containers::new(&PoolName::new("p"), socket, &spec, &limits, &Daemon::default());
            assert!(containers.alive().is_err() && containers.count().is_err());
        }
    }
}
