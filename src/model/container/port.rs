use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// What is spoken on a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// A port inside a container, printed as engines do: `80/tcp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// What is spoken on it.
    pub protocol: Protocol,
}

impl From<u16> for Port {
    /// A TCP port.
    fn from(number: u16) -> Self {
        Self { number, protocol: Protocol::Tcp }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.protocol)
    }
}

/// Which ports of the host stand for a container's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPorts {
    /// Whichever is free.
    Any,
    /// Any of these for one port of the container; each its own for a range of them.
    Of(RangeInclusive<u16>),
}

/// Ports of a container that are reached at the host, written as for engines:
///
/// ```text
/// [IP:][HOST]:CONTAINER[/udp]
/// 8080:80   127.0.0.1:8080:80   [::1]:8080:80   :80   0:80   80   8000-8007:80   9000-9003:9000-9003   5353:53/udp
/// ```
///
/// A range for one port gives each container of the pool one of them; a range for a range is port by port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PortMap {
    /// The host's address. Default 127.0.0.1: nobody but this host. `0.0.0.0` is everybody.
    pub address: IpAddr,
    /// The host's ports.
    pub host: HostPorts,
    /// The container's ports.
    pub container: RangeInclusive<u16>,
    /// What is spoken on them.
    pub protocol: Protocol,
}

impl PortMap {
    /// The address when none is written.
    pub const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// The ports of the container one by one, each with those of the host that can stand for it.
    pub fn each(&self) -> impl Iterator<Item = (Port, HostPorts)> + '_ {
        let single = self.container.start() == self.container.end();
        self.container.clone().enumerate().map(move |(nth, number)| {
            let host = match &self.host {
                HostPorts::Of(range) if !single => {
                    // Both ranges are of one length.
                    let port = range.clone().nth(nth).unwrap_or(number);
                    HostPorts::Of(port..=port)
                }
                host => host.clone(),
            };
            (Port { number, protocol: self.protocol }, host)
        })
    }

    /// How many containers can have their ports of the host at once; none for as many as there are.
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        match &self.host {
            HostPorts::Any => None,
            HostPorts::Of(range) if self.container.len() == 1 => Some(range.len()),
            HostPorts::Of(_) => Some(1),
        }
    }

    /// A port of the host that both want.
    #[must_use]
    pub fn conflict(&self, other: &Self) -> Option<u16> {
        let meet = |a: IpAddr, b: IpAddr| a == b || a.is_unspecified() || b.is_unspecified();
        let (HostPorts::Of(a), HostPorts::Of(b)) = (&self.host, &other.host) else { return None };
        let first = *a.start().max(b.start());
        let both = self.protocol == other.protocol
            && meet(self.address, other.address)
            && first <= *a.end().min(b.end());
        both.then_some(first)
    }
}

impl FromStr for PortMap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (rest, protocol) = match text.rsplit_once('/') {
            None => (text, Protocol::Tcp),
            Some((rest, "tcp")) => (rest, Protocol::Tcp),
            Some((rest, "udp")) => (rest, Protocol::Udp),
            Some(_) => return Err("ends with neither /tcp nor /udp".to_owned()),
        };
        let (rest, container) = match rest.rsplit_once(':') {
            None => ("", rest),
            Some(parts) => parts,
        };
        let (address, host) = match rest.rsplit_once(':') {
            None => (None, rest),
            Some((address, host)) => (Some(address), host),
        };
        let address = match address {
            None => Self::ADDRESS,
            Some(address) => {
                let bare = address.strip_prefix('[').and_then(|address| address.strip_suffix(']'));
                bare.unwrap_or(address)
                    .parse()
                    .map_err(|_| format!("has no address before its ports: {address}"))?
            }
        };
        let container = range(container)?;
        let host = match host {
            "" | "0" => HostPorts::Any,
            ports => HostPorts::Of(range(ports)?),
        };
        if let HostPorts::Of(ports) = &host
            && container.len() > 1
            && ports.len() != container.len()
        {
            return Err("has ranges of different lengths".to_owned());
        }
        Ok(Self { address, host, container, protocol })
    }
}

fn range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let port = |text: &str| {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        let port = text.parse::<u16>().ok().filter(|port| digits && *port > 0);
        port.ok_or_else(|| {
            "is not written as [IP:][HOST]:CONTAINER[/udp] with ports of 1 to 65535".to_owned()
        })
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    if first > last { Err("has a range that ends before it begins".to_owned()) } else { Ok(first..=last) }
}

struct Shown<'a>(&'a RangeInclusive<u16>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.start())?;
        if self.0.start() < self.0.end() { write!(f, "-{}", self.0.end()) } else { Ok(()) }
    }
}

impl fmt::Display for PortMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Self::ADDRESS => {}
            IpAddr::V4(address) => write!(f, "{address}:")?,
            IpAddr::V6(address) => write!(f, "[{address}]:")?,
        }
        if let HostPorts::Of(ports) = &self.host {
            write!(f, "{}", Shown(ports))?;
        }
        write!(f, ":{}", Shown(&self.container))?;
        match self.protocol {
            Protocol::Tcp => Ok(()),
            Protocol::Udp => f.write_str("/udp"),
        }
    }
}

impl Serialize for PortMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> PortMap {
        text.parse().expect(text)
    }

    #[test]
    fn what_is_read_is_shown_in_one_way() {
        let cases = [
            ("8080:80", "8080:80"),
            ("127.0.0.1:8080:80/tcp", "8080:80"),
            ("0.0.0.0:8080:80", "0.0.0.0:8080:80"),
            ("[::1]:8080:80", "[::1]:8080:80"),
            ("80", ":80"),
            (":80", ":80"),
            ("0:80", ":80"),
            ("0.0.0.0::80", "0.0.0.0::80"),
            ("8000-8007:80", "8000-8007:80"),
            ("9000-9003:7000-7003/udp", "9000-9003:7000-7003/udp"),
            ("5353:53/udp", "5353:53/udp"),
        ];
        for (text, shown) in cases {
            assert_eq!(map(text).to_string(), shown, "{text}");
            assert_eq!(map(shown), map(text), "{shown}");
        }
        for text in [
            "",
            ":",
            "x",
            "80/sctp",
            "0",
            "8080:0",
            "70000:80",
            "+80:80",
            "9-8:80",
            "1-2:1-3",
            "1.2.3:1:2",
            "a:1:2",
        ] {
            assert!(text.parse::<PortMap>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_range_for_a_range_is_port_by_port() {
        let each: Vec<_> = map("9000-9001:80-81").each().collect();
        assert_eq!(each, [(80.into(), HostPorts::Of(9000..=9000)), (81.into(), HostPorts::Of(9001..=9001))]);
        assert_eq!(map("9000-9001:80-81").capacity(), Some(1));
        assert_eq!(map("9000-9003:80").capacity(), Some(4));
        assert_eq!(map(":80").capacity(), None);
    }

    #[test]
    fn conflicts_are_of_one_protocol_and_address() {
        let cases = [
            ("8080:80", "8080:81", Some(8080)),
            ("8000-8010:80", "8010-8020:81", Some(8010)),
            ("8080:80", "8080:80/udp", None),
            ("8080:80", "127.0.0.2:8080:80", None),
            ("8080:80", "0.0.0.0:8080:80", Some(8080)),
            ("8080:80", ":80", None),
        ];
        for (a, b, conflict) in cases {
            assert_eq!(map(a).conflict(&map(b)), conflict, "{a} and {b}");
            assert_eq!(map(b).conflict(&map(a)), conflict, "{b} and {a}");
        }
    }
}
