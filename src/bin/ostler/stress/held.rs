use std::cell::Cell;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ostler::guest::WireError;
use ostler::{ErrorKind, Exec, Lease, Output};
use tokio::time::{Instant, timeout};

use super::checker::{Arrival, Breach, Entered, Loss};
use super::faults::Fault;
use super::latency::Timed;
use super::token::Token;
use super::world::{Target, World};
use crate::process::Process;

/// Where a lease can write: its workspace, and beside it.
const PLACES: [&str; 3] = ["", "/tmp", "/dev/shm"];

/// After this a client drops a file operation in a fake runtime, where one may be made to hang on its own.
const GIVE_UP: Duration = Duration::from_secs(5);

/// Shows all that a command can see of others, and leaves processes behind in three ways that are hard to undo, a
/// message queue with a name, and what has no name but a number: shared memory, a semaphore, a queue.
const LOOK_AND_MARK: &str = "\
cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null
ls -aR . /tmp /dev/shm /dev/mqueue 2>/dev/null
for f in shm sem msg; do
    { read -r head; while read -r line; do echo \"ipc $f: $line\"; done; } </proc/sysvipc/$f
done 2>/dev/null
(: >/dev/mqueue/$OSTLER_STRESS) 2>/dev/null
ipcmk -M 4096 -S 1 -Q >/dev/null 2>&1
sleep 900 </dev/null >/dev/null 2>&1 &
setsid sleep 900 </dev/null >/dev/null 2>&1 &
(sleep 900 </dev/null >/dev/null 2>&1 &)
echo marked";

/// A lease, entered in the books for as long as it is held.
pub(super) struct Held {
    // In this order: the books say that it is gone before it is.
    entry: Entry,
    lease: Lease,
    /// Whether its holder has done something to its runtime.
    pub(super) hurt: bool,
    /// Whether some of the IPC there is may be its own.
    marked: Cell<bool>,
}

/// Stands for the lease in the books.
struct Entry {
    world: Arc<World>,
    place: usize,
    client: usize,
    token: Token,
    runtime: ostler::RuntimeId,
    epoch: ostler::Epoch,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.world.live().remove(&self.token.lease);
        let target = &self.world.targets[self.place];
        target.ledger.leave(self.runtime, self.epoch, self.world.stamps.next());
    }
}

impl Held {
    /// Enters a lease that was just had.
    pub(super) fn enter(world: &Arc<World>, place: usize, lease: Lease, arrival: Arrival) -> Self {
        let target = &world.targets[place];
        let (runtime, epoch) = (lease.runtime(), lease.epoch());
        let Entered { doubled, overtaken, judged } = target.ledger.enter(runtime, epoch, arrival);
        if let Some(what) = doubled {
            world.breach(Breach::Doubled, format!("pool {}: {what}", target.pool.name()));
        }
        if let Some(overtaking) = overtaken {
            target.docket.overtaken(overtaking, world.stamps.next());
        }
        if judged {
            world.board.tally.waits.one();
        }
        // Where nothing is real it costs nothing; between two samples a pool may come and go.
        if target.is_fake() {
            drop(world.count(target));
        }
        let number = world.board.tally.leases.one();
        let token = Token { run: world.run, pool: place, runtime: runtime.0, lease: number };
        world.live().insert(number);
        world.trace(|trace| {
            trace.add(arrival.client as u64);
            trace.add(runtime.0 << 32 | epoch.0);
            trace.add(arrival.granted);
        });
        let entry = Entry { world: Arc::clone(world), place, client: arrival.client, token, runtime, epoch };
        Self { entry, lease, hurt: false, marked: Cell::new(false) }
    }

    pub(super) fn lease(&self) -> &Lease {
        &self.lease
    }

    pub(super) fn token(&self) -> String {
        self.entry.token.to_string()
    }

    pub(super) fn target(&self) -> &Target {
        &self.entry.world.targets[self.entry.place]
    }

    /// The holder is about to do harm to its own runtime.
    pub(super) fn hurts_itself(&mut self, fault: Fault) {
        self.hurt |= fault.hurts();
        if self.hurt {
            self.target().docket.hurt(self.lease.handle().to_owned(), self.world().stamps.next());
        }
    }

