use std::fmt::Write as _;

use super::super::board::{Sample, Timeline};
use super::Report;
use super::svg::{COLOURS, Plot, Scale, escaped};

/// States in the order in which they are stacked.
const STATES: [&str; 6] = ["circulating", "resetting", "warming", "booting", "launching", "retiring"];

const STYLE: &str = "\
body{font:14px/1.5 system-ui,sans-serif;max-width:960px;margin:2em auto;padding:0 1em;color:#222}\
h1{font-size:1.4em}h2{font-size:1.1em;margin-top:2em}svg{width:100%;height:auto;font-size:11px}\
svg text{fill:#555}table{border-collapse:collapse}td,th{text-align:left;padding:.2em .8em .2em 0;vertical-align:top}\
td.n{text-align:right}.bad{color:#b00020;font-weight:600}.good{color:#228833;font-weight:600}\
code{background:#f3f3f3;padding:.1em .3em}.key span{margin-right:1.2em}";

/// The report as one page that needs nothing else.
pub(super) fn page(report: &Report<'_>) -> anyhow::Result<String> {
    let mut page = String::new();
    let (class, words) =
        if report.passed { ("good", "every promise was kept") } else { ("bad", "promises were broken") };
    write!(
        page,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>ostler stress</title><style>{STYLE}</style>\
         <h1>ostler stress: <span class=\"{class}\">{words}</span></h1>\
         <p>{} leases, {} operations, {} faults in {} runs. Again: <code>{}</code></p>",
        report.counts.leases,
        report.counts.operations,
        report.counts.all_faults(),
        report.runs.len(),
        escaped(&report.replay)
    )?;
    verdict(report, &mut page)?;
    latencies(report, &mut page)?;
    // What went wrong is looked at first.
    let shown = report.runs.iter().find(|run| !run.violations.is_empty()).or(report.runs.last());
    if let Some(run) = shown {
        let trace = run.trace.as_ref().map_or_else(String::new, |trace| format!(", trace {trace}"));
        write!(page, "<h2>Seed {}{trace}</h2>", run.seed)?;
        over_time(run.timeline, &mut page)?;
    }
    counts(report, &mut page)?;
    violations(report, &mut page)?;
    let settings = serde_json::to_string_pretty(report.settings)?;
    write!(page, "<h2>Settings</h2><pre>{}</pre>", escaped(&settings))?;
    writeln!(page, "<h2>Config</h2><pre>{}</pre></html>", escaped(&report.settings.config.to_toml()))?;
    Ok(page)
}

fn verdict(report: &Report<'_>, page: &mut String) -> std::fmt::Result {
    page.push_str("<h2>Verdict</h2><table><tr><th>promise<th><th>seen by<th>violations</tr>");
    for kept in &report.verdict {
        let class = if kept.violations == 0 { "good" } else { "bad" };
        let (what, evidence) = (escaped(kept.what), escaped(&kept.evidence));
        write!(
            page,
            "<tr><td>{}<td>{what}<td>{evidence}<td class=\"n {class}\">{}</tr>",
            kept.promise, kept.violations
        )?;
    }
    page.push_str("</table>");
    Ok(())
}

fn latencies(report: &Report<'_>, page: &mut String) -> std::fmt::Result {
    write!(page, "<h2>Latency</h2><p>Acquires are timed from {}.</p>", escaped(report.acquire_timed_from))?;
    page.push_str("<table><tr><th><th>count<th>p50 ms<th>p90 ms<th>p99 ms<th>p99.9 ms<th>max ms</tr>");
    for (name, of) in &report.latencies {
        write!(page, "<tr><td>{name}<td class=\"n\">{}", of.count)?;
        for ms in [of.p50_ms, of.p90_ms, of.p99_ms, of.p999_ms, of.max_ms] {
            write!(page, "<td class=\"n\">{ms:.3}")?;
        }
    }
    page.push_str("</table><p>By percentile: 10 is the 90th, 100 the 99th, 1000 the 99.9th.</p>");
    // One in so many took longer.
    let rarity = |percentile: f64| 100.0 / (100.0 - percentile).max(1e-6);
    let curves = &report.curves;
    let all = || curves.iter().flat_map(|(_, curve)| curve.iter().copied());
    let widest =
        all().map(|(percentile, _)| rarity(percentile)).filter(|rarity| *rarity < 1e7).fold(10.0, f64::max);
    let highest = all().map(|(_, ms)| ms).fold(1.0, f64::max);
    let mut plot = Plot::new((Scale::Decades, 1.0, widest), (Scale::Decades, 0.001, highest));
    for ((_, curve), colour) in curves.iter().zip(COLOURS) {
        plot.line(curve.iter().map(|(percentile, ms)| (rarity(*percentile), *ms)), colour);
    }
    key(curves.iter().map(|(name, _)| *name), page)?;
    page.push_str(&plot.finish("one in", "ms"));
    Ok(())
}

