//! Help, version, completions, and arguments that make no sense.

use crate::host::run;

const COMMANDS: [&str; 6] = ["demo", "run", "check", "exec", "stress", "completions"];

#[test]
fn help_names_every_command_and_the_statuses() {
    let help = run(["--help"]).expect(0).stdout;
    for words in COMMANDS.into_iter().chain(["Exit status:", "--log-level", "--log-format"]) {
        assert!(help.contains(words), "{words} is not in:\n{help}");
    }
}

#[test]
fn each_command_has_examples_and_says_its_statuses() {
    for command in COMMANDS {
        let help = run([command, "--help"]).expect(0).stdout;
        assert!(help.contains(&format!("ostler {command}")), "{help}");
        assert!(help.contains("Examples:"), "{help}");
        assert!(command == "completions" || help.contains("Exit status:"), "{help}");
    }
}

#[test]
fn the_version_is_the_packages() {
    assert_eq!(run(["--version"]).expect(0).stdout.trim_end(), concat!("ostler ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn bad_usage_is_status_2_and_says_nothing_on_stdout() {
    for words in [
        &[][..],
        &["gallop"],
        &["check"],
        &["check", "a", "b"],
        &["exec", "pools.toml", "p"],
        &["exec", "pools.toml", "p", "--"],
        &["exec", "pools.toml", "p", "--timeout", "0s", "--", "true"],
        &["exec", "pools.toml", "p", "--timeout", "soon", "--", "true"],
        &["exec", "pools.toml", "p", "--env", "NAME", "--", "true"],
        &["run", "pools.toml", "--log-level", "loud"],
        &["completions", "csh"],
    ] {
        let done = run(words).expect(2);
        assert_eq!(done.stdout, "", "{words:?}");
        assert_ne!(done.stderr, "", "{words:?}");
    }
}

#[test]
fn there_are_completions_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(["completions", shell]).expect(0).stdout;
        for words in COMMANDS.into_iter().chain(["no-stdin", "log-level"]) {
            assert!(script.contains(words), "{shell} does not complete {words}");
        }
    }
}
