//! System V shared memory, semaphores and message queues.

use std::ffi::{c_int, c_void};
use std::ptr;

use super::errno::{Errno, Result, check};

const IPC_RMID: c_int = 0;

unsafe extern "C" {
    fn shmctl(id: c_int, command: c_int, out: *mut c_void) -> c_int;
    fn semctl(id: c_int, number: c_int, command: c_int, ...) -> c_int;
    fn msgctl(id: c_int, command: c_int, out: *mut c_void) -> c_int;
}

/// Removes them all from this IPC namespace.
///
/// # Errors
/// When one can't be, or is there still after that.
pub(crate) fn empty() -> Result<()> {
    for kind in ["shm", "sem", "msg"] {
        for id in ids(kind)? {
            check(remove(kind, id))?;
        }
        if !ids(kind)?.is_empty() {
            return Err(Errno::BUSY);
        }
    }
    Ok(())
}

fn remove(kind: &str, id: c_int) -> c_int {
    // SAFETY: to remove takes numbers only; the pointers are not looked at.
    unsafe {
        match kind {
            "shm" => shmctl(id, IPC_RMID, ptr::null_mut()),
            "sem" => semctl(id, 0, IPC_RMID),
            _ => msgctl(id, IPC_RMID, ptr::null_mut()),
        }
    }
}

/// Those there are; none where the kernel has none of the kind.
fn ids(kind: &str) -> Result<Vec<c_int>> {
    match std::fs::read_to_string(format!("/proc/sysvipc/{kind}")) {
        Ok(table) => Ok(parse(&table)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Errno(error.raw_os_error().unwrap_or(0))),
    }
}

/// The second column, below its heading.
fn parse(table: &str) -> Vec<c_int> {
    table.lines().skip(1).filter_map(|line| line.split_ascii_whitespace().nth(1)?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read() {
        let table =
            "       key      shmid perms                  size\n         0         32  1600  524288\n";
        assert_eq!(parse(table), [32]);
        assert!(parse("").is_empty());
    }
}
