use super::{ContainerNetwork, ContainerSpec, Gpus, Seccomp, VolumeAccess, VolumeSource};

impl ContainerSpec {
    /// Each setting that takes something away from a container's isolation, for the log: `network = "host"`.
    /// Empty with the defaults.
    #[must_use]
    pub fn loosened(&self) -> Vec<String> {
        let mut loosened = Vec::new();
        let mut note = |is_loose: bool, what: String| {
            if is_loose {
                loosened.push(what);
            }
        };
        note(self.is_root(), format!("user = {:?}", self.user.as_deref().unwrap_or_default()));
        note(self.network != ContainerNetwork::None, format!("network = \"{}\"", self.network));
        for port in self.ports.iter().filter(|port| !port.address.is_loopback()) {
            note(true, format!("port {port} is open to other hosts"));
        }
        for volume in &self.volumes {
            let in_memory = matches!(volume.source, VolumeSource::Tmpfs(_));
            note(volume.access != VolumeAccess::ReadOnly && !in_memory, format!("volume {volume}"));
        }
        note(self.gpus != Gpus::None, format!("gpus = \"{}\"", self.gpus));
        let profile = !matches!(self.seccomp, Seccomp::Default);
        note(profile, format!("seccomp = \"{}\"", self.seccomp));
        note(self.apparmor.as_deref() == Some("unconfined"), "apparmor = \"unconfined\"".to_owned());
        for capability in &self.cap_add {
            note(true, format!("capability {capability}"));
        }
        note(!self.read_only_root, "read_only_root = false".to_owned());
        loosened
    }

    /// Whether the container's user is root because the spec says so.
    #[must_use]
    pub fn is_root(&self) -> bool {
        let name = self.user.as_deref().map(|user| user.split_once(':').map_or(user, |(name, _)| name));
        name.is_some_and(|name| name == "root" || name.parse() == Ok(0_u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_not_loosened() {
        assert!(ContainerSpec::default().loosened().is_empty());
    }

    #[test]
    fn what_is_loosened_is_told() {
        let spec = ContainerSpec {
            user: Some("0:0".to_owned()),
            network: ContainerNetwork::Bridge,
            ports: ["0.0.0.0:80:80", "81:81"].map(|port| port.parse().expect("a port")).into(),
            volumes: ["/a:/a:ro", "/b:/b:shared", "tmpfs:/c"]
                .map(|volume| volume.parse().expect("a volume"))
                .into(),
            gpus: Gpus::All,
            seccomp: Seccomp::Unconfined,
            apparmor: Some("unconfined".to_owned()),
            cap_add: ["cap_net_raw".parse().expect("a capability")].into(),
            read_only_root: false,
            ..ContainerSpec::default()
        };
        let expected = [
            "user = \"0:0\"",
            "network = \"bridge\"",
            "port 0.0.0.0:80:80 is open to other hosts",
            "volume /b:/b:shared",
            "gpus = \"all\"",
            "seccomp = \"unconfined\"",
            "apparmor = \"unconfined\"",
            "capability NET_RAW",
            "read_only_root = false",
        ];
        assert_eq!(spec.loosened(), expected);
    }
}
