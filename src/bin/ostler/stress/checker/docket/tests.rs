use super::*;

const RUNTIME: RuntimeId = RuntimeId(7);

const TERMS: Terms = Terms {
    patience: Duration::from_secs(1),
    news: Duration::from_millis(100),
    strain: Duration::from_secs(10),
    staged: false,
};

fn docket() -> Docket {
    Docket::new(TERMS)
}

fn loss() -> Loss {
    Loss { runtime: RUNTIME, handle: "pid 1".to_owned(), error: "gone".to_owned() }
}

/// The other was served now.
fn overtaking() -> Overtaking {
    Overtaking { queued: 10, began: 11, granted: 12, busy: 13, at: Instant::now() }
}

fn retiring(reason: Reason) -> Change {
    Change::Retiring { runtime: RUNTIME, reason }
}

fn exited(cause: &str) -> Change {
    Change::Exited { runtime: RUNTIME, cause: cause.to_owned() }
}

fn hear(docket: &Docket, change: &Change, now: u64) {
    docket.hear(change, now, Instant::now(), false);
}

fn breaches(docket: &Docket) -> Vec<Breach> {
    docket.judge(true).guilty.into_iter().map(|(breach, _)| breach).collect()
}

#[test]
fn a_loss_that_nothing_explains_is_a_breach() {
    let docket = docket();
    docket.lost(loss(), 5);
    hear(&docket, &exited("signal 9"), 6);
    assert_eq!(breaches(&docket), [Breach::Disturbed]);
    assert_eq!(breaches(&docket), [], "judged once");
}

#[test]
fn one_that_was_hurt_before_is_none() {
    let docket = docket();
    docket.hurt("pid 1".to_owned(), 4);
    docket.lost(loss(), 5);
    assert_eq!(breaches(&docket), []);
}

#[test]
fn only_a_fake_runtime_is_told_to_end_by_itself() {
    for staged in [false, true] {
        let docket = Docket::new(Terms { staged, ..TERMS });
        docket.lost(loss(), 5);
        hear(&docket, &exited("exit status 1"), 6);
        hear(&docket, &retiring(Reason::Exited), 7);
        assert_eq!(breaches(&docket).is_empty(), staged);
    }
}

#[tokio::test(start_paused = true)]
async fn one_found_unhealthy_is_none_if_something_had_made_runtimes_slow() {
    let second = Duration::from_secs(1);
    // When the strain was, from the verdict, and what that comes to.
    for (strained, breached) in [(None, 1), (Some(9 * second), 0), (Some(11 * second), 1)] {
        let docket = docket();
        if let Some(before) = strained {
            docket.strained(Instant::now());
            tokio::time::sleep(before).await;
        }
        docket.lost(loss(), 5);
        hear(&docket, &retiring(Reason::Unhealthy), 6);
        assert_eq!(breaches(&docket).len(), breached, "{strained:?}");
    }
    let docket = docket();
    hear(&docket, &retiring(Reason::Unhealthy), 6);
    tokio::time::sleep(second).await;
    docket.strained(Instant::now());
    docket.lost(loss(), 7);
    assert_eq!(breaches(&docket), [Breach::Disturbed], "what comes later explains nothing");
}

#[test]
fn one_found_unhealthy_on_a_slow_machine_is_counted_apart() {
    let docket = docket();
    docket.hiccup(Instant::now());
    docket.lost(loss(), 5);
    hear(&docket, &retiring(Reason::Unhealthy), 6);
    let judged = docket.judge(true);
    assert_eq!((judged.guilty.len(), judged.unexplained), (0, 1));
    docket.lost(loss(), 7);
    hear(&docket, &exited("signal 9"), 8);
    assert_eq!(docket.judge(true).unexplained, 1, "what was told first is still known");
}

#[test]
fn harm_done_to_others_or_later_is_no_excuse() {
    let docket = docket();
    docket.hurt("pid 2".to_owned(), 4);
    docket.lost(loss(), 5);
    docket.hurt("pid 1".to_owned(), 6);
    assert_eq!(breaches(&docket), [Breach::Disturbed]);
}

#[test]
fn whoever_was_being_made_in_an_upheaval_may_be_lost_to_it() {
    let launching = Change::Launching { runtime: RUNTIME };
    let ready = Change::Ready { runtime: RUNTIME, handle: "pid 1".to_owned(), took: Duration::from_secs(1) };
    // From when to when it was made; the upheaval is from 10 to 20.
    for (from, to, breached) in [(5, 15, 0), (12, 15, 0), (12, 25, 0), (5, 25, 0), (5, 8, 1), (22, 25, 1)] {
        let docket = docket();
        for now in 0..30 {
            match now {
                10 => docket.upheaval(now),
                20 => docket.calm(now),
                _ if now == from => hear(&docket, &launching, now),
                _ if now == to => hear(&docket, &ready, now),
                _ => {}
            }
        }
        docket.lost(loss(), 30);
        assert_eq!(breaches(&docket).len(), breached, "made from {from} to {to}");
    }
    let docket = docket();
    docket.upheaval(10);
    hear(&docket, &launching, 11);
    docket.lost(loss(), 12);
    assert_eq!(breaches(&docket), [], "it may be judged while it lasts");
}

#[tokio::test(start_paused = true)]
async fn an_overtaking_is_excused_by_trouble_while_it_waited() {
    let docket = docket();
    docket.trouble(9);
    docket.overtaken(overtaking(), 14);
    assert_eq!(breaches(&docket), [Breach::Overtaken], "trouble before it waited is none of its own");
    docket.trouble(11);
    docket.overtaken(overtaking(), 14);
    let judged = docket.judge(true);
    assert_eq!((judged.guilty.len(), judged.excused), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn trouble_after_the_other_was_served_excuses_only_if_it_is_late_news() {
    for (later, breached) in [(90, 0), (110, 1)] {
        let docket = docket();
        docket.overtaken(overtaking(), 14);
        tokio::time::sleep(Duration::from_millis(later)).await;
        hear(&docket, &retiring(Reason::Exited), 15);
        assert_eq!(breaches(&docket).len(), breached, "{later} ms later");
    }
    let docket = docket();
    docket.overtaken(overtaking(), 14);
    tokio::time::advance(Duration::from_mins(1)).await;
    docket.jumped(Duration::from_mins(1));
    hear(&docket, &retiring(Reason::Exited), 15);
    assert_eq!(breaches(&docket), [], "a clock that jumps makes nothing late");
}

#[test]
fn ends_that_keep_nobody_waiting_are_no_trouble() {
    for reason in [Reason::UsedUp, Reason::LaunchFailed, Reason::ResetFailed, Reason::Quarantined] {
        let docket = docket();
        docket.overtaken(overtaking(), 14);
        hear(&docket, &retiring(reason), 15);
        docket.hurt("pid 1".to_owned(), 16);
        assert_eq!(breaches(&docket), [Breach::Overtaken], "{reason}");
    }
    let docket = docket();
    docket.overtaken(overtaking(), 14);
    docket.hear(&retiring(Reason::Quarantined), 15, Instant::now(), true);
    assert_eq!(breaches(&docket), [], "it was tested before it was to be leased");
}

#[test]
fn nobody_is_judged_before_the_time() {
    let docket = docket();
    docket.lost(loss(), 5);
    assert!(docket.judge(false).guilty.is_empty());
    assert_eq!(docket.judge(true).guilty.len(), 1);
}
