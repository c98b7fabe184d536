use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use fastrand::Rng;
use ostler::PoolName;
use ostler::model::{ContainerSpec, Limits};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::task::{spawn_blocking, spawn_local};
use tokio::time::sleep;

use super::engine::{Container, Engine};
use super::process::MOST;
use super::{Daemon, Fault, Faults, Inflicted, Scene};

/// Longest that a paused container, or a stopped engine, stays so, when it is let go on at all.
const STOPPED: Duration = Duration::from_secs(3);

/// Harms containers of one pool through their engine, and the engine where the user has said how.
pub(super) struct Containers {
    engine: Option<Engine>,
    memory: Option<u64>,
    pids: Option<u64>,
    room: u64,
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
            memory: limits.memory,
            pids: limits.pids,
            room: spec.workspace_size.max(spec.tmp_size),
            daemon: daemon.clone(),
        }
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
        let teller = engine.clone();
        let victim = spawn_blocking(move || teller.tell(&victim, what).map(|()| victim)).await??;
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

/// Stops the process that the user named, and lets it go on.
async fn freeze(pid: u32, pause: Duration) -> anyhow::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("not a pid")?;
    // From here on the number can't come to mean another process.
    let daemon = pidfd_open(pid, PidfdFlags::empty())?;
    pidfd_send_signal(&daemon, Signal::STOP)?;
    sleep(pause).await;
    pidfd_send_signal(&daemon, Signal::CONT)?;
    Ok(())
}

async fn restart(command: String) -> anyhow::Result<()> {
    let run = move || std::process::Command::new("sh").arg("-c").arg(command).status();
    let status = spawn_blocking(run).await??;
    anyhow::ensure!(status.success(), "--daemon-restart: {status}");
    Ok(())
}

impl Faults for Containers {
    fn refuses(&self, fault: Fault) -> Option<&'static str> {
        match fault {
            Fault::Kill | Fault::Hang | Fault::Slow if self.engine.is_none() => {
                Some("it takes an engine on a unix socket of this host")
            }
            Fault::Oom if self.memory.is_none_or(|memory| memory > MOST / 2) => {
                Some("it needs limits.memory of at most 512MiB")
            }
            Fault::ForkBomb if self.pids.is_none_or(|pids| pids > 512) => {
                Some("it needs limits.pids of at most 512")
            }
            Fault::DiskFull if self.room > MOST / 2 => Some("it needs places of at most 512MiB"),
            Fault::DaemonRestart if self.daemon.restart.is_none() || self.engine.is_none() => {
                Some("the engine is not ours; say how with --daemon-restart CMD")
            }
            Fault::DaemonHang if self.daemon.pid.is_none() || self.engine.is_none() => {
                Some("the engine is not ours; name its process with --daemon-pid PID")
            }
            Fault::ClockJump => Some("the host's clock is not ours to change; a fake backend has its own"),
            Fault::LaunchFailure | Fault::ResetFailure | Fault::Exit => {
                Some("only a fake backend fails on demand; kill and hang come to the same at random moments")
            }
            _ => None,
        }
    }

    fn inflict<'a>(&'a self, fault: Fault, scene: &'a Scene<'a>, rng: &'a mut Rng) -> Inflicted<'a> {
        Box::pin(async move {
            let Some(engine) = &self.engine else { return Ok(false) };
            match (fault, &self.daemon.restart, self.daemon.pid) {
                (Fault::DaemonRestart, Some(command), _) => {
                    self.all_hurt(engine, scene).await?;
                    restart(command.clone()).await?;
                    Ok(true)
                }
                (Fault::DaemonHang, _, Some(pid)) => {
                    self.all_hurt(engine, scene).await?;
                    freeze(pid, STOPPED.mul_f64(rng.f64())).await?;
                    Ok(true)
                }
                (Fault::Kill | Fault::Hang | Fault::Slow, ..) => self.one(fault, engine, scene, rng).await,
                _ => Ok(false),
            }
        })
    }

    fn alive(&self) -> u64 {
        self.engine.as_ref().and_then(|engine| engine.containers().ok()).map_or(0, |all| all.len() as u64)
    }

    fn count(&self) -> Option<usize> {
        let all = self.engine.as_ref()?.containers().ok()?;
        Some(all.iter().filter(|container| container.is_up()).count())
    }
}
