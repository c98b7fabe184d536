use std::fs;

use crate::sys::process;

/// What the kernel grants the guest, and through it all that it starts. Where no filter keeps commands from it, they can
/// change it: they are the same user. The next lease would find what the last one left it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    limits: String,
    /// Priority, niceness, real-time priority and policy.
    scheduling: Vec<String>,
    processors: Option<String>,
    io_priority: Option<usize>,
    memory_score: Option<String>,
}

/// Places in `/proc/self/stat` behind the name.
const SCHEDULING: [usize; 4] = [15, 16, 37, 38];

impl Standing {
    /// As it is now; `None` where it can't be seen.
    pub(crate) fn take() -> Option<Self> {
        let read = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).ok();
        let (stat, status) = (read("stat")?, read("status")?);
        let fields: Vec<_> = stat.rsplit_once(") ")?.1.split(' ').collect();
        Some(Self {
            limits: read("limits")?,
            scheduling: SCHEDULING.iter().filter_map(|at| Some((*fields.get(*at)?).to_owned())).collect(),
            processors: status.lines().find(|line| line.starts_with("Cpus_allowed:")).map(str::to_owned),
            io_priority: process::io_priority(),
            memory_score: read("oom_score_adj"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_is_seen() {
        let standing = Standing::take().expect("a /proc");
        assert!(standing.limits.contains("Max open files"));
        assert_eq!(standing.scheduling.len(), SCHEDULING.len());
        assert!(
            standing.processors.is_some()
                && standing.io_priority.is_some()
                && standing.memory_score.is_some()
        );
        assert_eq!(Standing::take(), Some(standing));
    }
}
