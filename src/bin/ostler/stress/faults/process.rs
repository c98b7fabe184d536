use std::time::Duration;

use anyhow::Context as _;
use fastrand::Rng;
use ostler::model::{Limits, ProcessSpec};
use rustix::process::Signal;
use tokio::time::sleep;

use super::super::checker::Census;
use super::real::Bounds;
use super::{Fault, Faults, Inflicted, Scene};
use crate::process::Process;

/// Longest that a stopped process stays so, when it is let go on at all.
const STOPPED: Duration = Duration::from_secs(3);

/// Harms processes of this host from outside.
pub(super) struct Outside(Bounds);

impl Outside {
    pub(super) fn new(spec: &ProcessSpec, limits: &Limits) -> Self {
        Self(Bounds::new(limits, spec.workspace_size.max(spec.tmp_size)))
    }
}

impl Faults for Outside {
    fn refuses(&self, fault: Fault) -> Option<&'static str> {
        match fault {
            Fault::DaemonRestart | Fault::DaemonHang => Some("there is no engine behind processes"),
            _ => self.0.refuses(fault),
        }
    }

    fn inflict<'a>(&'a self, fault: Fault, scene: &'a Scene<'a>, rng: &'a mut Rng) -> Inflicted<'a> {
        Box::pin(async move {
            let own = Process::own().context("this process can't be looked at")?;
            let mut keepers = own.offspring()?;
            keepers.retain(Census::is_keeper);
            if keepers.is_empty() {
                return Ok(false);
            }
            let keeper = keepers.swap_remove(rng.usize(..keepers.len()));
            // A keeper without a guest is one that launches.
            let mut guests = guests(keeper)?;
            let victim = match guests.first() {
                Some(guest) if rng.u8(..3) > 0 => *guest,
                _ => {
                    // It must not come to a guest, and that to a lease, between the look and what is done to it.
                    keeper.signal(Signal::STOP)?;
                    guests = self::guests(keeper)?;
                    keeper
                }
            };
            // Whichever of the two it is, the runtime is known by the guest.
            for known in guests.iter().chain([&victim]) {
                scene.hurt(&format!("pid {}", known.pid));
            }
            match fault {
                Fault::Kill => {
                    let named = || guests.iter().chain([&victim]).map(|guest| format!("pid {}", guest.pid));
                    named().for_each(|handle| scene.killed(&handle));
                    victim.signal(Signal::KILL).inspect_err(|_| {
                        named().for_each(|handle| scene.spared(&handle));
                    })?;
                }
                Fault::Hang => {
                    victim.signal(Signal::STOP)?;
                    if rng.bool() {
                        go_on_after(victim, STOPPED.mul_f64(rng.f64()));
                    }
                }
                Fault::Slow => {
                    victim.signal(Signal::STOP)?;
                    go_on_after(victim, Duration::from_millis(rng.u64(10..300)));
                }
                _ => return Ok(false),
            }
            Ok(true)
        })
    }
}

/// What a keeper keeps.
fn guests(keeper: Process) -> std::io::Result<Vec<Process>> {
    let mut guests = keeper.offspring()?;
    guests.retain(|guest| guest.is_alive());
    Ok(guests)
}

fn go_on_after(process: Process, pause: Duration) {
    tokio::task::spawn_local(async move {
        sleep(pause).await;
        // It may have been given up and ended meanwhile.
        drop(process.signal(Signal::CONT));
    });
}