    /// Looks for what others left wherever files can be, and leaves the same; answers whether it can go on.
    pub(super) async fn mark_files(&self) -> bool {
        let places = if self.target().is_fake() { &PLACES[..1] } else { &PLACES[..] };
        for place in places {
            // Some isolation has no such directory, or none that can be written to.
            let optional = !place.is_empty();
            let listed = self.file(self.lease.list(place), optional).await;
            let Some(entries) = listed else {
                if optional && !self.is_lost() {
                    continue;
                }
                return false;
            };
            for entry in &entries {
                self.find(entry.path.as_os_str().as_encoded_bytes(), place);
            }
            let path = if optional { format!("{place}/{}", self.token()) } else { self.token() };
            if self.file(self.lease.write(&path, self.token()), optional).await.is_none() && !optional {
                return false;
            }
        }
        self.world().board.tally.looks.one();
        true
    }

    /// As [`mark_files`](Self::mark_files), with processes and by a command.
    pub(super) async fn mark_processes(&self) -> bool {
        // Also one that is dropped in the middle may have left its own.
        let first = !self.marked.replace(true);
        let exec = Exec::shell(LOOK_AND_MARK).env("OSTLER_STRESS", self.token());
        let Some(output) = self.exec(exec, None).await else { return false };
        self.find(&output.stdout, "a command's sight");
        if first {
            self.find_ipc(&output.stdout);
        }
        self.world().board.tally.looks.one();
        if output.stdout.ends_with(b"marked\n") || self.hurt || output.stdout_truncated {
            return true;
        }
        // A shell that was killed from outside has marked nothing, and what came of it is known by the docket.
        self.lost_or(output.signal.is_some(), || format!("no mark made: {output:?}"));
        false
    }

    /// What has no name is nobody else's if the first to look finds none.
    fn find_ipc(&self, seen: &[u8]) {
        if !self.target().is_wiped() || !has_own_ipc(self.lease.handle()) {
            return;
        }
        for line in ipc(seen) {
            self.breach(Breach::Residue, &format!("{line}, seen by {}", self.entry.token));
        }
    }

    fn find(&self, seen: &[u8], place: &str) {
        if !self.target().is_wiped() {
            return;
        }
        for token in Token::find(seen) {
            if self.target().is_foreign(&token, &self.entry.token, self.lease.handle()) {
                let own = &self.entry.token;
                self.breach(Breach::Residue, &format!("{token} in {place}, seen by {own}"));
            }
        }
    }

    /// Runs a command; nothing when it came to nothing, which is judged. `timeout` is the command's own.
    pub(super) async fn exec(&self, exec: Exec, timeout: Option<Duration>) -> Option<Output> {
        let own = timeout.unwrap_or(self.target().spec.exec_timeout);
        let exec = match timeout {
            Some(timeout) => exec.timeout(timeout),
            None => exec,
        };
        self.timed(Timed::Exec, self.lease.exec(exec), own, false).await
    }

    /// A file operation; nothing when it came to nothing, which is judged. One that is optional may be refused.
    pub(super) async fn file<T>(
        &self,
        operation: impl Future<Output = Result<T, ostler::Error>>,
        optional: bool,
    ) -> Option<T> {
        self.timed(Timed::File, operation, Duration::ZERO, optional).await
    }

    async fn timed<T>(
        &self,
        timed: Timed,
        operation: impl Future<Output = Result<T, ostler::Error>>,
        own: Duration,
        optional: bool,
    ) -> Option<T> {
        let world = self.world();
        let gives_up = self.target().is_fake() && timed == Timed::File;
        let limit = if gives_up { GIVE_UP } else { own + self.target().patience() + world.slack };
        let started = Instant::now();
        let result = timeout(limit, operation).await;
        world.board.tally.operations.one();
        world.trace(|trace| trace.add(0x0900 + u64::from(matches!(result, Ok(Ok(_))))));
        match result {
            Ok(Ok(done)) => {
                world.board.latencies.record(timed, started.elapsed());
                Some(done)
            }
            Ok(Err(error)) => {
                self.failed(&error, optional);
                None
            }
            // Nobody promises an end to a single operation of a runtime that is well otherwise.
            Err(_) if gives_up => {
                world.board.tally.cancels.one();
                None
            }
            Err(_) => {
                let what =
                    format!("{} on {} did not end within {limit:?}", timed.name(), self.lease.handle());
                self.breach(Breach::Late, &what);
                None
            }
        }
    }

