use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::{
    Capability, ContainerMode, ContainerNetwork, EngineHost, Exhausted, ExtraHost, Gpus, IsolationLevel,
    NetworkAccess, PortMap, PullPolicy, ResetPolicy, RestartPolicy, Seccomp, SecretSource, StatusRange,
    Transport, Ulimit, Volume,
};

use super::log::{LogFormat, LogLevel};
use super::setting::Setting;

/// The type of a field that a key sets.
pub(super) trait Field: Sized {
    /// Whether the key may be switched off.
    const OPTIONAL: bool = false;

    /// What the field holds.
    fn setting(&self) -> Setting;

    /// The field that holds `setting`; none when no such field can.
    fn from_setting(setting: Setting) -> Option<Self>;

    /// Makes the field hold `setting`.
    fn assign(&mut self, setting: Setting) -> Option<()> {
        *self = Self::from_setting(setting)?;
        Some(())
    }
}

impl<T: Field> Field for Option<T> {
    const OPTIONAL: bool = true;

    fn setting(&self) -> Setting {
        self.as_ref().map_or(Setting::Off, T::setting)
    }

    fn from_setting(setting: Setting) -> Option<Self> {
        match setting {
            Setting::Off => Some(None),
            setting => T::from_setting(setting).map(Some),
        }
    }
}

impl Field for u64 {
    fn setting(&self) -> Setting {
        Setting::Integer(*self)
    }

    fn from_setting(setting: Setting) -> Option<Self> {
        match setting {
            Setting::Integer(number) => Some(number),
            _ => None,
        }
    }
}

impl Field for u32 {
    fn setting(&self) -> Setting {
        Setting::Integer((*self).into())
    }

    fn from_setting(setting: Setting) -> Option<Self> {
        u64::from_setting(setting)?.try_into().ok()
    }
}

impl Field for u16 {
    fn setting(&self) -> Setting {
        Setting::Integer((*self).into())
    }

    fn from_setting(setting: Setting) -> Option<Self> {
        u64::from_setting(setting)?.try_into().ok()
    }
}

impl Field for usize {
    fn setting(&self) -> Setting {
        // No machine has more than 64 bits of address.
        Setting::Integer(u64::try_from(*self).unwrap_or(u64::MAX))
    }

    fn from_setting(setting: Setting) -> Option<Self> {
        u64::from_setting(setting)?.try_into().ok()
    }
}

macro_rules! plain_fields {
    ($($field:ty: $variant:ident;)+) => {$(
        impl Field for $field {
            fn setting(&self) -> Setting {
                Setting::$variant(self.clone())
            }

            fn from_setting(setting: Setting) -> Option<Self> {
                match setting {
                    Setting::$variant(value) => Some(value),
                    _ => None,
                }
            }
        }
    )+};
}

plain_fields! {
    Duration: Duration;
    f64: Fraction;
    bool: Flag;
    String: Text;
    PathBuf: Path;
    Vec<String>: Words;
    Vec<PathBuf>: Paths;
}

/// Types that are written as text of a form of their own.
macro_rules! text_fields {
    ($($field:ty),+) => {$(
        impl Field for $field {
            fn setting(&self) -> Setting {
                Setting::Text(self.to_string())
            }

            fn from_setting(setting: Setting) -> Option<Self> {
                String::from_setting(setting)?.parse().ok()
            }
        }
    )+};
}

text_fields! { EngineHost, ContainerNetwork, Gpus, Seccomp, StatusRange }

/// Lists of such.
macro_rules! list_fields {
    ($($field:ty),+) => {$(
        impl Field for $field {
            fn setting(&self) -> Setting {
                Setting::Words(self.iter().map(ToString::to_string).collect())
            }

            fn from_setting(setting: Setting) -> Option<Self> {
                <Vec<String>>::from_setting(setting)?.iter().map(|text| text.parse().ok()).collect()
            }
        }
    )+};
}

list_fields! { Vec<Volume>, Vec<PortMap>, Vec<IpAddr>, Vec<ExtraHost>, Vec<Ulimit>, BTreeSet<Capability> }

impl Field for BTreeMap<String, String> {
    fn setting(&self) -> Setting {
        Setting::Environment(self.clone())
    }

    fn from_setting(setting: Setting) -> Option<Self> {
        match setting {
            Setting::Environment(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// Adds to what is there: a pool's variables go on top of those of `[defaults]`.
    fn assign(&mut self, setting: Setting) -> Option<()> {
        self.extend(Self::from_setting(setting)?);
        Some(())
    }
}

impl Field for BTreeMap<String, SecretSource> {
    fn setting(&self) -> Setting {
        Setting::Secrets(self.clone())
    }

    fn from_setting(setting: Setting) -> Option<Self> {
        match setting {
            Setting::Secrets(secrets) => Some(secrets),
            _ => None,
        }
    }

    /// As with the environment.
    fn assign(&mut self, setting: Setting) -> Option<()> {
        self.extend(Self::from_setting(setting)?);
        Some(())
    }
}

/// A type whose values are words.
pub(super) trait Choice {
    /// The words a key of this type takes.
    const WORDS: &'static [&'static str];
}

macro_rules! word_fields {
    ($($field:ident { $($variant:ident = $word:literal),+ })+) => {$(
        impl Choice for $field {
            const WORDS: &'static [&'static str] = &[$($word),+];
        }

        impl Field for $field {
            fn setting(&self) -> Setting {
                Setting::Text(match self { $(Self::$variant => $word),+ }.to_owned())
            }

            fn from_setting(setting: Setting) -> Option<Self> {
                match setting {
                    Setting::Text(text) => match text.as_str() {
                        $($word => Some(Self::$variant),)+
                        _ => None,
                    },
                    _ => None,
                }
            }
        }
    )+};
}

word_fields! {
    Exhausted { Wait = "wait", Fail = "fail", Overflow = "overflow" }
    ResetPolicy { None = "none", Wipe = "wipe" }
    RestartPolicy { Always = "always", OnFailure = "on_failure", Never = "never" }
    IsolationLevel { Auto = "auto", Strict = "strict", Basic = "basic" }
    NetworkAccess { None = "none", Host = "host" }
    Transport { Auto = "auto", Link = "link", Attach = "attach" }
    PullPolicy { Never = "never", Missing = "missing", Always = "always" }
    ContainerMode { Sandbox = "sandbox", Service = "service" }
    LogLevel {
        Critical = "critical", Error = "error", Warning = "warning", Info = "info", Debug = "debug",
        Trace = "trace"
    }
    LogFormat { Text = "text", Json = "json" }
}
