use serde::Serialize;

use super::checker::Breach;
use super::latency::Quantiles;
use super::run::Outcome;
use super::settings::Settings;
use super::tally::Counts;

/// How one promise was kept.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Kept {
    pub(super) promise: &'static str,
    pub(super) breach: Breach,
    pub(super) what: &'static str,
    /// How often it was looked at, and how.
    pub(super) evidence: String,
    pub(super) violations: u64,
}

/// One line a promise, over all runs.
pub(super) fn judge(
    settings: &Settings,
    outcomes: &[Outcome],
    counts: &Counts,
    notice: &Quantiles,
) -> Vec<Kept> {
    let sum = |breach: Breach| -> u64 {
        let each = outcomes.iter().flat_map(|outcome| &outcome.breaches);
        each.filter(|(other, _)| *other == breach).map(|(_, count)| count).sum()
    };
    Breach::ALL
        .into_iter()
        .map(|breach| {
            let (promise, what) = promise(breach);
            Kept {
                promise,
                breach,
                what,
                evidence: evidence(breach, settings, outcomes, counts, notice),
                violations: sum(breach),
            }
        })
        .collect()
}

/// Whose promise it is, by the design's number.
const fn promise(breach: Breach) -> (&'static str, &'static str) {
    match breach {
        Breach::Exceeded => ("P1", "never more runtimes than there may be"),
        Breach::Lost => ("P2", "no runtime is lost: every slot is leasable in the end"),
        Breach::Doubled => ("P3", "no runtime is leased twice"),
        Breach::Overtaken => ("P4", "nobody is served before one who came earlier"),
        Breach::Late => ("P5, P12, P13", "acquires, operations and the shutdown keep their deadlines"),
        Breach::Wrong => ("P6", "every answer is the operation's own, whatever was dropped before"),
        Breach::Rushed => ("P7", "no more launches after failures than a window may hold"),
        Breach::Disturbed => ("P8", "no lease notices what is done to another"),
        Breach::Unnoticed => ("P9", "a runtime that is killed is noticed, and soon"),
        // Whether it takes `ready` below `min` is not to be seen from outside: clients take at the same moment.
        Breach::Evicted => ("P10", "nobody loses a runtime to maintenance"),
        Breach::Residue => ("P11", "nothing of a lease is there for the next"),
        Breach::Survived => ("P12, P13", "what is ended ends"),
        Breach::Leaked => ("P14", "nothing is left behind"),
        Breach::Grown => ("P15", "memory, descriptors and threads stay flat"),
    }
}

fn evidence(
    breach: Breach,
    settings: &Settings,
    outcomes: &[Outcome],
    counts: &Counts,
    notice: &Quantiles,
) -> String {
    let runs = outcomes.len();
    match breach {
        Breach::Exceeded => {
            let looks = match (counts.backend_looks, counts.unanswered) {
                (looks, 0) => looks.to_string(),
                (looks, unanswered) => format!("{looks} looks ({unanswered} got no answer)"),
            };
            let scans = if counts.scans > 0 {
                format!("{} looks at /proc, ", counts.scans * 8)
            } else {
                String::new()
            };
            format!("{scans}{looks} at a backend, and {runs} final counts")
        }
        Breach::Lost => {
            let slots: usize = settings.config.pools.values().map(|spec| spec.max).sum();
            format!("{slots} slots leased at once, {runs} times")
        }
        Breach::Doubled => format!("{} leases", counts.leases),
        Breach::Overtaken => format!(
            "{} leases that waited; {} overtaken when a runtime failed",
            counts.waits_judged, counts.overtakings_excused
        ),
        Breach::Late => {
            format!("{} operations, {} timeouts, {runs} shutdowns", counts.operations, counts.timeouts)
        }
        Breach::Wrong => {
            format!("{} operations, {} dropped in the middle", counts.operations, counts.cancels)
        }
        Breach::Disturbed => {
            let (faults, lost) = (counts.all_faults(), counts.lost_operations);
            match counts.unexplained {
                0 => format!("{faults} faults, {lost} operations lost to them"),
                none => format!(
                    "{faults} faults, {lost} operations lost; {none} of them to a runtime that was found unhealthy while the machine was slow"
                ),
            }
        }
        Breach::Rushed => format!("{} launches that followed a failure", counts.restarts),
        Breach::Unnoticed if notice.count == 0 => "not judged: none was killed".to_owned(),
        Breach::Unnoticed => format!(
            "{} noticed: half within {:.1} ms, the last after {:.1} ms",
            notice.count, notice.p50_ms, notice.max_ms
        ),
        Breach::Evicted => format!("{} runtimes that went as planned", counts.planned_ends),
        Breach::Residue => {
            let unwiped =
                settings.config.pools.values().filter(|spec| spec.reset == ostler::model::ResetPolicy::None);
            match unwiped.count() {
                0 => format!("{} looks for marks", counts.looks),
                none => {
                    format!("{} looks for marks; not in {none} pools with reset = \"none\"", counts.looks)
                }
            }
        }
        Breach::Survived if counts.scans > 0 => {
            format!("{} looks at all processes, {runs} shutdowns", counts.scans)
        }
        Breach::Survived => format!("{runs} shutdowns"),
        Breach::Leaked => format!("processes, containers, cgroups and files after {runs} shutdowns"),
        Breach::Grown => match outcomes.iter().find_map(|outcome| outcome.grown) {
            Some(grown) => format!(
                "memory {} KiB after a minute, {} KiB in the end: {:.2} times; descriptors {} and {}, threads {} and {}",
                grown.early.rss_kib,
                grown.late.rss_kib,
                grown.ratio,
                grown.early.descriptors,
                grown.late.descriptors,
                grown.early.threads,
                grown.late.threads
            ),
            None => "not judged: the load lasted less than two minutes of the world's clock".to_owned(),
        },
    }
}
