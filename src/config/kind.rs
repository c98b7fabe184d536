use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Map, Value, ValueKind};

use crate::model::OWN_LABELS;

use super::nearest::nearest;
use super::secrets;
use super::setting::{OFF, Setting, inline, quoted, segment};
use super::shape::Shape;
use super::size;

/// What a key's value looks like, and its bounds. Both ends belong to the range.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Count(u64, u64),
    /// Bytes.
    Size(u64, u64),
    Duration(Duration, Duration),
    Fraction(f64, f64),
    Choice(&'static [&'static str]),
    /// The name of an instance.
    Name,
    /// Relative to the config file.
    Path,
    /// Absolute ones.
    Paths,
    /// A program and its arguments.
    Command,
    /// True or false.
    Flag,
    /// Text of a certain form.
    Word(&'static Shape),
    /// A list of such.
    Words(&'static Shape),
    /// Paths, relative to the config file.
    Files,
    /// Environment variables.
    Environment,
    /// Text by name that is not secret.
    Labels,
    /// Where secrets come from, by name.
    Secrets,
}

impl Kind {
    /// The setting that `value` stands for. The error says what is wrong with it, without naming it.
    pub(super) fn read(self, value: &Value, optional: bool) -> Result<Setting, String> {
        let setting = match (&value.kind, self) {
            (ValueKind::String(text), _) if optional && text == OFF => Setting::Off,
            (ValueKind::String(text), Self::Size(..)) => {
                let unreadable = "is not a size; write one such as \"512MiB\", or a number of bytes";
                Setting::Integer(size::parse(text).ok_or(unreadable)?)
            }
            (ValueKind::String(text), Self::Duration(..)) => Setting::Duration(duration(text)?),
            (ValueKind::String(text), Self::Choice(_) | Self::Name | Self::Word(_)) => {
                Setting::Text(text.clone())
            }
            (ValueKind::String(text), Self::Path) => Setting::Path(text.into()),
            (ValueKind::I128(_) | ValueKind::I64(_) | ValueKind::Float(_), Self::Duration(..)) => {
                return Err(NO_UNIT.to_owned());
            }
            (kind, Self::Count(..) | Self::Size(..)) => match integer(kind) {
                Some(number) => {
                    Setting::Integer(number.try_into().map_err(|_| self.out_of_bounds(optional))?)
                }
                None => return Err(self.wanted(value, optional)),
            },
            (ValueKind::Float(number), Self::Fraction(..)) => Setting::Fraction(*number),
            (kind, Self::Fraction(..)) => match integer(kind).map(|n| n.to_string().parse()) {
                Some(Ok(number)) => Setting::Fraction(number),
                _ => return Err(self.wanted(value, optional)),
            },
            (ValueKind::Boolean(flag), Self::Flag) => Setting::Flag(*flag),
            (ValueKind::Array(items), Self::Command | Self::Words(_)) => {
                Setting::Words(texts(items).ok_or_else(|| self.wanted(value, optional))?)
            }
            (ValueKind::Array(items), Self::Paths | Self::Files) => {
                let paths = texts(items).ok_or_else(|| self.wanted(value, optional))?;
                Setting::Paths(paths.into_iter().map(PathBuf::from).collect())
            }
            (ValueKind::Table(entries), Self::Secrets) => Setting::Secrets(secrets::read(entries)?),
            (ValueKind::Table(entries), Self::Environment | Self::Labels) => {
                Setting::Environment(environment(entries)?)
            }
            _ => return Err(self.wanted(value, optional)),
        };
        self.check(&setting, optional)?;
        Ok(setting)
    }

    /// Whether `setting` is within the bounds. The error says what they are.
    pub(super) fn check(self, setting: &Setting, optional: bool) -> Result<(), String> {
        let within = match (self, setting) {
            (Self::Count(low, high) | Self::Size(low, high), Setting::Integer(number)) => {
                (low..=high).contains(number)
            }
            (Self::Duration(low, high), Setting::Duration(duration)) => (low..=high).contains(duration),
            (Self::Fraction(low, high), Setting::Fraction(number)) => (low..=high).contains(number),
            (Self::Choice(words), Setting::Text(text)) => {
                if words.contains(&text.as_str()) {
                    return Ok(());
                }
                let hint = nearest(text, words.iter().copied())
                    .map_or_else(String::new, |word| format!("; did you mean {}?", quoted(word)));
                return Err(format!("must be {}{hint}", self.bounds(optional)));
            }
            (Self::Name, Setting::Text(name)) => {
                (1..=32).contains(&name.len())
                    && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            }
            (Self::Path, Setting::Path(path)) => !path.as_os_str().is_empty(),
            (Self::Files, Setting::Paths(paths)) => paths.iter().all(|path| !path.as_os_str().is_empty()),
            (Self::Word(shape), Setting::Text(text)) => return (shape.check)(text),
            (Self::Words(shape), Setting::Words(items)) => {
                let wrong = |item: &String| Some(format!("{} {}", quoted(item), (shape.check)(item).err()?));
                return items.iter().find_map(wrong).map_or(Ok(()), Err);
            }
            (Self::Secrets, Setting::Secrets(sources)) => return secrets::check(sources),
            (Self::Paths, Setting::Paths(paths)) => paths.iter().all(|path| path.is_absolute()),
            (Self::Command, Setting::Words(words)) => {
                words.first().is_none_or(|program| !program.is_empty())
                    && words.iter().all(|word| !word.contains('\0'))
            }
            (Self::Environment, Setting::Environment(pairs)) => return names(pairs),
            (Self::Labels, Setting::Environment(pairs)) => return labels(pairs),
            _ => true,
        };
        if within { Ok(()) } else { Err(self.out_of_bounds(optional)) }
    }

    fn out_of_bounds(self, optional: bool) -> String {
        let bounds = self.bounds(optional);
        match self {
            Self::Count(..) | Self::Size(..) | Self::Duration(..) | Self::Fraction(..) => {
                format!("must be between {}", bounds.replacen(" to ", " and ", 1))
            }
            _ => format!("must be {bounds}"),
        }
    }

    /// The bounds as the documentation shows them.
    pub(super) fn bounds(self, optional: bool) -> String {
        let range = |low: &dyn Display, high: &dyn Display| format!("{low} to {high}");
        let bounds = match self {
            Self::Count(low, high) => range(&low, &high),
            Self::Size(low, high) => range(&size::show(low), &size::show(high)),
            Self::Duration(low, high) => {
                range(&humantime::format_duration(low), &humantime::format_duration(high))
            }
            Self::Fraction(low, high) => range(&low, &high),
            Self::Choice(words) => {
                let words: Vec<_> = words.iter().map(|word| quoted(word)).collect();
                format!("one of {}", words.join(", "))
            }
            Self::Name => "1 to 32 of a-z, 0-9 and -".to_owned(),
            Self::Path => "a path, relative to the config file's directory".to_owned(),
            Self::Paths => "a list of absolute paths".to_owned(),
            Self::Command => "a list: the program, then its arguments".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Word(shape) | Self::Words(shape) => shape.bounds.to_owned(),
            Self::Files => "a list of paths, relative to the config file's directory".to_owned(),
            Self::Environment => "a table of text, by names without =".to_owned(),
            Self::Labels => "a table of text, by names other than ostler.*".to_owned(),
            Self::Secrets => {
                "a table of { file = PATH }, { env = NAME } or { command = [PROGRAM, …] }".to_owned()
            }
        };
        if optional { format!("{bounds}, or {}", quoted(OFF)) } else { bounds }
    }

    /// The setting with its relative paths taken to start at `base`.
    pub(super) fn rebase(self, setting: Setting, base: &Path) -> Setting {
        match (self, setting) {
            (Self::Word(shape), Setting::Text(text)) => Setting::Text((shape.rebase)(&text, base)),
            (Self::Words(shape), Setting::Words(items)) => {
                Setting::Words(items.iter().map(|item| (shape.rebase)(item, base)).collect())
            }
            (Self::Files, Setting::Paths(paths)) => {
                Setting::Paths(paths.iter().map(|path| base.join(path)).collect())
            }
            (Self::Secrets, Setting::Secrets(sources)) => Setting::Secrets(secrets::rebase(sources, base)),
            (_, Setting::Path(path)) => Setting::Path(base.join(path)),
            (_, setting) => setting,
        }
    }

    /// The setting as TOML.
    pub(super) fn show(self, setting: &Setting) -> String {
        match (self, setting) {
            (Self::Size(..), Setting::Integer(bytes)) => quoted(&size::show(*bytes)),
            (Self::Labels, Setting::Environment(pairs)) => {
                inline(pairs.iter().map(|(name, value)| format!("{} = {}", segment(name), quoted(value))))
            }
            _ => setting.to_toml(),
        }
    }

    /// That `value` is of the wrong type.
    fn wanted(self, value: &Value, optional: bool) -> String {
        let wanted = match self {
            Self::Count(..) => "an integer such as 8",
            Self::Size(..) => "a size such as \"512MiB\"",
            Self::Duration(..) => "a duration such as \"30s\"",
            Self::Fraction(..) => "a number such as 0.5",
            Self::Choice(words) => &format!("text such as {}", quoted(words.last().unwrap_or(&""))),
            Self::Name => "text such as \"default\"",
            Self::Path => "a path such as \"templates/python\"",
            Self::Paths => "a list of paths such as [\"/usr\", \"/opt/tools\"]",
            Self::Command => "a list of text such as [\"python3\", \"--version\"]",
            Self::Flag => "true or false",
            Self::Word(shape) => &format!("text such as {}", shape.example),
            Self::Words(shape) => &format!("a list of text such as {}", shape.example),
            Self::Files => "a list of paths such as [\"common.env\"]",
            Self::Environment => "a table of text such as { LANG = \"C.UTF-8\" }",
            Self::Labels => "a table of text such as { team = \"judges\" }",
            Self::Secrets => "a table such as { token = { file = \"token.txt\" } }",
        };
        let off = if optional { format!(", or {}", quoted(OFF)) } else { String::new() };
        let within = match &value.kind {
            ValueKind::Array(items) => items.iter().find(|item| !matches!(item.kind, ValueKind::String(_))),
            _ => None,
        };
        let within = within.map_or_else(String::new, |item| format!(" with {} in it", found(item)));
        format!("found {}{within}, wanted {wanted}{off}", found(value))
    }
}

const NO_UNIT: &str = "has no unit; write a duration such as \"30s\" or \"200ms\"";

/// What a value of the wrong type is.
pub(super) fn found(value: &Value) -> &'static str {
    match value.kind {
        ValueKind::Nil => "nothing",
        ValueKind::Boolean(_) => "true or false",
        ValueKind::I64(_) | ValueKind::I128(_) | ValueKind::U64(_) | ValueKind::U128(_) => "an integer",
        ValueKind::Float(_) => "a number",
        ValueKind::String(_) => "text",
        ValueKind::Table(_) => "a table",
        ValueKind::Array(_) => "a list",
    }
}

