use std::env;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use super::Flavor;
use crate::model::{ContainerSpec, EngineHost, TlsSpec};

/// Where an engine listens, and how it is spoken to there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Unix(PathBuf),
    /// `host:port`, in the clear.
    Tcp(String),
    Tls {
        host: String,
        files: TlsFiles,
    },
}

/// PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TlsFiles {
    pub(super) ca: PathBuf,
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
}

impl Address {
    /// What the spec says, else the environment, else the first of the usual sockets that is there.
    ///
    /// # Errors
    /// When what is said makes no sense, or nothing is said and no socket is there.
    pub(super) fn find(spec: &ContainerSpec, flavor: Flavor) -> Result<Self, String> {
        let here = Here { variable: &|name| env::var(name).ok(), exists: &|path| path.exists() };
        here.find(spec, flavor)
    }

    /// The engine's host, where it is another than this and its address is known.
    pub(super) fn remote(&self) -> Option<IpAddr> {
        match self {
            Self::Unix(_) => None,
            Self::Tcp(host) | Self::Tls { host, .. } => {
                let (name, _) = host.rsplit_once(':')?;
                name.trim_matches(['[', ']']).parse().ok().filter(|address: &IpAddr| !address.is_loopback())
            }
        }
    }
}

/// What of this process and host counts.
struct Here<'h> {
    variable: &'h dyn Fn(&str) -> Option<String>,
    exists: &'h dyn Fn(&Path) -> bool,
}