    /// An operation came to nothing.
    fn failed(&self, error: &ostler::Error, optional: bool) {
        let staged = self.target().is_fake();
        match error.kind() {
            // A hang that was staged, and a clock that jumped over all that there is of `file_timeout`.
            ErrorKind::Lost(WireError::Silent) if staged => drop(self.world().board.tally.lost.one()),
            ErrorKind::Lost(_) | ErrorKind::Ended => {
                self.world().board.tally.lost.one();
                self.lost(format!("{error:?}"));
            }
            // A runtime that was harmed may have no room or processes left to work with.
            ErrorKind::Refused(_) if optional || self.hurt || staged => {}
            _ => self.breach(Breach::Wrong, &format!("{error:?}")),
        }
    }

    /// The docket decides, if the runtime may be lost; if not, it is wrong.
    pub(super) fn lost_or(&self, may_be_lost: bool, what: impl FnOnce() -> String) {
        if may_be_lost {
            self.lost(what());
        } else if !self.hurt {
            self.breach(Breach::Wrong, &what());
        }
    }

    fn lost(&self, error: String) {
        if !self.hurt {
            let handle = self.lease.handle().to_owned();
            let loss = Loss { runtime: self.lease.runtime(), handle, error };
            self.target().docket.lost(loss, self.world().stamps.next());
        }
    }

    /// Whether the runtime's process has gone, where it has one.
    fn is_lost(&self) -> bool {
        let handle = self.lease.handle();
        handle.starts_with("pid ") && Process::of(handle).is_none_or(|process| !process.is_alive())
    }

    fn breach(&self, breach: Breach, what: &str) {
        let Entry { client, runtime, epoch, .. } = &self.entry;
        let pool = self.target().pool.name();
        self.world().breach(breach, format!("pool {pool}, {runtime} {epoch}, client {client}: {what}"));
    }

    fn world(&self) -> &Arc<World> {
        &self.entry.world
    }

    /// Ends the lease, one time in so many for good.
    pub(super) fn release(self, for_good: bool) {
        let Self { entry, lease, .. } = self;
        drop(entry);
        if for_good { lease.discard() } else { drop(lease) }
    }
}

/// Whether a runtime's System V IPC is nobody else's.
fn has_own_ipc(handle: &str) -> bool {
    let Some(process) = Process::of(handle) else { return !handle.starts_with("pid ") };
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/ipc"));
    match (namespace(&process.pid.to_string()), namespace("self")) {
        (Ok(theirs), Ok(ours)) => theirs != ours,
        // It has gone; another lease will tell.
        _ => false,
    }
}

/// Lines of [`LOOK_AND_MARK`] that tell of System V IPC.
fn ipc(seen: &[u8]) -> Vec<String> {
    let lines = seen.split(|byte| *byte == b'\n').map(String::from_utf8_lossy);
    let kinds = ["ipc shm: ", "ipc sem: ", "ipc msg: "];
    lines.filter(|line| kinds.iter().any(|kind| line.starts_with(kind))).map(Into::into).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs it as a lease does, beside itself.
    fn look_and_mark(place: &std::path::Path) -> Vec<u8> {
        let mut sh = std::process::Command::new("unshare");
        sh.args(["-r", "--ipc", "--pid", "--fork", "--mount-proc", "sh", "-c"]).current_dir(place);
        let twice = format!("{LOOK_AND_MARK}\n{LOOK_AND_MARK}");
        sh.arg(twice).env("OSTLER_STRESS", "ostler-stress-1.0.0.1").output().unwrap().stdout
    }

    #[test]
    fn ipc_that_another_left_is_seen_and_the_script_itself_is_not_taken_for_it() {
        let place = tempfile::tempdir().unwrap();
        let seen = look_and_mark(place.path());
        if seen.is_empty() {
            eprintln!("\nSKIPPED: IPC of one's own: unshare is refused");
            return;
        }
        // The first look of two has nobody before it.
        let first = seen.windows(7).position(|window| window == b"marked\n").unwrap();
        assert_eq!(ipc(&seen[..first]), Vec::<String>::new());
        let kinds: Vec<_> = ipc(&seen[first..]).iter().map(|line| line[..7].to_owned()).collect();
        assert_eq!(kinds, ["ipc shm", "ipc sem", "ipc msg"]);
    }
}
