//! Taking leave of children.

use crate::guest::Guest;
use crate::operation::Work;
use crate::sys::Result as SysResult;
use crate::sys::process::{self, Reaped};

/// What [`Guest::reap`] found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reaping {
    pub(crate) count: usize,
    /// Whether there are no children at all.
    pub(crate) childless: bool,
}

impl Guest {
    /// Takes leave of children that have ended, at most so many; answers of how many.
    pub(crate) fn reap(&mut self, most: usize) -> SysResult<Reaping> {
        for count in 0..most {
            match process::reap(-1)? {
                Reaped::Ended(ended) => {
                    self.note_end_of_service(ended);
                    if let Some(key) = self.leaders.remove(&ended.pid)
                        && let Some(operation) = self.table.get_mut(key)
                        && let Work::Exec(exec) = &mut operation.work
                    {
                        exec.end(ended);
                        self.enqueue(key);
                    }
                }
                Reaped::Running => {
                    self.bereaved = false;
                    return Ok(Reaping { count, childless: false });
                }
                Reaped::Childless => {
                    self.bereaved = false;
                    return Ok(Reaping { count, childless: true });
                }
            }
        }
        self.bereaved = true;
        Ok(Reaping { count: most, childless: false })
    }
}
