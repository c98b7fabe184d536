//! Ports of the host that stand for ports of containers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{LazyLock, Mutex, PoisonError};

use bollard::models::PortBinding;

use super::create::Published;
use crate::model::{HostPorts, Port, PortMap, Protocol};

/// Ports that containers of this process have, or are about to have.
static TAKEN: LazyLock<Mutex<HashSet<(IpAddr, u16, Protocol)>>> = LazyLock::new(Mutex::default);

/// Ports of the host for one container, nobody else's of this process until this is dropped.
#[derive(Debug, Default)]
pub(super) struct Reserved {
    pub(super) published: Vec<Published>,
}

impl Reserved {
    /// Finds ports for all maps. With `here`, ports that this host's other programs have are passed over.
    ///
    /// # Errors
    /// When one of them has none left; says which, and why.
    pub(super) fn find(maps: &[PortMap], here: bool) -> Result<Self, String> {
        let mut reserved = Self::default();
        for map in maps {
            for (port, hosts) in map.each() {
                let host = match hosts {
                    HostPorts::Any => 0,
                    HostPorts::Of(range) => {
                        let (first, last) = (*range.start(), *range.end());
                        let free =
                            range.clone().find(|host| take(map.address, *host, port.protocol, here).is_ok());
                        match free {
                            Some(host) => host,
                            None if first == last => {
                                let why = take(map.address, first, port.protocol, here).err();
                                let why = why.map_or_else(String::new, |error| format!(": {error}"));
                                return Err(format!(
                                    "port {first}/{} of the host is taken{why}",
                                    port.protocol
                                ));
                            }
                            None => {
                                return Err(format!(
                                    "ports {first}-{last}/{} of the host are all taken",
                                    port.protocol
                                ));
                            }
                        }
                    }
                };
                reserved.published.push((port, map.address, host));
            }
        }
        Ok(reserved)
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        for (port, address, host) in &self.published {
            taken.remove(&(*address, *host, port.protocol));
        }
    }
}

fn take(address: IpAddr, port: u16, protocol: Protocol, here: bool) -> io::Result<()> {
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    if taken.contains(&(address, port, protocol)) {
        return Err(io::Error::other("another container of this ostler has it"));
    }
    if here {
        match protocol {
            Protocol::Tcp => TcpListener::bind((address, port)).map(drop)?,
            Protocol::Udp => UdpSocket::bind((address, port)).map(drop)?,
        }
    }
    taken.insert((address, port, protocol));
    Ok(())
}

/// Where a container's ports are reached, by what the engine says of it. `engine` is the engine's own address where
/// that is not this host.
pub(super) fn endpoints(
    ports: &HashMap<String, Option<Vec<PortBinding>>>,
    engine: Option<IpAddr>,
) -> BTreeMap<Port, SocketAddr> {
    let each = ports.iter().filter_map(|(port, bindings)| {
        let binding = bindings.as_ref()?.iter().find_map(|binding| {
            let host = binding.host_port.as_ref()?.parse::<u16>().ok().filter(|port| *port > 0)?;
            let address = binding.host_ip.as_deref().unwrap_or_default();
            // Some engines leave it empty for all.
            let address = address.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            Some(SocketAddr::new(reached(address, engine), host))
        })?;
        Some((parse(port)?, binding))
    });
    each.collect()
}

/// Nobody connects to "all addresses".
fn reached(address: IpAddr, engine: Option<IpAddr>) -> IpAddr {
    match (address, engine) {
        (address, Some(engine)) if address.is_unspecified() => engine,
        (IpAddr::V4(address), None) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        (IpAddr::V6(address), None) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        (address, _) => address,
    }
}

/// `80/tcp`.
fn parse(port: &str) -> Option<Port> {
    let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return None,
    };
    Some(Port { number: number.parse().ok()?, protocol })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maps(text: &str) -> Vec<PortMap> {
        vec![text.parse().expect("a map")]
    }

    #[test]
    fn a_range_gives_each_its_own_until_there_are_no_more() {
        let free =
            TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let map = maps(&format!("{free}-{}:80", free + 1));
        let first = Reserved::find(&map, false).expect("the first");
        let second = Reserved::find(&map, false).expect("the second");
        assert_ne!(first.published[0].2, second.published[0].2);
        let error = Reserved::find(&map, false).expect_err("no third");
        assert!(error.contains("all taken"), "{error}");
        drop(first);
        Reserved::find(&map, false).expect("the first's");
    }

    #[test]
    fn a_port_that_another_program_has_is_told_before_the_start() {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = socket.local_addr().expect("an address").port();
        let error = Reserved::find(&maps(&format!("{port}:80")), true).expect_err("taken");
        assert!(error.contains(&format!("port {port}/tcp of the host is taken")), "{error}");
        assert!(Reserved::find(&maps(&format!("{port}:80/udp")), true).is_ok());
        drop(socket);
        assert!(Reserved::find(&maps(&format!("{port}:80")), true).is_ok());
    }

    #[test]
    fn endpoints_can_be_connected_to() {
        let binding = |ip: &str, port: &str| {
            Some(vec![PortBinding { host_ip: Some(ip.to_owned()), host_port: Some(port.to_owned()) }])
        };
        let ports = HashMap::from([
            ("80/tcp".to_owned(), binding("0.0.0.0", "8080")),
            ("53/udp".to_owned(), binding("", "5353")),
            ("81/tcp".to_owned(), binding("::", "8081")),
            ("82/tcp".to_owned(), None),
            ("83/sctp".to_owned(), binding("", "83")),
        ]);
        let found = endpoints(&ports, None);
        let at = |number, protocol| found.get(&Port { number, protocol }).map(ToString::to_string);
        assert_eq!(at(80, Protocol::Tcp).as_deref(), Some("127.0.0.1:8080"));
        assert_eq!(at(53, Protocol::Udp).as_deref(), Some("127.0.0.1:5353"));
        assert_eq!(at(81, Protocol::Tcp).as_deref(), Some("[::1]:8081"));
        assert_eq!(found.len(), 3);
        let far = endpoints(&ports, Some("10.0.0.9".parse().expect("an address")));
        assert_eq!(far[&Port::from(80)].to_string(), "10.0.0.9:8080");
    }
}
