use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::network::is_name;

/// Something mounted into a container, written as for engines:
///
/// ```text
/// /srv/models:/models:ro    a directory or file of the host
/// cache:/cache:shared       a volume of the engine, by name
/// tmpfs:/scratch:64MiB      memory
/// ```
///
/// A reset cannot wipe what is shared with the host or with other containers. So what is mounted from there is
/// either `ro`, or `shared`: written to, and left as it is between leases.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Volume {
    /// What is mounted.
    pub source: VolumeSource,
    /// Where, as an absolute path inside.
    pub target: PathBuf,
    /// What may be done with it.
    pub access: VolumeAccess,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum VolumeSource {
    /// A directory or file of the engine's host. It must be there.
    Bind(PathBuf),
    /// A volume of the engine, which makes it when it is not there.
    Named(String),
    /// Memory, of this many bytes or as many as `/tmp`; wiped by a reset.
    Tmpfs(Option<u64>),
}

/// What may be done with a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VolumeAccess {
    /// It can be read.
    ReadOnly,
    /// It can be written to. What is not a tmpfs keeps what was written, for the next lease and for others.
    Shared,
    /// As `Shared`, for the engine's own socket: whoever has that is root on its host.
    EngineSocket,
}

impl FromStr for Volume {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || "is not SOURCE:TARGET:ro, SOURCE:TARGET:shared or tmpfs:TARGET[:SIZE]".to_owned();
        let mut parts = text.split(':');
        let (source, target, option) =
            (parts.next().ok_or_else(wanted)?, parts.next().ok_or_else(wanted)?, parts.next());
        if parts.next().is_some() || text.contains('\0') {
            return Err(wanted());
        }
        let target = inside(target)?;
        if source == "tmpfs" {
            let size = option.map(size).transpose()?;
            return Ok(Self { source: VolumeSource::Tmpfs(size), target, access: VolumeAccess::Shared });
        }
        let source = match source {
            path if path.starts_with('/') || path.starts_with("./") || path.starts_with("../") => {
                VolumeSource::Bind(path.into())
            }
            name if is_name(name) => VolumeSource::Named(name.to_owned()),
            _ => {
                return Err("has neither a path that begins with / or ./ nor the name of a volume".to_owned());
            }
        };
        let access = match option {
            Some("ro") => VolumeAccess::ReadOnly,
            Some("shared") => VolumeAccess::Shared,
            Some("engine-socket") => VolumeAccess::EngineSocket,
            None | Some("rw") => {
                return Err(
                    "can be written to and no reset wipes it: end it with :ro, or :shared if it is meant to \
                            keep what leases write"
                        .to_owned(),
                );
            }
            Some(_) => return Err(wanted()),
        };
        Ok(Self { source, target, access })
    }
}

/// A path inside that is not the root, and does not wander.
fn inside(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    let plain = path.components().skip(1).all(|part| matches!(part, Component::Normal(_)));
    if path.is_absolute() && path != Path::new("/") && plain {
        Ok(path.to_owned())
    } else {
        Err("has no absolute path inside, other than /, as its target".to_owned())
    }
}

/// A number of bytes with a binary unit.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: Option<u64> = match &text[digits.len()..] {
        "" | "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    };
    let bytes = unit.zip(digits.parse::<u64>().ok()).and_then(|(unit, count)| unit.checked_mul(count));
    let bounds = (64 << 10)..=(1 << 40);
    bytes
        .filter(|bytes| bounds.contains(bytes))
        .ok_or_else(|| "has no size of 64KiB to 1TiB such as 64MiB".to_owned())
}

impl fmt::Display for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = self.target.display();
        let access = match self.access {
            VolumeAccess::ReadOnly => "ro",
            VolumeAccess::Shared => "shared",
            VolumeAccess::EngineSocket => "engine-socket",
        };
        match &self.source {
            VolumeSource::Bind(path) => write!(f, "{}:{target}:{access}", path.display()),
            VolumeSource::Named(name) => write!(f, "{name}:{target}:{access}"),
            VolumeSource::Tmpfs(None) => write!(f, "tmpfs:{target}"),
            VolumeSource::Tmpfs(Some(size)) => {
                let units: [(u64, &str); 4] =
                    [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")];
                let exact = units.iter().find(|(unit, _)| size.is_multiple_of(*unit));
                let (unit, name) = exact.unwrap_or(&(1, "B"));
                write!(f, "tmpfs:{target}:{}{name}", size / unit)
            }
        }
    }
}

impl Serialize for Volume {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::Volume;

    #[test]
    fn what_is_read_is_shown_in_one_way() {
        let cases = [
            ("/srv:/data:ro", "/srv:/data:ro"),
            ("./here:/data:shared", "./here:/data:shared"),
            ("cache:/cache:shared", "cache:/cache:shared"),
            ("tmpfs:/scratch", "tmpfs:/scratch"),
            ("tmpfs:/scratch:1024KiB", "tmpfs:/scratch:1MiB"),
        ];
        for (text, shown) in cases {
            assert_eq!(text.parse::<Volume>().expect(text).to_string(), shown);
        }
        let refused = [
            "",
            "/srv",
            "/srv:/data",
            "/srv:/data:rw",
            "/srv:data:ro",
            "/srv:/:ro",
            "/srv:/a/../b:ro",
            "a b:/c:ro",
            "srv/x:/y:ro",
            "/srv:/data:ro:z",
            "tmpfs:/x:lots",
            "tmpfs:/x:1KiB",
        ];
        for text in refused {
            assert!(text.parse::<Volume>().is_err(), "{text}");
        }
    }
}
