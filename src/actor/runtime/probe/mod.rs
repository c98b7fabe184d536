//! What a health probe does, beside the ping that every one of them is.

mod http;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::life::{causes, how};
use crate::guest::{Exec, Session};
use crate::model::{BackendSpec, ContainerNetwork, Health, NetworkAccess, PoolSpec, Port, Probe};

/// Bytes of a probing command's output that are kept, for its last line.
const KEPT: u64 = 4096;

/// What a probe came to: unhealthy here means that this one failed, and why.
#[derive(Debug)]
pub(in crate::actor) struct Finding {
    pub(in crate::actor) health: Health,
    pub(in crate::actor) cause: Option<String>,
}

impl Finding {
    pub(in crate::actor) const UNKNOWN: Self = Self { health: Health::Unknown, cause: None };
    const HEALTHY: Self = Self { health: Health::Healthy, cause: None };

    pub(in crate::actor) fn failed(cause: impl Into<String>) -> Self {
        Self { health: Health::Unhealthy, cause: Some(cause.into()) }
    }
}

/// Pings the guest, and then does what else the pool's spec wants, all of it within the spec's timeout. `own` is
/// the image's health check.
pub(super) async fn probe(
    session: Session,
    spec: &PoolSpec,
    endpoints: &BTreeMap<Port, SocketAddr>,
    own: Option<Vec<String>>,
) -> Finding {
    let limit = spec.health.timeout;
    let work = async {
        session.ping(limit).await.map_err(|error| causes(&error))?;
        match &spec.health.probe {
            Probe::Guest => Ok(()),
            Probe::Exec(probe) => exec(&session, &probe.command, limit).await,
            Probe::Http(probe) => {
                let address = address(spec, endpoints, probe.port)?;
                http::get(address, probe).await
            }
            Probe::Tcp(probe) => {
                let address = address(spec, endpoints, probe.port)?;
                let connected = TcpStream::connect(address).await;
                connected.map(drop).map_err(|error| format!("connect to {address}: {error}"))
            }
            Probe::File(probe) => match session.exists(&probe.path).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(format!("there is no {}", probe.path)),
                Err(error) => Err(causes(&error)),
            },
            Probe::Image => match own {
                Some(command) => exec(&session, &command, limit).await,
                None => Err("the image has no health check of its own".to_owned()),
            },
        }
    };
    match timeout(limit, work).await {
        Ok(Ok(())) => Finding::HEALTHY,
        Ok(Err(cause)) => Finding::failed(cause),
        Err(_) => Finding::failed(format!("no answer within {limit:?}")),
    }
}

/// The ping alone.
pub(super) async fn ping(session: &Session, limit: Duration) -> Finding {
    match session.ping(limit).await {
        Ok(_) => Finding::HEALTHY,
        Err(error) => Finding::failed(causes(&error)),
    }
}

async fn exec(session: &Session, command: &[String], limit: Duration) -> Result<(), String> {
    let Some((program, arguments)) = command.split_first() else {
        return Err("the probe has no command".to_owned());
    };
    let exec = Exec::new(program).args(arguments).timeout(limit).output_limit(KEPT);
    let output = session.exec(exec).await.map_err(|error| causes(&error))?;
    if output.success() { Ok(()) } else { Err(format!("{program} ended with {}", how(&output))) }
}

/// Where a TCP port of the runtime is reached from this host.
fn address(
    spec: &PoolSpec,
    endpoints: &BTreeMap<Port, SocketAddr>,
    number: u16,
) -> Result<SocketAddr, String> {
    let on_host = match &spec.backend {
        BackendSpec::Process(process) => process.network == NetworkAccess::Host,
        BackendSpec::Docker(container) | BackendSpec::Podman(container) => {
            container.network == ContainerNetwork::Host
        }
        BackendSpec::Fake(_) | BackendSpec::Custom => false,
    };
    let known = endpoints.get(&Port::from(number)).copied();
    let own = on_host.then(|| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), number));
    known.or(own).ok_or_else(|| format!("port {number} is not reached from this host"))
}
