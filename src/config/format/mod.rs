//! The languages a config file may be written in.
//!
//! Each is plugged into the `config` crate as a [`config::Format`] of our own, because the crate's forget
//! what good messages need: the line each value came from, keys given twice (JSON) and integers of any size
//! (TOML). They also bound nesting and refuse aliases, so that no file can exhaust stack or memory (YAML).
//!
//! A value's origin is the number of its line.

mod json;
mod toml;
mod yaml;

use std::error::Error as StdError;
use std::fmt;
use std::path::Path;

use config::{FileStoredFormat, Map, Value, ValueKind};

/// Tables and lists within each other that a file may have. Ours need five.
const MAX_DEPTH: usize = 32;

/// The language a config is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `.toml`
    Toml,
    /// `.yaml`, `.yml`. Without aliases and tags.
    Yaml,
    /// `.json`
    Json,
}

impl Format {
    const ALL: [Self; 3] = [Self::Toml, Self::Yaml, Self::Json];

    /// The format a file's extension stands for.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        Self::ALL.into_iter().find(|format| format.file_extensions().contains(&extension.as_str()))
    }
}

impl FileStoredFormat for Format {
    fn file_extensions(&self) -> &'static [&'static str] {
        match self {
            Self::Toml => &["toml"],
            Self::Yaml => &["yaml", "yml"],
            Self::Json => &["json"],
        }
    }
}

impl config::Format for Format {
    fn parse(
        &self,
        _uri: Option<&String>,
        text: &str,
    ) -> Result<Map<String, Value>, Box<dyn StdError + Send + Sync>> {
        let root = match self {
            Self::Toml => toml::parse(text),
            Self::Yaml => yaml::parse(text),
            Self::Json => json::parse(text),
        }?;
        match root.kind {
            ValueKind::Table(table) => Ok(table),
            // An empty YAML document.
            ValueKind::Nil => Ok(Map::new()),
            _ => Err(Malformed::at(1, 1, "the file must hold a table of settings").into()),
        }
    }
}

/// Text that is not in its format, or not in the part of it that is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) Vec<Slip>);

/// One place where text is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slip {
    /// From 1.
    pub(super) line: usize,
    /// In characters, from 1.
    pub(super) column: usize,
    /// What is wrong there.
    pub(super) message: String,
}

impl Malformed {
    fn at(line: usize, column: usize, message: impl Into<String>) -> Self {
        Self(vec![Slip { line, column, message: message.into() }])
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, slip) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}line {}, column {}: {}", slip.line, slip.column, slip.message)?;
        }
        Ok(())
    }
}

impl StdError for Malformed {}

/// A value that remembers its line.
fn value(line: usize, kind: impl Into<ValueKind>) -> Value {
    Value::new(Some(&line.to_string()), kind)
}

/// A number that fits no integer is kept as what it is near to: only its being too large matters.
fn integer(digits: &str, radix: u32) -> Option<ValueKind> {
    i128::from_str_radix(digits, radix).map(ValueKind::I128).ok().or_else(|| {
        let decimal =
            radix == 10 && digits.trim_start_matches(['+', '-']).bytes().all(|b| b.is_ascii_digit());
        digits.parse().ok().filter(|_| decimal).map(ValueKind::Float)
    })
}

/// Where lines begin, to turn offsets into lines and columns.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }

    fn malformed(&self, offset: usize, message: impl Into<String>) -> Malformed {
        Malformed(vec![self.slip(offset, message)])
    }

    fn slip(&self, offset: usize, message: impl Into<String>) -> Slip {
        let line = self.line(offset);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let column = self.text.get(start..offset).map_or(1, |before| before.chars().count() + 1);
        Slip { line, column, message: message.into() }
    }
}
