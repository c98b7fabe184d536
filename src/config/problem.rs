use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;

/// Everything that is wrong with a config, found in one pass.
///
/// Displayed, it is one line for each problem; nothing has been started. It never shows a value of `env`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    /// Puts the problems in the order of their sources, each once.
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort();
        problems.dedup();
        Self { problems }
    }

    /// The problems, in the order of the file, then those of the environment. At least one.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl StdError for ConfigError {}

/// One thing that is wrong, and where.
///
/// ```text
/// config/demo.toml:12: pools.sandbox.max = 0: must be between 1 and 100000
/// source               key                 value message
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Problem {
    /// Where the value was written.
    pub source: Source,
    /// The whole key, `pools.sandbox.max`; empty when the problem is with the source as a whole.
    pub key: String,
    /// The value as TOML, when one value is at fault and it is no secret.
    pub value: Option<String>,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.source)?;
        match (self.key.as_str(), &self.value) {
            ("", _) => {}
            (key, None) => write!(f, "{key}: ")?,
            (key, Some(value)) => write!(f, "{key} = {value}: ")?,
        }
        f.write_str(&self.message)
    }
}

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Source {
    /// In a file.
    File {
        /// As it was given.
        path: PathBuf,
        /// From 1, when the problem has a place in the file.
        line: Option<usize>,
        /// In characters from 1, when the file could not be parsed there.
        column: Option<usize>,
    },
    /// In an environment variable of this name.
    Variable(String),
    /// In the application's own code.
    Builder,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => {
                path.display().fmt(f)?;
                line.map_or(Ok(()), |line| write!(f, ":{line}"))?;
                column.map_or(Ok(()), |column| write!(f, ":{column}"))
            }
            Self::Variable(name) => f.write_str(name),
            Self::Builder => f.write_str("builder"),
        }
    }
}
