use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// The filter of system calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Seccomp {
    /// `default`: the engine's.
    #[default]
    Default,
    /// A profile in a JSON file of this host.
    Profile(PathBuf),
    /// `unconfined`: none.
    Unconfined,
}

impl FromStr for Seccomp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "default" => Ok(Self::Default),
            "unconfined" => Ok(Self::Unconfined),
            path if path.contains('/') && !path.contains('\0') => Ok(Self::Profile(path.into())),
            _ => Err("is neither default, nor unconfined, nor a path with a / in it".to_owned()),
        }
    }
}

impl fmt::Display for Seccomp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Profile(path) => path.display().fmt(f),
            Self::Unconfined => f.write_str("unconfined"),
        }
    }
}

impl Serialize for Seccomp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Devices for computing that a container has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Gpus {
    /// `none`.
    #[default]
    None,
    /// `all` there are.
    All,
    /// So many: `2`.
    Count(u32),
    /// These, by the engine's names: `device=0,GPU-3a23`.
    Devices(Vec<String>),
}

impl FromStr for Gpus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted =
            || "is neither none, nor all, nor a number, nor device= and names with commas".to_owned();
        match text {
            "none" => Ok(Self::None),
            "all" => Ok(Self::All),
            _ => match text.strip_prefix("device=") {
                Some(names) => {
                    let names: Vec<_> = names.split(',').map(str::to_owned).collect();
                    let sound = |name: &String| {
                        !name.is_empty()
                            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_:./=".contains(&b))
                    };
                    if names.iter().all(sound) { Ok(Self::Devices(names)) } else { Err(wanted()) }
                }
                None => match text.parse() {
                    Ok(count @ 1..=64) => Ok(Self::Count(count)),
                    _ => Err(wanted()),
                },
            },
        }
    }
}

impl fmt::Display for Gpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::All => f.write_str("all"),
            Self::Count(count) => count.fmt(f),
            Self::Devices(names) => write!(f, "device={}", names.join(",")),
        }
    }
}

impl Serialize for Gpus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What Linux calls its capabilities, without `CAP_`; see capabilities(7).
const CAPABILITIES: [&str; 41] = [
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];

/// One capability of Linux, by its name without `CAP_`: `NET_BIND_SERVICE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Capability(&'static str);

impl Capability {
    /// Its name without `CAP_`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }
}

impl FromStr for Capability {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
        if name == "ALL" {
            return Err("is all of them; name those that are needed".to_owned());
        }
        let known = CAPABILITIES.iter().find(|known| **known == name);
        known.map(|known| Self(known)).ok_or_else(|| "is no capability of Linux".to_owned())
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