fn over_time(line: &Timeline, page: &mut String) -> std::fmt::Result {
    let end = line.samples.last().map_or(1.0, |sample| sample.at_s).max(0.001);
    let time = (Scale::Even, 0.0, end);
    let of = |sample: &Sample, state: &str| -> f64 {
        // A count of runtimes is far below what a float can hold.
        #[expect(clippy::cast_precision_loss, reason = "as said above")]
        let count = sample.states.get(state).copied().unwrap_or(0) as f64;
        count
    };
    let total = |sample: &Sample| STATES.iter().map(|state| of(sample, state)).sum::<f64>();
    let most = line.samples.iter().map(total).fold(1.0, f64::max);

    page.push_str("<h3>Runtimes by state</h3>");
    key(STATES.into_iter(), page)?;
    let mut plot = Plot::new(time, (Scale::Even, 0.0, most));
    let mut floor: Vec<f64> = vec![0.0; line.samples.len()];
    for (state, colour) in STATES.iter().zip(COLOURS) {
        let mut band = Vec::new();
        for (sample, floor) in line.samples.iter().zip(&mut floor) {
            let top = *floor + of(sample, state);
            band.push((sample.at_s, *floor, top));
            *floor = top;
        }
        plot.band(&band, colour);
    }
    marks(line, &mut plot);
    page.push_str(&plot.finish("s", "runtimes"));

    page.push_str("<h3>Acquire</h3><p>Faults are marked at the foot; rest on one to see which it was.</p>");
    key(["median", "99th percentile"].into_iter(), page)?;
    let highest = line.samples.iter().map(|sample| sample.acquire_p99_ms).fold(1.0, f64::max);
    let mut plot = Plot::new(time, (Scale::Decades, 0.001, highest));
    plot.line(line.samples.iter().map(|sample| (sample.at_s, sample.acquire_p50_ms)), COLOURS[0]);
    plot.line(line.samples.iter().map(|sample| (sample.at_s, sample.acquire_p99_ms)), COLOURS[1]);
    marks(line, &mut plot);
    page.push_str(&plot.finish("s", "ms"));

    page.push_str("<h3>Leases a second</h3>");
    let rates: Vec<_> =
        line.samples.windows(2).map(|pair| (pair[1].at_s, rate(&pair[0], &pair[1]))).collect();
    let fastest = rates.iter().map(|(_, rate)| *rate).fold(1.0, f64::max);
    let mut plot = Plot::new(time, (Scale::Even, 0.0, fastest));
    plot.line(rates, COLOURS[2]);
    marks(line, &mut plot);
    page.push_str(&plot.finish("s", "leases/s"));
    Ok(())
}

fn rate(before: &Sample, after: &Sample) -> f64 {
    // A count of leases is far below what a float can hold.
    #[expect(clippy::cast_precision_loss, reason = "as said above")]
    let leases = after.leases.saturating_sub(before.leases) as f64;
    leases / (after.at_s - before.at_s).max(1e-6)
}

fn marks(line: &Timeline, plot: &mut Plot) {
    for mark in &line.faults {
        plot.mark(mark.at_s, &format!("{} at {:.3} s", mark.fault, mark.at_s), COLOURS[5]);
    }
}

fn key<'a>(names: impl Iterator<Item = &'a str>, page: &mut String) -> std::fmt::Result {
    page.push_str("<p class=\"key\">");
    for (name, colour) in names.zip(COLOURS) {
        write!(page, "<span><b style=\"color:{colour}\">■</b> {name}</span>")?;
    }
    page.push_str("</p>");
    Ok(())
}

fn counts(report: &Report<'_>, page: &mut String) -> std::fmt::Result {
    page.push_str("<h2>Counts</h2><table>");
    let of = &report.counts;
    let rows = [
        ("leases", of.leases),
        ("operations", of.operations),
        ("cancels", of.cancels),
        ("panics", of.panics),
        ("timeouts", of.timeouts),
        ("arrivals never begun", of.missed),
        ("refused", of.refused),
        ("operations lost to faults", of.lost_operations),
    ];
    let faults = of.faults.iter().map(|(name, count)| (*name, *count));
    for (name, count) in rows.into_iter().chain(faults) {
        write!(page, "<tr><td>{name}<td class=\"n\">{count}</tr>")?;
    }
    page.push_str("</table>");
    Ok(())
}

fn violations(report: &Report<'_>, page: &mut String) -> std::fmt::Result {
    let mut all = report
        .runs
        .iter()
        .flat_map(|run| run.violations.iter().map(|violation| (run.seed, violation)))
        .peekable();
    if all.peek().is_none() {
        return Ok(());
    }
    page.push_str("<h2>Violations</h2><table><tr><th>seed<th>at<th><th>what</tr>");
    for (seed, violation) in all {
        let (at, name, what) = (violation.at_s, violation.breach.name(), escaped(&violation.what));
        write!(page, "<tr><td>{seed}<td>{at:.3} s<td class=\"bad\">{name}<td>{what}</tr>")?;
    }
    page.push_str("</table>");
    Ok(())
}
