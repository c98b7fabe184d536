use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// Which network a container has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum ContainerNetwork {
    /// `none`: loopback of its own.
    #[default]
    None,
    /// `bridge`: the engine's usual one.
    Bridge,
    /// `host`: the host's.
    Host,
    /// One of the engine's by its name. Ostler does not make it.
    Named(String),
}

impl FromStr for ContainerNetwork {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "bridge" => Ok(Self::Bridge),
            "host" => Ok(Self::Host),
            name if is_name(name) => Ok(Self::Named(name.to_owned())),
            _ => Err("is not the name of a network: letters, digits, _, . and -".to_owned()),
        }
    }
}

impl fmt::Display for ContainerNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::Named(name) => name,
        })
    }
}

impl Serialize for ContainerNetwork {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What engines take for the name of a network or a volume.
pub(super) fn is_name(name: &str) -> bool {
    let alone = |b: u8| b.is_ascii_alphanumeric();
    name.len() <= 128
        && name.bytes().next().is_some_and(alone)
        && name.bytes().all(|b| alone(b) || b"_.-".contains(&b))
}

/// A host that is known by name without DNS: `db:10.0.0.5`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExtraHost {
    /// Its name.
    pub name: String,
    /// Its address; none for `host-gateway`, which the engine puts its own host's for.
    pub address: Option<IpAddr>,
}

impl FromStr for ExtraHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || "is not a host's name and address, as in db:10.0.0.5".to_owned();
        let (name, address) = text.split_once(':').ok_or_else(wanted)?;
        let letters = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        if name.is_empty() || name.len() > 253 || !name.bytes().all(letters) {
            return Err(wanted());
        }
        let address = match address {
            "host-gateway" => None,
            address => Some(address.trim_matches(|c| c == '[' || c == ']').parse().map_err(|_| wanted())?),
        };
        Ok(Self { name: name.to_owned(), address })
    }
}

impl fmt::Display for ExtraHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{}:{address}", self.name),
            None => write!(f, "{}:host-gateway", self.name),
        }
    }
}

impl Serialize for ExtraHost {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
