use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::SecretSource;

/// The value of one key, whatever the type of the field behind it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Setting {
    /// An optional limit that is switched off: `"none"`.
    Off,
    /// A count, or a size in bytes.
    Integer(u64),
    Duration(Duration),
    Fraction(f64),
    Flag(bool),
    Text(String),
    Path(PathBuf),
    Words(Vec<String>),
    Paths(Vec<PathBuf>),
    /// Names and values of environment variables. The values are secret.
    Environment(BTreeMap<String, String>),
    /// Where secrets come from.
    Secrets(BTreeMap<String, SecretSource>),
}

/// The word that switches an optional limit off.
pub(super) const OFF: &str = "none";

/// What stands for a secret.
pub(super) const HIDDEN: &str = "\"***\"";

impl Setting {
    /// As TOML. Secrets are hidden; sizes are numbers of bytes (a [`Kind`](super::kind::Kind) shows them better).
    pub(super) fn to_toml(&self) -> String {
        match self {
            Self::Off => quoted(OFF),
            Self::Integer(number) => number.to_string(),
            Self::Duration(duration) => quoted(&humantime::format_duration(*duration).to_string()),
            Self::Fraction(number) => format!("{number:?}"),
            Self::Flag(flag) => flag.to_string(),
            Self::Text(text) => quoted(text),
            Self::Path(path) => quoted(&path.to_string_lossy()),
            Self::Words(words) => list(words.iter().map(|word| quoted(word))),
            Self::Paths(paths) => list(paths.iter().map(|path| quoted(&path.to_string_lossy()))),
            Self::Environment(pairs) => {
                inline(pairs.keys().map(|name| format!("{} = {HIDDEN}", segment(name))))
            }
            Self::Secrets(secrets) => inline(secrets.iter().map(|(name, source)| {
                let (kind, value) = match source {
                    SecretSource::File(path) => ("file", quoted(&path.to_string_lossy())),
                    SecretSource::Env(variable) => ("env", quoted(variable)),
                    SecretSource::Command(words) => ("command", list(words.iter().map(|word| quoted(word)))),
                };
                format!("{} = {{ {kind} = {value} }}", segment(name))
            })),
        }
    }
}

/// An inline table of these entries.
pub(super) fn inline(entries: impl Iterator<Item = String>) -> String {
    let entries: Vec<_> = entries.collect();
    if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// A TOML basic string. Control characters are escaped, so that it is also safe to print.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => {
                // Writing to a string does not fail.
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// One part of a dotted key, quoted when TOML wants it so.
pub(super) fn segment(name: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if !name.is_empty() && name.bytes().all(bare) { name.to_owned() } else { quoted(name) }
}
