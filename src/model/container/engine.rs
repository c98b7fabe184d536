use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// Where an engine listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EngineHost {
    /// `unix:///run/docker.sock`: a socket on this host.
    Unix(PathBuf),
    /// `tcp://host:2375`: over the network, with TLS when there are files for it.
    Tcp(String),
}

impl FromStr for EngineHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix://") {
            let path = PathBuf::from(path);
            return if path.is_absolute() {
                Ok(Self::Unix(path))
            } else {
                Err("needs an absolute path, as in unix:///run/docker.sock".to_owned())
            };
        }
        let schemes = ["tcp://", "http://", "https://"];
        let Some(address) = schemes.iter().find_map(|scheme| text.strip_prefix(scheme)) else {
            return Err("begins with neither unix:// nor tcp://".to_owned());
        };
        let address = address.trim_end_matches('/');
        let with_port = address.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && !host.contains(['/', '@']) && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
        if with_port {
            Ok(Self::Tcp(address.to_owned()))
        } else {
            Err("needs a host and a port, as in tcp://host:2376".to_owned())
        }
    }
}

impl fmt::Display for EngineHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

impl Serialize for EngineHost {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// PEM files for an engine behind TLS. With any of them set, all must be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct TlsSpec {
    /// Whom the engine's certificate must be signed by.
    pub ca: Option<PathBuf>,
    /// Our certificate.
    pub cert: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
}

/// How the guest in a container is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Over a link where the engine turns out to share our file system, else attached.
    #[default]
    Auto,
    /// A unix socket in a directory that is mounted into the container.
    Link,
    /// The engine's stream to the container's main process.
    Attach,
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PullPolicy {
    /// Never: it must be there.
    Never,
    /// When it is not there.
    #[default]
    Missing,
    /// When the pool starts and before each retry of a failed launch, even if it is there.
    Always,
}

/// What a container is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerMode {
    /// It waits for operations; the image's own program does not run.
    #[default]
    Sandbox,
    /// It runs the image's own program, and takes operations beside it.
    Service,
}
