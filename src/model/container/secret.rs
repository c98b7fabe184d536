use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// Where a secret comes from. It is fetched at each launch, and never kept in the config.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretSource {
    /// A file of the host, byte for byte. At most 1 MiB, as all secrets.
    File(PathBuf),
    /// A variable of ostler's own environment.
    Env(String),
    /// What a program writes to its standard output, less a newline at the end. Within 10 s and with status 0.
    Command(Vec<String>),
}

/// A secret that was fetched. Nothing shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(Vec<u8>);

impl SecretValue {
    /// A secret of these bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes, for where they are needed.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for SecretValue {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}
