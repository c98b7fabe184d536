use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use super::super::token::{PREFIX, Token};
use super::breach::Breach;
use crate::process::Process;

/// How the program in a runtime, and the one that keeps it, call themselves.
const PROGRAM: &[u8] = b"ostler-guest\0";
const KEEPER: &[u8] = b"ostler-guest\0keeper\0";

/// Looks at the processes of this host.
#[derive(Debug)]
pub(in super::super) struct Census {
    /// Of the tokens that are ours.
    run: u64,
    /// How long a process may outlive its lease.
    grace: Duration,
    /// Processes of leases that are over, and when they were first seen without.
    late: BTreeMap<Process, Instant>,
}

impl Census {
    pub(in super::super) fn new(run: u64, grace: Duration) -> Self {
        Self { run, grace, late: BTreeMap::new() }
    }

    /// Keepers of ours: processes beside each of which one runtime lives.
    pub(in super::super) fn keepers() -> io::Result<Vec<Process>> {
        Ok(Process::children()?.into_iter().filter(Self::is_keeper).collect())
    }

    /// Whether a child of ours is one.
    pub(in super::super) fn is_keeper(child: &Process) -> bool {
        child.is_alive() && child.text("cmdline").starts_with(KEEPER)
    }

    /// Keepers that are there at one moment: this one.
    pub(in super::super) fn at_once() -> io::Result<Vec<Process>> {
        let mut there = Self::keepers()?;
        // All that were seen before this moment and are there after it were there at it.
        there.retain(|keeper| keeper.is_alive());
        Ok(there)
    }

    /// Processes that have outlived their lease for too long.
    pub(in super::super) fn survivors(
        &mut self,
        is_live: impl Fn(&Token) -> bool,
    ) -> io::Result<Vec<(Breach, String)>> {
        let now = Instant::now();
        let mut marked = self.marked()?;
        marked.retain(|_, token| !is_live(token));
        self.late.retain(|process, _| marked.contains_key(process));
        let mut survivors = Vec::new();
        for (process, token) in marked {
            let since = *self.late.entry(process).or_insert(now);
            if now.duration_since(since) > self.grace {
                survivors.push((Breach::Survived, format!("pid {} of lease {token}", process.pid)));
                // Told once.
                self.late.insert(process, now + Duration::from_hours(1000));
            }
        }
        Ok(survivors)
    }

    /// Processes that are ours though nothing of ours should be there.
    pub(in super::super) fn left(&self) -> io::Result<Vec<String>> {
        let own = std::process::id();
        // What a keeper has begun may outlive it, and is nobody's child then.
        let begun = [KEEPER, format!("--parent\0{own}\0").as_bytes()].concat();
        let ours = Process::all()?.into_iter().filter(|(process, parent)| {
            let line = process.text("cmdline");
            let is_ours = line == begun || *parent == own && line.starts_with(PROGRAM);
            is_ours && process.is_alive()
        });
        let mut left: Vec<_> = ours.map(|(process, _)| format!("process {}", process.pid)).collect();
        left.extend(
            self.marked()?.into_iter().map(|(process, token)| format!("process {} of {token}", process.pid)),
        );
        Ok(left)
    }

    /// All processes that bear a token of this run.
    fn marked(&self) -> io::Result<BTreeMap<Process, Token>> {
        let own = std::process::id();
        let mut marked = BTreeMap::new();
        for (process, _) in Process::all()? {
            if process.pid == own {
                continue;
            }
            let mut text = process.text("environ");
            text.extend(process.text("cmdline"));
            if !text.windows(PREFIX.len()).any(|window| window == PREFIX.as_bytes()) {
                continue;
            }
            if let Some(token) = Token::find(&text).into_iter().find(|token| token.run == self.run) {
                marked.insert(process, token);
            }
        }
        Ok(marked)
    }
}
