use std::path::Path;

use crate::config::setting::quoted;
use crate::config::validate::Together;
use crate::model::{
    ContainerMode, ContainerNetwork, ContainerSpec, EngineHost, SECRETS_DIRECTORY, Seccomp, VolumeAccess,
    VolumeSource,
};

use super::host::{self, Bound};

/// Places inside that are wiped by resets or are not what a mount would make of them.
const OCCUPIED: [&str; 8] =
    ["/work", "/tmp", "/dev", "/proc", "/sys", "/.ostler", "/run/ostler", SECRETS_DIRECTORY];

/// The checks of a container's settings against each other, the pool and the host.
pub(in crate::config) struct Rules<'r, 'a> {
    pub(in crate::config) together: &'r mut Together<'a>,
    pub(in crate::config) container: &'a ContainerSpec,
}

impl Rules<'_, '_> {
    pub(in crate::config) fn check(&mut self) {
        self.engine();
        self.service();
        self.files();
        self.volumes();
        self.network();
        self.ports();
        let swap_alone = self.container.swap > 0 && self.together.spec.limits.memory.is_none();
        self.refuse(swap_alone, "swap", &["limits.memory"], "needs limits.memory to be on top of");
        if let Some(dir) = &self.container.logs.dir
            && let Err(message) = crate::config::host::can_write(dir)
        {
            self.report("logs.dir", message);
        }
    }

    fn engine(&mut self) {
        let tls = &self.container.tls;
        let files = [("tls.ca", &tls.ca), ("tls.cert", &tls.cert), ("tls.key", &tls.key)];
        if let Some((missing, _)) = files.iter().find(|(_, path)| path.is_none())
            && let Some((given, _)) = files.iter().find(|(_, path)| path.is_some())
        {
            self.report(given, format!("needs container.{missing} too"));
        }
        for (key, path) in files {
            if let Some(Err(message)) = path.as_deref().map(host::text) {
                self.report(key, message);
            }
        }
        let unix = matches!(self.container.host, Some(EngineHost::Unix(_)));
        self.refuse(unix && tls.ca.is_some(), "tls.ca", &["container.host"], "is not for a unix socket");
    }

    fn service(&mut self) {
        let sandbox = self.container.mode == ContainerMode::Sandbox;
        let only = "is only for container.mode = \"service\"";
        let mode = &["container.mode"];
        self.refuse(sandbox && self.container.entrypoint.is_some(), "entrypoint", mode, only);
        self.refuse(sandbox && self.container.command.is_some(), "command", mode, only);
        let too_long = !sandbox && self.container.stop_grace >= self.together.spec.retire_timeout;
        self.refuse(too_long, "stop_grace", &["retire_timeout"], "must be shorter than retire_timeout");
    }

    fn files(&mut self) {
        let wrong = |found: Result<(), String>| found.err();
        let mut files = self.container.env_files.iter().map(|path| host::check_env_file(path));
        if let Some(message) = files.find_map(wrong) {
            self.report("env_files", message);
        }
        let mut secrets =
            self.container.secrets.iter().map(|(name, source)| host::check_secret(name, source));
        if let Some(message) = secrets.find_map(wrong) {
            self.report("secrets", message);
        }
        if let Seccomp::Profile(path) = &self.container.seccomp
            && let Err(message) = host::check_profile(path)
        {
            self.report("seccomp", message);
        }
    }

    fn volumes(&mut self) {
        for (nth, volume) in self.container.volumes.iter().enumerate() {
            let shown = quoted(&volume.to_string());
            if let Some(place) = OCCUPIED.iter().find(|place| volume.target.starts_with(place)) {
                self.report("volumes", format!("{shown} is mounted in {place}, which is ostler's"));
            }
            let mut others = self.container.volumes.iter().take(nth);
            if others.any(|other| other.target == volume.target) {
                self.report("volumes", format!("{shown} is mounted where another one is"));
            }
            let engine_socket = volume.access == VolumeAccess::EngineSocket;
            let bound = match &volume.source {
                VolumeSource::Bind(path) => host::check_bind(self.container, path),
                VolumeSource::Named(_) | VolumeSource::Tmpfs(_) => Ok(Bound::Path),
            };
            match bound {
                Err(message) => self.report("volumes", format!("{shown} {message}")),
                Ok(Bound::EngineSocket) if !engine_socket => {
                    let message = "is the engine's socket, and who has that is root on its host: if it is meant, end \
                                   it with :engine-socket";
                    self.report("volumes", format!("{shown} {message}"));
                }
                Ok(Bound::Path) if engine_socket => {
                    self.report("volumes", format!("{shown} is not the engine's socket"));
                }
                Ok(_) => {}
            }
        }
    }

    fn network(&mut self) {
        let none = self.container.network == ContainerNetwork::None;
        let network = &["container.network"];
        let needs = "needs a container.network other than \"none\"";
        self.refuse(none && !self.container.dns.is_empty(), "dns", network, needs);
        self.refuse(none && !self.container.extra_hosts.is_empty(), "extra_hosts", network, needs);
        self.refuse(none && !self.container.ports.is_empty(), "ports", network, needs);
        let host = self.container.network == ContainerNetwork::Host;
        let useless = "are not for container.network = \"host\": its ports are the host's";
        self.refuse(host && !self.container.ports.is_empty(), "ports", network, useless);
    }

    fn ports(&mut self) {
        let spec = self.together.spec;
        let runtimes = spec.max + spec.overflow;
        for (nth, port) in self.container.ports.iter().enumerate() {
            let shown = quoted(&port.to_string());
            for other in self.container.ports.iter().take(nth) {
                if let Some(number) = port.conflict(other) {
                    let other = quoted(&other.to_string());
                    self.report("ports", format!("{shown} and {other} both want port {number} of the host"));
                }
            }
            if let Some(capacity) = port.capacity().filter(|capacity| *capacity < runtimes) {
                let message = format!(
                    "{shown} has ports of the host for {capacity} runtimes at once, and there may be {runtimes} by max \
                     and overflow; give a range for one port, or no port of the host"
                );
                self.report_with("ports", &["max", "overflow"], message);
            }
        }
    }

    fn refuse(&mut self, wrong: bool, key: &str, others: &[&str], message: &str) {
        if wrong {
            self.report_with(key, others, message.to_owned());
        }
    }

    fn report(&mut self, key: &str, message: String) {
        self.report_with(key, &[], message);
    }

    fn report_with(&mut self, key: &str, others: &[&str], message: String) {
        self.together.report(&format!("container.{key}"), others, message);
    }
}

/// Whether a port of the runtime is one that this host reaches, by the container's settings.
pub(in crate::config) fn is_reached(container: &ContainerSpec, number: u16) -> Result<(), String> {
    match container.network {
        ContainerNetwork::None => {
            Err("needs a container.network other than \"none\", which nothing outside reaches; use the probe exec".to_owned())
        }
        ContainerNetwork::Host => Ok(()),
        ContainerNetwork::Bridge | ContainerNetwork::Named(_) => {
            let mapped = container.ports.iter().flat_map(|map| map.each().collect::<Vec<_>>());
            if mapped.into_iter().any(|(port, _)| port == number.into()) {
                Ok(())
            } else {
                Err(format!("is no port of container.ports; add \":{number}\" to them"))
            }
        }
    }
}

/// Whether `dir` is mounted into the container, or something in it.
pub(super) fn mounts(container: &ContainerSpec, dir: &Path) -> Option<String> {
    let volume = container.volumes.iter().find(|volume| host::meet(&volume.source, dir))?;
    Some(quoted(&volume.to_string()))
}
