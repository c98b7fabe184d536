use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use slog::{debug, warn};
use tokio::sync::mpsc::Receiver;
use tokio::time::{sleep, timeout};

use super::super::progress::Progress;
use super::super::rate::Rate;
use super::super::world::World;
use super::{Fault, Scene};

/// How long doing harm may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// With no lease for so long, it is the faults that leave the pools no time to come to any.
const TRUCE: Duration = Duration::from_mins(1);

/// Does harm at the rate that is asked for, until it is dropped.
pub(in super::super) async fn inject(world: Arc<World>, mut due: Receiver<()>) {
    let mut rng = Rng::with_seed(world.seed ^ 0xfa07);
    let mut progress = Progress::new(&world);
    if world.menu.is_empty() {
        return;
    }
    loop {
        match world.settings.rate {
            // At random moments, as independent misfortunes come.
            Rate::PerSecond(_) => {
                let mean = world.settings.rate.pause().unwrap_or(PATIENCE);
                sleep(mean.mul_f64(-(1.0 - rng.f64()).ln())).await;
            }
            Rate::PerThousand(_) => {
                if due.recv().await.is_none() {
                    return;
                }
            }
        }
        if progress.idle(&world) > TRUCE {
            debug!(world.log, "no harm is done until there is a lease");
            world.targets.iter().for_each(|target| target.faults.relent());
            continue;
        }
        let (fault, place) = world.menu[rng.usize(..world.menu.len())];
        if harm(&world, fault, place, &mut rng).await {
            world.board.tally.fault(fault);
            world.board.mark(world.now(), fault);
            world.trace(|trace| trace.add(0xfa00 + fault as u64));
        }
    }
}

async fn harm(world: &World, fault: Fault, place: usize, rng: &mut Rng) -> bool {
    let target = &world.targets[place];
    if fault.is_holders() {
        return target.orders.give(fault);
    }
    let scene = Scene { pool: &target.pool, world };
    if fault.strains() {
        world.strain();
    }
    let inflicted = timeout(PATIENCE, target.faults.inflict(fault, &scene, rng)).await;
    if fault.strains() {
        world.strain();
    }
    match inflicted {
        Ok(Ok(done)) => done,
        // What it was aimed at has gone by itself.
        Ok(Err(error)) => {
            debug!(world.log, "no harm done"; "fault" => %fault, "cause" => format!("{error:#}"));
            false
        }
        Err(_) => {
            warn!(world.log, "doing harm took too long"; "fault" => %fault);
            false
        }
    }
}
