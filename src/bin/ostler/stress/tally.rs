use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::faults::Fault;

/// What happened, counted by those who did it and not by the pool.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) leases: Count,
    pub(super) operations: Count,
    /// Acquires and operations dropped in the middle.
    pub(super) cancels: Count,
    /// Leases whose holder panicked.
    pub(super) panics: Count,
    /// Acquires that ran out of time.
    pub(super) timeouts: Count,
    /// Arrivals that were due and had not begun when the load ended.
    pub(super) missed: Count,
    /// Acquires refused because too many waited, or nothing was ready.
    pub(super) refused: Count,
    /// Operations that did not come to their end because the runtime was lost.
    pub(super) lost: Count,
    /// Leases that waited and could be judged for their order.
    pub(super) waits: Count,
    /// Of those, the ones that were overtaken when something had happened that explains it.
    pub(super) excused: Count,
    /// Operations lost to a runtime that was found unhealthy for no reason but that the machine was slow.
    pub(super) unexplained: Count,
    /// Launches that followed a failure.
    pub(super) restarts: Count,
    /// Runtimes that went as planned.
    pub(super) planned: Count,
    /// Times a lease looked for what others left.
    pub(super) looks: Count,
    /// Times all processes of this host were looked at.
    pub(super) scans: Count,
    /// Times the runtimes of a pool were counted past the pool, at its engine or fake.
    pub(super) backend_looks: Count,
    /// Times that could not be done.
    pub(super) unanswered: Count,
    pub(super) faults: [Count; Fault::ALL.len()],
    /// Of those, the ones that were carried out and did not come to what they should.
    hollow: [Count; Fault::ALL.len()],
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    /// Adds one; answers what it was.
    pub(super) fn one(&self) -> u64 {
        self.add(1)
    }

    /// Adds some; answers what it was.
    pub(super) fn add(&self, some: u64) -> u64 {
        self.0.fetch_add(some, Ordering::Relaxed)
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A tally at one moment.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Counts {
    pub(super) leases: u64,
    pub(super) operations: u64,
    pub(super) cancels: u64,
    pub(super) panics: u64,
    pub(super) timeouts: u64,
    pub(super) missed: u64,
    pub(super) refused: u64,
    pub(super) lost_operations: u64,
    pub(super) waits_judged: u64,
    pub(super) overtakings_excused: u64,
    pub(super) unexplained: u64,
    pub(super) restarts: u64,
    pub(super) planned_ends: u64,
    pub(super) looks: u64,
    pub(super) scans: u64,
    pub(super) backend_looks: u64,
    pub(super) unanswered: u64,
    /// By kind; those that never came are left out.
    pub(super) faults: BTreeMap<&'static str, u64>,
    /// Of those, the ones that were carried out and did not come to what they should.
    pub(super) hollow_faults: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(super) fn fault(&self, fault: Fault) {
        self.faults[fault as usize].one();
    }

    pub(super) fn hollow(&self, fault: Fault) {
        self.hollow[fault as usize].one();
    }

    pub(super) fn read(&self) -> Counts {
        let by_kind = |counts: &[Count; Fault::ALL.len()]| {
            let all = Fault::ALL.into_iter().map(|fault| (fault.name(), counts[fault as usize].get()));
            all.filter(|(_, count)| *count > 0).collect()
        };
        Counts {
            leases: self.leases.get(),
            operations: self.operations.get(),
            cancels: self.cancels.get(),
            panics: self.panics.get(),
            timeouts: self.timeouts.get(),
            missed: self.missed.get(),
            refused: self.refused.get(),
            lost_operations: self.lost.get(),
            waits_judged: self.waits.get(),
            overtakings_excused: self.excused.get(),
            unexplained: self.unexplained.get(),
            restarts: self.restarts.get(),
            planned_ends: self.planned.get(),
            looks: self.looks.get(),
            scans: self.scans.get(),
            backend_looks: self.backend_looks.get(),
            unanswered: self.unanswered.get(),
            faults: by_kind(&self.faults),
            hollow_faults: by_kind(&self.hollow),
        }
    }
}

impl Counts {
    pub(super) fn add(&mut self, other: &Self) {
        self.leases += other.leases;
        self.operations += other.operations;
        self.cancels += other.cancels;
        self.panics += other.panics;
        self.timeouts += other.timeouts;
        self.missed += other.missed;
        self.refused += other.refused;
        self.lost_operations += other.lost_operations;
        self.waits_judged += other.waits_judged;
        self.overtakings_excused += other.overtakings_excused;
        self.unexplained += other.unexplained;
        self.restarts += other.restarts;
        self.planned_ends += other.planned_ends;
        self.looks += other.looks;
        self.scans += other.scans;
        self.backend_looks += other.backend_looks;
        self.unanswered += other.unanswered;
        for (name, count) in &other.faults {
            *self.faults.entry(name).or_default() += count;
        }
        for (name, count) in &other.hollow_faults {
            *self.hollow_faults.entry(name).or_default() += count;
        }
    }

    pub(super) fn all_faults(&self) -> u64 {
        self.faults.values().sum()
    }
}
