use std::time::Duration;

use ostler::Exec;

use super::caught::panic_on_purpose;
use super::client::Client;
use super::faults::Fault;
use super::held::Held;

/// ENOSPC, as the C library has it.
const FULL: &str = "No space left";

impl Client {
    /// Carries out an order to do harm from within.
    pub(super) async fn misbehave(&mut self, held: &mut Held, fault: Fault) {
        held.hurts_itself(fault);
        if fault.strains() {
            self.world().strain();
        }
        let second = Duration::from_secs(1);
        let script = |script: String| Exec::shell(script);
        match fault {
            Fault::Panic => panic_on_purpose(),
            Fault::Cancel => self.abandon(held).await,
            Fault::Oom => {
                let bytes = held.target().spec.limits.memory.unwrap_or(0) * 5 / 4;
                drop(
                    held.exec(
                        script(format!("head -c {bytes} /dev/zero | tail -c {bytes} | wc -c")),
                        Some(10 * second),
                    )
                    .await,
                );
            }
            Fault::ForkBomb => {
                let many = held.target().spec.limits.pids.unwrap_or(0) * 3 / 2;
                let bomb = format!("i=0; while [ $i -lt {many} ]; do sleep 60 & i=$((i+1)); done; wait");
                drop(held.exec(script(bomb), Some(2 * second)).await);
            }
            Fault::DiskFull => {
                let fill = "for d in . /tmp /dev/shm; do head -c 600000000 /dev/zero >$d/full; done 2>&1";
                let output = held.exec(script(fill.to_owned()), Some(10 * second)).await;
                // Where memory runs out first, or what a file may be, it was another fault.
                if !output.is_some_and(|output| String::from_utf8_lossy(&output.stdout).contains(FULL)) {
                    self.world().board.tally.hollow(fault);
                }
            }
            Fault::OutputFlood => self.flood(held).await,
            _ => {}
        }
        if fault.strains() {
            self.world().strain();
        }
    }

    async fn flood(&mut self, held: &Held) {
        let limit = held.target().spec.output_limit;
        let flood = Exec::shell("head -c 50000000 /dev/zero; yes >&2");
        let own = Duration::from_millis(self.rng.u64(100..1000));
        let Some(output) = held.exec(flood, Some(own)).await else { return };
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let bounded = output.stdout.len() <= most && output.stderr.len() <= most;
        if !bounded || (!output.stdout_truncated && output.stdout.len() as u64 != output.stdout_bytes) {
            let (kept, wrote) = (output.stdout.len(), output.stdout_bytes);
            held.lost_or(false, || format!("of {wrote} bytes {kept} were kept, and {limit} may be"));
        }
        self.exec(held).await;
    }
}
