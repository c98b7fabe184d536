use std::time::{Duration, Instant};

use crate::place::Walls;
use crate::stream::Side;
use crate::sys::process::{self, Held};
use crate::sys::{Errno, limit, signal};
use crate::table::Key;

use super::census::{self, Entry, Pids};
use super::{Marks, Prey};

/// Processes looked at per turn of the loop.
const SLICE: usize = 256;

/// Between two passes: short at first, because most processes die at once.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Longest that anybody waits for a hunt; the hunt goes on.
const PATIENCE: Duration = Duration::from_millis(80);

/// Who wants to know when a hunt is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiter {
    /// An operation past its deadline.
    Overdue(Key),
    /// The host, about an operation it cancelled.
    Cancelled(Side, u64),
}

#[derive(Debug)]
struct Hunt {
    prey: Prey,
    waiter: Option<Waiter>,
    patience: Instant,
    /// Whether the pass under way saw all of it from its start.
    current: bool,
    sighted: bool,
}

/// How much of a pass was done.
enum Look {
    Part,
    Whole,
}

/// Kills operations' processes wherever they are, until a whole pass over all processes finds none alive.
#[derive(Debug)]
pub(crate) struct Hunts {
    walls: Walls,
    under_way: Vec<Hunt>,
    pass: Option<Pids>,
    next_pass: Option<Instant>,
    pause: Duration,
    /// Whether a pass has failed; said once.
    blind: bool,
}

impl Hunts {
    pub(crate) const fn new(walls: Walls) -> Self {
        Self { walls, under_way: Vec::new(), pass: None, next_pass: None, pause: FIRST_PAUSE, blind: false }
    }

    pub(crate) fn len(&self) -> usize {
        self.under_way.len()
    }

    /// Starts one; its first victims die before this comes back.
    pub(crate) fn begin(&mut self, prey: Prey, waiter: Option<Waiter>, now: Instant) {
        if let Some(leader) = prey.leader {
            // Most trees are one process group. What this misses, the passes find.
            let _gone = process::kill(-leader, signal::KILL);
        }
        let patience = now + PATIENCE;
        self.under_way.push(Hunt { prey, waiter, patience, current: false, sighted: false });
        self.pause = FIRST_PAUSE;
        self.next_pass = Some(now);
    }

    /// Forgets them all, and answers who waited.
    pub(crate) fn clear(&mut self) -> Vec<Waiter> {
        self.pass = None;
        self.next_pass = None;
        self.under_way.drain(..).filter_map(|hunt| hunt.waiter).collect()
    }

    /// When there is something to do again.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.next_pass.filter(|_| !self.under_way.is_empty())
    }

    /// Does a slice of a pass, and answers who need wait no longer.
    pub(crate) fn advance(&mut self, marks: &Marks, now: Instant) -> Vec<Waiter> {
        if self.next_deadline().is_none_or(|next| now < next) {
            return Vec::new();
        }
        match self.look(marks) {
            Ok(Look::Part) => {}
            Ok(Look::Whole) => return self.end_pass(now),
            Err(errno) => {
                if !std::mem::replace(&mut self.blind, true) {
                    eprintln!("ostler-guest: processes can't be listed, so not all may be found: {errno}");
                }
                self.pass = None;
                self.next_pass = Some(now + LONGEST_PAUSE);
            }
        }
        self.lose_patience(now)
    }

    fn look(&mut self, marks: &Marks) -> Result<Look, Errno> {
        let mut pids = match self.pass.take() {
            Some(pids) => pids,
            None => self.start_pass()?,
        };
        if !marks.are_available() {
            return self.look_at_families(pids);
        }
        for _ in 0..SLICE {
            match pids.next()? {
                Some(pid) => self.look_at(pid, marks),
                None => return Ok(Look::Whole),
            }
        }
        self.pass = Some(pids);
        Ok(Look::Part)
    }

    fn start_pass(&mut self) -> Result<Pids, Errno> {
        for hunt in &mut self.under_way {
            hunt.current = true;
            hunt.sighted = false;
        }
        Pids::new()
    }

    fn end_pass(&mut self, now: Instant) -> Vec<Waiter> {
        self.next_pass = Some(now + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        let mut done = self.lose_patience(now);
        self.under_way.retain(|hunt| {
            let over = hunt.current && !hunt.sighted;
            done.extend(hunt.waiter.filter(|_| over));
            !over
        });
        if self.under_way.iter().any(|hunt| !hunt.current) {
            self.next_pass = Some(now);
        }
        done
    }

    fn lose_patience(&mut self, now: Instant) -> Vec<Waiter> {
        self.under_way
            .iter_mut()
            .filter(|hunt| now >= hunt.patience)
            .filter_map(|hunt| hunt.waiter.take())
            .collect()
    }

    fn look_at(&mut self, pid: i32, marks: &Marks) {
        let Some(mark) = self.quarry(pid, marks) else {
            return;
        };
        // Held before it is looked at again, so that the one killed is the one looked at.
        if let Ok(held) = Held::open(pid)
            && self.quarry(pid, marks) == Some(mark)
        {
            let _gone = held.signal(signal::KILL);
        }
        if census::entry(pid).is_some_and(|entry| entry.alive) {
            for hunt in &mut self.under_way {
                hunt.sighted |= hunt.prey.mark == Some(mark) || !marks.is_ours(mark);
            }
        }
    }

    /// The mark of a process that is hunted. With a pid namespace of its own, that includes one that has shed
    /// its mark for another that was never given.
    fn quarry(&self, pid: i32, marks: &Marks) -> Option<u64> {
        let mark = limit::hard(pid, limit::REALTIME).ok()?;
        let hunted = self.under_way.iter().any(|hunt| hunt.prey.mark == Some(mark));
        let finite = mark != limit::UNLIMITED;
        let forged = self.walls.hold_processes() && pid != 1 && finite && !marks.is_ours(mark);
        (hunted || forged).then_some(mark)
    }

    /// Without marks: the session of the first process, and everybody below it.
    fn look_at_families(&mut self, mut pids: Pids) -> Result<Look, Errno> {
        let mut entries = Vec::new();
        while let Some(pid) = pids.next()? {
            entries.extend(census::entry(pid));
        }
        for hunt in &mut self.under_way {
            for victim in family(hunt.prey.leader, &entries) {
                let _gone = process::kill(victim.pid, signal::KILL);
                hunt.sighted |= victim.alive;
            }
        }
        Ok(Look::Whole)
    }
}

fn family(leader: Option<i32>, entries: &[Entry]) -> Vec<Entry> {
    let Some(leader) = leader else {
        return Vec::new();
    };
    let mut family: Vec<Entry> =
        entries.iter().filter(|entry| entry.session == leader || entry.pid == leader).copied().collect();
    let mut done = 0;
    while let Some(parent) = family.get(done).map(|entry| entry.pid) {
        let children = entries.iter().filter(|entry| entry.parent == parent);
        let new: Vec<Entry> = children.filter(|child| !family.contains(child)).copied().collect();
        family.extend(new);
        done += 1;
    }
    family
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_its_session_and_all_below() {
        let entry = |pid, parent, session| Entry { pid, parent, session, alive: true };
        let entries = [
            entry(10, 1, 10),
            entry(11, 10, 10),
            entry(12, 11, 12),
            entry(13, 12, 12),
            entry(14, 1, 10),
            entry(20, 1, 20),
        ];
        let mut pids: Vec<_> = family(Some(10), &entries).iter().map(|entry| entry.pid).collect();
        pids.sort_unstable();
        assert_eq!(pids, [10, 11, 12, 13, 14]);
        assert!(family(None, &entries).is_empty());
    }
}