fn integer(kind: &ValueKind) -> Option<i128> {
    match *kind {
        ValueKind::I64(number) => Some(number.into()),
        ValueKind::I128(number) => Some(number),
        _ => None,
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NO_UNIT.to_owned());
    }
    // What the parser says about it is longer than the mistake.
    humantime::parse_duration(text)
        .map_err(|_| "is not a duration; write one such as \"30s\" or \"1h 30m\"".to_owned())
}

fn texts(items: &[Value]) -> Option<Vec<String>> {
    let text = |item: &Value| match &item.kind {
        ValueKind::String(text) => Some(text.clone()),
        _ => None,
    };
    items.iter().map(text).collect()
}

fn environment(entries: &Map<String, Value>) -> Result<BTreeMap<String, String>, String> {
    let pair = |(name, value): (&String, &Value)| match &value.kind {
        ValueKind::String(text) => Ok((name.clone(), text.clone())),
        _ => Err(format!("found {}, wanted text; put it in quotes", found(value))),
    };
    entries.iter().map(pair).collect()
}

fn labels(pairs: &BTreeMap<String, String>) -> Result<(), String> {
    let bad = |name: &&String| name.is_empty() || name.contains('\0');
    if let Some(name) = pairs.keys().find(|name| name.starts_with(OWN_LABELS)) {
        return Err(format!("{} is one of ostler's own: they begin with {OWN_LABELS}", quoted(name)));
    }
    match pairs.keys().find(bad) {
        Some(name) => Err(format!("{} cannot be the name of a label", quoted(name))),
        None => Ok(()),
    }
}

fn names(pairs: &BTreeMap<String, String>) -> Result<(), String> {
    let bad = |name: &&String| name.is_empty() || name.contains(['=', '\0']);
    if let Some(name) = pairs.keys().find(bad) {
        return Err(format!("{} cannot be the name of an environment variable", quoted(name)));
    }
    match pairs.iter().find(|(_, value)| value.contains('\0')) {
        Some((name, _)) => Err(format!("the value of {} contains a NUL", quoted(name))),
        None => Ok(()),
    }
}
