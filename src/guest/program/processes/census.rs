use std::os::fd::{AsFd, OwnedFd};

use crate::place::Walls;
use crate::sys::directory::Records;
use crate::sys::file::{self, open};
use crate::sys::{Errno, limit};

use super::Marks;

/// The processes there are, by number.
#[derive(Debug)]
pub(super) struct Pids {
    directory: OwnedFd,
    records: Records,
}

impl Pids {
    pub(super) fn new() -> Result<Self, Errno> {
        let directory = file::open_at(None, c"/proc", open::READ | open::DIRECTORY, 0, 0)?;
        Ok(Self { directory, records: Records::default() })
    }

    pub(super) fn next(&mut self) -> Result<Option<i32>, Errno> {
        while let Some(record) = self.records.next(self.directory.as_fd())? {
            if let Some(pid) = record.name.to_str().ok().and_then(|name| name.parse().ok()) {
                return Ok(Some(pid));
            }
        }
        Ok(None)
    }
}

/// What the kernel says about one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) session: i32,
    /// Whether any of its threads still runs.
    pub(super) alive: bool,
}

/// Looks one process up; `None` when it is gone.
pub(super) fn entry(pid: i32) -> Option<Entry> {
    parse(pid, &std::fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// The line of `/proc/PID/stat`. The name in it may hold anything, so it is read from its last bracket.
fn parse(pid: i32, line: &[u8]) -> Option<Entry> {
    let end = line.iter().rposition(|byte| *byte == b')')?;
    let mut fields = std::str::from_utf8(&line[end + 1..]).ok()?.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    let threads: u32 = fields.nth(13)?.parse().ok()?;
    // A process whose first thread has ended looks like a zombie while the others go on.
    Some(Entry { pid, parent, session, alive: !matches!(state, "Z" | "X") || threads > 1 })
}

/// Processes below the guest.
pub(crate) fn count(walls: Walls, marks: &Marks) -> Result<u32, Errno> {
    let mut pids = Pids::new()?;
    let mut count = 0u32;
    while let Some(pid) = pids.next()? {
        count += u32::from(if walls.hold_processes() {
            pid != 1
        } else {
            limit::hard(pid, limit::REALTIME).is_ok_and(|mark| marks.is_ours(mark))
        });
    }
    Ok(count)
}

/// The guest's own children.
pub(crate) fn children() -> Result<Vec<i32>, Errno> {
    let own = std::process::id();
    if let Ok(list) = std::fs::read_to_string(format!("/proc/self/task/{own}/children")) {
        return Ok(list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect());
    }
    // Kernels without that file.
    let mut children = Vec::new();
    let mut pids = Pids::new()?;
    while let Some(pid) = pids.next()? {
        if entry(pid).is_some_and(|entry| entry.parent.cast_unsigned() == own) {
            children.push(pid);
        }
    }
    Ok(children)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: &str = "34816 -1 4194560 96 0 0 0 0 0 0 0 20 0";

    #[test]
    fn a_name_full_of_brackets_hides_nothing() {
        let line = format!("42 (a) Z 1 (b) S 7 42 41 {REST} 1 0 900");
        let entry = parse(42, line.as_bytes());
        assert_eq!(entry, Some(Entry { pid: 42, parent: 7, session: 41, alive: true }));
    }

    #[test]
    fn a_dead_first_thread_does_not_make_a_process_dead() {
        let alive = |threads| {
            let line = format!("42 (x) Z 7 42 41 {REST} {threads} 0 900");
            parse(42, line.as_bytes()).expect("a line").alive
        };
        assert!(alive(2));
        assert!(!alive(1));
    }

    #[test]
    fn the_own_entry_is_read() {
        let own = std::process::id().cast_signed();
        let entry = entry(own).expect("this process exists");
        assert_eq!(entry.parent.cast_unsigned(), std::os::unix::process::parent_id());
        assert!(entry.alive);
    }
}
