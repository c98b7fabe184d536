//! Where secrets come from, as it is written: `{ token = { file = "token.txt" } }`.

use std::collections::BTreeMap;
use std::path::Path;

use config::{Map, Value, ValueKind};

use crate::model::SecretSource;

use super::setting::quoted;

/// What a table of secrets stands for. Values in it are not shown: somebody may have written the secret itself.
pub(super) fn read(entries: &Map<String, Value>) -> Result<BTreeMap<String, SecretSource>, String> {
    entries.iter().map(|(name, value)| Ok((name.clone(), source(name, value)?))).collect()
}

fn source(name: &str, value: &Value) -> Result<SecretSource, String> {
    let wanted = || {
        format!(
            "{} must have one of {{ file = PATH }}, {{ env = NAME }}, {{ command = [PROGRAM, …] }}",
            quoted(name)
        )
    };
    let ValueKind::Table(entries) = &value.kind else { return Err(wanted()) };
    let mut entries = entries.iter();
    let (Some((kind, value)), None) = (entries.next(), entries.next()) else { return Err(wanted()) };
    match (kind.as_str(), &value.kind) {
        ("file", ValueKind::String(path)) => Ok(SecretSource::File(path.into())),
        ("env", ValueKind::String(variable)) => Ok(SecretSource::Env(variable.clone())),
        ("command", ValueKind::Array(items)) => {
            let word = |item: &Value| match &item.kind {
                ValueKind::String(text) => Some(text.clone()),
                _ => None,
            };
            items.iter().map(word).collect::<Option<_>>().map(SecretSource::Command).ok_or_else(wanted)
        }
        _ => Err(wanted()),
    }
}

/// Whether the names can be those of files, and the sources name something.
pub(super) fn check(sources: &BTreeMap<String, SecretSource>) -> Result<(), String> {
    let letters = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    for (name, source) in sources {
        if !(1..=128).contains(&name.len()) || name.starts_with('.') || !name.bytes().all(letters) {
            return Err(format!(
                "{} cannot be the name of a secret: letters, digits, _, - and .",
                quoted(name)
            ));
        }
        let sound = match source {
            SecretSource::File(path) => !path.as_os_str().is_empty(),
            SecretSource::Env(variable) => !variable.is_empty() && !variable.contains(['=', '\0']),
            SecretSource::Command(words) => {
                words.first().is_some_and(|program| !program.is_empty())
                    && !words.iter().any(|word| word.contains('\0'))
            }
        };
        if !sound {
            return Err(format!("{} comes from nowhere: its source is empty", quoted(name)));
        }
    }
    Ok(())
}

/// The sources with their relative paths taken to start at `base`.
pub(super) fn rebase(sources: BTreeMap<String, SecretSource>, base: &Path) -> BTreeMap<String, SecretSource> {
    let rebased = |source| match source {
        SecretSource::File(path) => SecretSource::File(base.join(path)),
        source => source,
    };
    sources.into_iter().map(|(name, source)| (name, rebased(source))).collect()
}
