use std::fmt::Write as _;

use super::key::Key;
use super::keys::{TOP, pool};
use super::setting::{HIDDEN, Setting, segment};
use super::settings::Config;

/// The effective config: every key that applies, in the order of documentation.
pub(super) fn to_toml(config: &Config) -> String {
    let mut toml = String::new();
    table(&mut toml, TOP.iter(), "", config);
    for (name, spec) in &config.pools {
        let scope = format!("pools.{}", segment(name.as_str()));
        let _ = writeln!(toml, "\n[{scope}]");
        table(&mut toml, pool(), &format!("{scope}."), spec);
    }
    toml
}

/// The keys of one scope: those of its own first, as the tables below it follow.
fn table<S: 'static>(
    toml: &mut String,
    keys: impl Iterator<Item = &'static Key<S>> + Clone,
    scope: &str,
    spec: &S,
) {
    let mut below = Vec::new();
    for key in keys {
        let Some(setting) = (key.get)(spec) else { continue };
        // Writing to a string does not fail.
        match (key.split(), &setting) {
            ((None, name), Setting::Environment(pairs)) => {
                let lines = pairs.keys().map(|variable| format!("{} = {HIDDEN}", segment(variable)));
                below.extend(lines.map(|line| (name, line)));
            }
            ((None, name), _) => {
                let _ = writeln!(toml, "{name} = {}", key.kind.show(&setting));
            }
            ((Some(table), name), _) => below.push((table, format!("{name} = {}", key.kind.show(&setting)))),
        }
    }
    let mut current = "";
    for (table, line) in below {
        if table != current {
            let _ = writeln!(toml, "\n[{scope}{table}]");
            current = table;
        }
        let _ = writeln!(toml, "{line}");
    }
}
