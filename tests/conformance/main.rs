//! One suite for every backend: what a lease, a reset and a pool do is the same on sandboxed processes, on
//! containers of Docker and of Podman, and on the fake. Each case is a test of its name for each backend.
//!
//! Engines are those that `OSTLER_TEST_DOCKER` and `OSTLER_TEST_PODMAN` name; `scripts/engines` brings them up. A
//! backend that is not to be had is a line that counts as a skip.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod exec;
mod files;
mod hostile;
mod lifecycle;
mod on;
#[path = "../sandbox/mod.rs"]
mod sandbox;
mod stable;
mod supervision;

use on::On;

/// The table: cases of a module on some backends. `all` are on the fake too, which has no shell and no kernel;
/// `but_process` too, and not on sandboxes.
macro_rules! conformance {
    ($($module:ident { all: $($all:ident)*; real: $($real:ident)*; $(but_process: $($other:ident)*;)? })+) => {
        mod process { $(mod $module {
            $(#[test] fn $all() { crate::on::run(crate::On::Process, crate::$module::$all); })*
            $(#[test] fn $real() { crate::on::run(crate::On::Process, crate::$module::$real); })*
        })+ }
        #[cfg(feature = "docker")]
        mod docker { $(mod $module {
            $(#[test] fn $all() { crate::on::run(crate::On::Docker(crate::on::Way::Plain), crate::$module::$all); })*
            $(#[test] fn $real() { crate::on::run(crate::On::Docker(crate::on::Way::Plain), crate::$module::$real); })*
            $($(#[test] fn $other() { crate::on::run(crate::On::Docker(crate::on::Way::Plain), crate::$module::$other); })*)?
        })+ }
        #[cfg(feature = "docker")]
        mod podman { $(mod $module {
            $(#[test] fn $all() { crate::on::run(crate::On::Podman(crate::on::Way::Plain), crate::$module::$all); })*
            $(#[test] fn $real() { crate::on::run(crate::On::Podman(crate::on::Way::Plain), crate::$module::$real); })*
            $($(#[test] fn $other() { crate::on::run(crate::On::Podman(crate::on::Way::Plain), crate::$module::$other); })*)?
        })+ }
        mod fake { $(mod $module {
            $(#[test] fn $all() { crate::on::run(crate::On::Fake, crate::$module::$all); })*
            $($(#[test] fn $other() { crate::on::run(crate::On::Fake, crate::$module::$other); })*)?
        })+ }
    };
}

conformance! {
    exec {
        all: a_status what_is_not_there bytes_for_stdin a_timeout;
        real: a_signal both_streams environment_and_directory a_home_of_its_own output_before_a_timeout a_timeout_ends_the_whole_tree
            held_open_output_does_not_hang much_output a_flood_is_cut_off several_at_once a_dropped_command_ends
            nobody_in_particular;
    }
    files {
        all: written_and_read what_is_not_there ranges;
        real: odd_names lists_and_trees links_are_not_followed_out a_large_file tar_in_and_out
            a_tar_that_climbs_out read_only_root;
    }
    lifecycle {
        all: one_lease_after_another worn_out discarded killed unhealthy nobody_waits_for_ever drained figures
            a_warm_up_that_fails drained_twice_at_once ended_while_all_hang ended_in_a_storm_of_launches;
        real: nothing_is_left_of_a_lease what_the_template_has a_stale_lease_is_refused;
    }
    supervision {
        all: an_expired_lease_is_refused_and_a_renewed_one_is_not a_lease_that_is_kept_is_told_of
            nothing_is_replaced_under_never a_failure_is_replaced_under_on_failure
            launches_that_fail_are_tried_one_at_a_time_until_one_heals a_hang_is_noticed_within_three_intervals
            an_end_is_noticed_at_once;
        real: ;
        // The guest of a sandbox takes no TERM from outside.
        but_process: what_is_done_is_not_replaced_under_on_failure what_is_done_is_replaced_under_always;
    }
    hostile {
        all: ;
        real: signals_at_the_guest the_guests_memory_and_connection descriptors_run_out memory_runs_out
            processes_run_out processor_time_runs_out room_runs_out operations_flood_the_guest programs_cannot_be_replaced
            links_that_change_meanwhile nothing_can_be_mounted the_hosts_files_are_out_of_reach
            nothing_is_written_after_the_lease;
    }
}

/// What is hostile, as far as it is another matter on one more way to have a runtime.
macro_rules! hostile_too {
    ($($name:ident: $on:expr => $($case:ident)*;)+) => { $(
        mod $name {
            $(#[test] fn $case() { crate::on::run($on, crate::hostile::$case); })*
        }
    )+ };
}

// Without namespaces room and processes are the host's: the workspace has no size of its own, and the kernel counts all
// processes of a user, those of other tests too.
hostile_too! {
    hostile_basic: crate::On::Basic => signals_at_the_guest the_guests_memory_and_connection descriptors_run_out
        memory_runs_out operations_flood_the_guest programs_cannot_be_replaced links_that_change_meanwhile
        nothing_can_be_mounted the_hosts_files_are_out_of_reach nothing_is_written_after_the_lease;
}

#[test]
fn sandboxes_hold_for_an_ordinary_user_too() {
    sandbox::some_as_an_ordinary_user(&["process::hostile::", "hostile_basic::"]);
}

// Their walls are those of any container. What differs is the guest's connection, and who is there beside a lease.
#[cfg(feature = "docker")]
hostile_too! {
    docker_attached: crate::On::Docker(crate::on::Way::Attached) => signals_at_the_guest the_guests_memory_and_connection
        memory_runs_out operations_flood_the_guest nothing_is_written_after_the_lease;
    podman_attached: crate::On::Podman(crate::on::Way::Attached) => signals_at_the_guest the_guests_memory_and_connection
        memory_runs_out operations_flood_the_guest nothing_is_written_after_the_lease;
    docker_service: crate::On::Docker(crate::on::Way::Service) => signals_at_the_guest the_guests_memory_and_connection
        memory_runs_out processes_run_out room_runs_out nothing_is_written_after_the_lease;
    podman_service: crate::On::Podman(crate::on::Way::Service) => signals_at_the_guest the_guests_memory_and_connection
        memory_runs_out processes_run_out room_runs_out nothing_is_written_after_the_lease;
}
