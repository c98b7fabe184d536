use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// What engines know to limit, less what `limits.file_size` and `limits.open_files` set.
const NAMES: [&str; 13] = [
    "core",
    "cpu",
    "data",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// A limit of each process in a container: `core=0`, `stack=1048576:8388608`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ulimit {
    /// Its name: that of the `RLIMIT_` constant, in small letters.
    pub name: String,
    /// What holds.
    pub soft: u64,
    /// What it can be raised to; not below `soft`.
    pub hard: u64,
}

impl FromStr for Ulimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || "is not NAME=SOFT or NAME=SOFT:HARD with numbers".to_owned();
        let (name, values) = text.split_once('=').ok_or_else(wanted)?;
        match name {
            "nofile" => return Err("is set by limits.open_files".to_owned()),
            "fsize" => return Err("is set by limits.file_size".to_owned()),
            name if NAMES.contains(&name) => {}
            _ => return Err(format!("has none of the names {}", NAMES.join(", "))),
        }
        let number = |text: &str| text.parse::<u64>().map_err(|_| wanted());
        let (soft, hard) = values.split_once(':').unwrap_or((values, values));
        let (soft, hard) = (number(soft)?, number(hard)?);
        // Engines take signed numbers.
        if soft > hard || i64::try_from(hard).is_err() {
            return Err("has a soft limit above the hard one, or one above 2^63 - 1".to_owned());
        }
        Ok(Self { name: name.to_owned(), soft, hard })
    }
}

impl fmt::Display for Ulimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}:{}", self.name, self.soft, self.hard)
    }
}

impl Serialize for Ulimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