impl Here<'_> {
    fn find(&self, spec: &ContainerSpec, flavor: Flavor) -> Result<Address, String> {
        if let Some(host) = &spec.host {
            return Ok(self.with_tls(host.clone(), &spec.tls, false));
        }
        for name in flavor.variables() {
            if let Some(text) = self.said(name) {
                let host = text.parse().map_err(|wrong| format!("{name}={text} {wrong}"))?;
                return Ok(self.with_tls(host, &spec.tls, text.starts_with("https://")));
            }
        }
        let usual = self.usual(flavor);
        if let Some(path) = usual.iter().find(|path| (self.exists)(path)) {
            return Ok(Address::Unix(path.clone()));
        }
        let variables = flavor.variables().join(" or ");
        let looked: Vec<_> = usual.iter().map(|path| path.display().to_string()).collect();
        Err(format!("no {flavor} engine: {variables} is not set, and none of {} is there", looked.join(", ")))
    }

    /// TLS where files are named for it, or the environment asks for it.
    fn with_tls(&self, host: EngineHost, tls: &TlsSpec, must: bool) -> Address {
        let host = match host {
            EngineHost::Unix(path) => return Address::Unix(path),
            EngineHost::Tcp(host) => host,
        };
        if let TlsSpec { ca: Some(ca), cert: Some(cert), key: Some(key) } = tls {
            let files = TlsFiles { ca: ca.clone(), cert: cert.clone(), key: key.clone() };
            return Address::Tls { host, files };
        }
        if must || self.said("DOCKER_TLS_VERIFY").is_some() {
            let home = || PathBuf::from(self.said("HOME").unwrap_or_default()).join(".docker");
            let dir = self.said("DOCKER_CERT_PATH").map_or_else(home, PathBuf::from);
            let files =
                TlsFiles { ca: dir.join("ca.pem"), cert: dir.join("cert.pem"), key: dir.join("key.pem") };
            return Address::Tls { host, files };
        }
        Address::Tcp(host)
    }

    /// Where engines listen that nobody said anything about, the user's own first.
    fn usual(&self, flavor: Flavor) -> Vec<PathBuf> {
        let user = geteuid();
        let own = self.said("XDG_RUNTIME_DIR").map(PathBuf::from);
        let own = own.unwrap_or_else(|| PathBuf::from(format!("/run/user/{}", user.as_raw())));
        let own = (!user.is_root()).then_some(own);
        match flavor {
            Flavor::Docker => {
                let own = own.map(|dir| dir.join("docker.sock"));
                let system = ["/var/run/docker.sock", "/run/docker.sock"].map(PathBuf::from);
                // The system's first, as all of Docker's own tools have it.
                system.into_iter().chain(own).collect()
            }
            Flavor::Podman => {
                let own = own.map(|dir| dir.join("podman/podman.sock"));
                own.into_iter().chain([PathBuf::from("/run/podman/podman.sock")]).collect()
            }
        }
    }

    /// A variable that says something.
    fn said(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|text| !text.is_empty())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(host) => write!(f, "tcp://{host}"),
            Self::Tls { host, .. } => write!(f, "tcp://{host} (TLS)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(
        spec: &ContainerSpec,
        flavor: Flavor,
        said: &[(&str, &str)],
        there: &[&str],
    ) -> Result<Address, String> {
        let variable =
            |name: &str| said.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned());
        let exists = |path: &Path| there.iter().any(|known| Path::new(known) == path);
        Here { variable: &variable, exists: &exists }.find(spec, flavor)
    }

    fn unix(path: &str) -> Address {
        Address::Unix(path.into())
    }

    #[test]
    fn the_spec_wins_over_the_environment_and_that_over_what_is_there() {
        let spec = ContainerSpec { host: Some("unix:///spec".parse().unwrap()), ..ContainerSpec::default() };
        let said = [("DOCKER_HOST", "unix:///said")];
        assert_eq!(find(&spec, Flavor::Docker, &said, &[]), Ok(unix("/spec")));
        let silent = ContainerSpec::default();
        assert_eq!(find(&silent, Flavor::Docker, &said, &["/var/run/docker.sock"]), Ok(unix("/said")));
        assert_eq!(
            find(&silent, Flavor::Docker, &[], &["/var/run/docker.sock"]),
            Ok(unix("/var/run/docker.sock"))
        );
    }

    #[test]
    fn podman_has_a_variable_and_sockets_of_its_own() {
        let spec = ContainerSpec::default();
        let both = [("DOCKER_HOST", "unix:///d"), ("CONTAINER_HOST", "unix:///c")];
        assert_eq!(find(&spec, Flavor::Podman, &both, &[]), Ok(unix("/c")));
        assert_eq!(find(&spec, Flavor::Podman, &both[..1], &[]), Ok(unix("/d")));
        assert_eq!(
            find(&spec, Flavor::Docker, &both[1..], &["/run/docker.sock"]),
            Ok(unix("/run/docker.sock"))
        );
        let system = "/run/podman/podman.sock";
        assert_eq!(find(&spec, Flavor::Podman, &[("DOCKER_HOST", "")], &[system]), Ok(unix(system)));
    }

    #[test]
    fn tls_is_taken_from_the_spec_or_from_where_docker_has_it() {
        let host = || "far:2376".to_owned();
        let files = |dir: &str| TlsFiles {
            ca: format!("{dir}/ca.pem").into(),
            cert: format!("{dir}/cert.pem").into(),
            key: format!("{dir}/key.pem").into(),
        };
        let said =
            [("DOCKER_HOST", "tcp://far:2376"), ("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", "/certs")];
        let silent = ContainerSpec::default();
        assert_eq!(
            find(&silent, Flavor::Docker, &said, &[]),
            Ok(Address::Tls { host: host(), files: files("/certs") })
        );
        assert_eq!(find(&silent, Flavor::Docker, &said[..1], &[]), Ok(Address::Tcp(host())));
        let safe = [("DOCKER_HOST", "https://far:2376"), ("HOME", "/home/me")];
        let own = Address::Tls { host: host(), files: files("/home/me/.docker") };
        assert_eq!(find(&silent, Flavor::Docker, &safe, &[]), Ok(own));
        let tls = TlsSpec {
            ca: Some("/a/ca.pem".into()),
            cert: Some("/a/cert.pem".into()),
            key: Some("/a/key.pem".into()),
        };
        let spec = ContainerSpec { tls, ..ContainerSpec::default() };
        assert_eq!(
            find(&spec, Flavor::Docker, &said[..1], &[]),
            Ok(Address::Tls { host: host(), files: files("/a") })
        );
    }

    #[test]
    fn what_was_looked_for_is_in_the_error() {
        let wrong = find(&ContainerSpec::default(), Flavor::Docker, &[], &[]).unwrap_err();
        assert!(wrong.contains("DOCKER_HOST") && wrong.contains("/var/run/docker.sock"), "{wrong}");
        let wrong =
            find(&ContainerSpec::default(), Flavor::Docker, &[("DOCKER_HOST", "ssh://x")], &[]).unwrap_err();
        assert!(wrong.starts_with("DOCKER_HOST=ssh://x begins with"), "{wrong}");
    }
}
