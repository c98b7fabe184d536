//! From a spec to what the engine is asked to make.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use bollard::models::{
    ContainerCreateBody, DeviceRequest, HealthConfig, HostConfig, HostConfigLogConfig, Mount as ApiMount,
    MountType, PortBinding, ResourcesUlimits,
};

use super::image::Image;
use crate::model::{
    ContainerMode, ContainerSpec, Gpus, Limits, Port, SECRETS_DIRECTORY, Seccomp, VolumeAccess, VolumeSource,
};
use crate::protocol::WORKSPACE;

/// Whom a container runs as whose image and config don't say, or whose image says root.
pub(super) const NOBODY: &str = "65534:65534";

/// Where our own are in a container: nothing of an image is likely to be there.
pub(super) const OWN: &str = "/.ostler";
pub(super) const GUEST_NAME: &str = "guest";
pub(super) const GUEST: &str = "/.ostler/guest";
pub(super) const LINK: &str = "/.ostler/link";
/// The socket's name in the link's directory.
pub(super) const SOCKET: &str = "socket";

/// Bytes for all secrets: 256 of them rarely come near it, and it counts against the memory limit only as used.
const SECRETS_SIZE: u64 = 16 << 20;
/// Most of the main process's output that the engine keeps for us to fetch.
const ENGINE_LOG: &str = "1m";

/// How the guest gets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry<'e> {
    /// Mounted, with the directory of the socket that it connects to.
    Link { program: &'e Path, directory: &'e Path },
    /// Uploaded before the start; it speaks on its standard streams.
    Attach,
}

/// A port of the container with the host's that stands for it; 0 for whichever is free.
pub(super) type Published = (Port, IpAddr, u16);

/// All that makes one container.
#[derive(Debug)]
pub(super) struct Order<'o> {
    pub(super) spec: &'o ContainerSpec,
    pub(super) limits: &'o Limits,
    pub(super) image: &'o Image,
    pub(super) entry: Entry<'o>,
    pub(super) ports: &'o [Published],
    pub(super) labels: HashMap<String, String>,
    /// The content of `seccomp`'s file.
    pub(super) profile: Option<&'o str>,
}

impl Order<'_> {
    /// What a Docker engine is asked for.
    pub(super) fn body(&self) -> ContainerCreateBody {
        let spec = self.spec;
        let attached = self.entry == Entry::Attach;
        let mut labels = spec.labels.clone().into_iter().collect::<HashMap<_, _>>();
        labels.extend(self.labels.clone());
        ContainerCreateBody {
            image: Some(self.image.id.clone()),
            user: user(spec, self.image).map(str::to_owned),
            entrypoint: Some(self.entrypoint()),
            cmd: Some(Vec::new()),
            working_dir: Some("/".to_owned()),
            // The engine's own checks run commands in the container behind our back; ours do it through the guest.
            healthcheck: Some(HealthConfig {
                test: Some(vec!["NONE".to_owned()]),
                ..HealthConfig::default()
            }),
            // To the guest, whatever the image has: that one goes from the guest to a service.
            stop_signal: Some("SIGTERM".to_owned()),
            open_stdin: Some(attached),
            stdin_once: Some(attached),
            attach_stdin: Some(attached),
            attach_stdout: Some(attached),
            attach_stderr: Some(attached),
            tty: Some(false),
            exposed_ports: Some(self.ports.iter().map(|(port, ..)| port.to_string()).collect()),
            labels: Some(labels),
            host_config: Some(self.host_config()),
            ..ContainerCreateBody::default()
        }
    }

    fn entrypoint(&self) -> Vec<String> {
        let how = match self.entry {
            Entry::Link { .. } => vec!["--link".to_owned(), format!("{LINK}/{SOCKET}")],
            Entry::Attach => vec!["--attach".to_owned()],
        };
        [GUEST.to_owned(), "container".to_owned()].into_iter().chain(how).collect()
    }

    fn host_config(&self) -> HostConfig {
        let (spec, limits) = (self.spec, self.limits);
        let memory = limits.memory.map(signed);
        HostConfig {
            network_mode: Some(spec.network.to_string()),
            dns: Some(spec.dns.iter().map(IpAddr::to_string).collect()),
            extra_hosts: Some(spec.extra_hosts.iter().map(ToString::to_string).collect()),
            port_bindings: Some(self.port_bindings()),
            readonly_rootfs: Some(spec.read_only_root),
            tmpfs: Some(self.tmpfs()),
            mounts: Some(self.mounts()),
            shm_size: Some(signed(spec.shm_size)),
            ipc_mode: Some("private".to_owned()),
            privileged: Some(false),
            cap_drop: Some(vec!["ALL".to_owned()]),
            cap_add: Some(spec.cap_add.iter().map(ToString::to_string).collect()),
            security_opt: Some(self.security()),
            memory,
            memory_swap: memory.map(|memory| memory.saturating_add(signed(spec.swap))),
            nano_cpus: limits.cpus.map(nano_cpus),
            // The guest and the engine's init are none of the user's.
            pids_limit: limits.pids.map(|pids| signed(pids).saturating_add(1 + i64::from(spec.init))),
            ulimits: Some(self.ulimits()),
            device_requests: devices(&spec.gpus).map(|request| vec![request]),
            runtime: spec.runtime.clone(),
            init: Some(spec.init),
            log_config: Some(self.log_config()),
            ..HostConfig::default()
        }
    }

    fn log_config(&self) -> HostConfigLogConfig {
        match self.entry {
            Entry::Link { .. } => HostConfigLogConfig {
                typ: Some("json-file".to_owned()),
                config: Some(HashMap::from([("max-size".to_owned(), ENGINE_LOG.to_owned())])),
            },
            // The output is the conversation with the guest.
            Entry::Attach => HostConfigLogConfig { typ: Some("none".to_owned()), config: None },
        }
    }

    fn port_bindings(&self) -> HashMap<String, Option<Vec<PortBinding>>> {
        let mut bindings: HashMap<_, Option<Vec<_>>> = HashMap::new();
        for (port, address, host) in self.ports {
            let host_port = if *host == 0 { String::new() } else { host.to_string() };
            let binding = PortBinding { host_ip: Some(address.to_string()), host_port: Some(host_port) };
            bindings.entry(port.to_string()).or_default().get_or_insert_default().push(binding);
        }
        bindings
    }

    fn tmpfs(&self) -> HashMap<String, String> {
        let wiped =
            writable(self.spec, self.image).into_iter().filter(|(path, _)| path != Path::new("/dev/shm"));
        let secrets =
            (!self.spec.secrets.is_empty()).then(|| (PathBuf::from(SECRETS_DIRECTORY), SECRETS_SIZE));
        let own = owner(user(self.spec, self.image).unwrap_or(&self.image.user));
        let options = |size: u64, exec: &str| format!("size={size},mode=1777,nosuid,nodev,{exec}{own}");
        wiped
            .map(|(path, size)| (path, options(size, "exec")))
            .chain(secrets.map(|(path, size)| (path, options(size, "noexec"))))
            .map(|(path, options)| (path.to_string_lossy().into_owned(), options))
            .collect()
    }

    fn mounts(&self) -> Vec<ApiMount> {
        let own = match self.entry {
            Entry::Link { program, directory } => vec![
                mount(MountType::BIND, &program.to_string_lossy(), Path::new(GUEST), true),
                mount(MountType::BIND, &directory.to_string_lossy(), Path::new(LINK), true),
            ],
            // A volume without a name goes with its container, and can be filled where the root is read-only.
            Entry::Attach => vec![ApiMount {
                typ: Some(MountType::VOLUME),
                target: Some(OWN.to_owned()),
                ..ApiMount::default()
            }],
        };
        let theirs = self.spec.volumes.iter().filter_map(|volume| {
            let read_only = volume.access == VolumeAccess::ReadOnly;
            match &volume.source {
                VolumeSource::Bind(path) => {
                    Some(mount(MountType::BIND, &path.to_string_lossy(), &volume.target, read_only))
                }
                VolumeSource::Named(name) => Some(mount(MountType::VOLUME, name, &volume.target, read_only)),
                VolumeSource::Tmpfs(_) => None,
            }
        });
        own.into_iter().chain(theirs).collect()
    }

    fn security(&self) -> Vec<String> {
        let seccomp = match (&self.spec.seccomp, self.profile) {
            (Seccomp::Unconfined, _) => Some("seccomp=unconfined".to_owned()),
            (Seccomp::Profile(_), Some(profile)) => Some(format!("seccomp={profile}")),
            (Seccomp::Profile(_) | Seccomp::Default, _) => None,
        };
        let apparmor = self.spec.apparmor.as_ref().map(|profile| format!("apparmor={profile}"));
        ["no-new-privileges".to_owned()].into_iter().chain(seccomp).chain(apparmor).collect()
    }

    fn ulimits(&self) -> Vec<ResourcesUlimits> {
        let one = |name: &str, soft: u64, hard: u64| ResourcesUlimits {
            name: Some(name.to_owned()),
            soft: Some(signed(soft)),
            hard: Some(signed(hard)),
        };
        self.spec.ulimits.iter().map(|limit| one(&limit.name, limit.soft, limit.hard)).collect()
    }
}

/// All that can be written to and is the container's alone, with its size: what a reset empties.
pub(super) fn writable(spec: &ContainerSpec, image: &Image) -> Vec<(PathBuf, u64)> {
    let mut places: Vec<_> = spec.wiped(WORKSPACE).collect();
    // An image's volumes would outlast a reset. A service's data may be meant to.
    if spec.mode == ContainerMode::Sandbox {
        for volume in &image.volumes {
            let taken = spec.volumes.iter().any(|other| other.target == *volume)
                || places.iter().any(|(place, _)| place == volume);
            if !taken {
                places.push((volume.clone(), spec.tmp_size));
            }
        }
    }
    places
}

/// Whom it runs as, where that is not as the image says.
pub(super) fn user<'u>(spec: &'u ContainerSpec, image: &Image) -> Option<&'u str> {
    let name = image.user.split(':').next().unwrap_or_default();
    let is_root = name.is_empty() || name == "root" || name.parse() == Ok(0_u32);
    spec.user.as_deref().or(is_root.then_some(NOBODY))
}

/// Options that make a tmpfs this user's. Needed where the image has a directory already, whose mode engines keep:
/// it need not be everybody's to write to. Of a name we don't know the number.
fn owner(user: &str) -> String {
    let (name, group) = user.split_once(':').unwrap_or((user, ""));
    let number = |text: &str| text.parse::<u32>().ok();
    let option = |name: &str, id: Option<u32>| id.map(|id| format!(",{name}={id}")).unwrap_or_default();
    option("uid", number(name)) + &option("gid", number(group))
}

/// Whether it runs as root.
pub(super) fn is_root(spec: &ContainerSpec, image: &Image) -> bool {
    let who = user(spec, image).unwrap_or(&image.user);
    let name = who.split(':').next().unwrap_or_default();
    name == "root" || name.parse() == Ok(0_u32)
}

fn mount(kind: MountType, source: &str, target: &Path, read_only: bool) -> ApiMount {
    ApiMount {
        typ: Some(kind),
        source: Some(source.to_owned()),
        target: Some(target.to_string_lossy().into_owned()),
        read_only: Some(read_only),
        ..ApiMount::default()
    }
}

fn devices(gpus: &Gpus) -> Option<DeviceRequest> {
    let (count, device_ids) = match gpus {
        Gpus::None => return None,
        Gpus::All => (Some(-1), None),
        Gpus::Count(count) => (Some(i64::from(*count)), None),
        Gpus::Devices(names) => (None, Some(names.clone())),
    };
    let capabilities = Some(vec![vec!["gpu".to_owned()]]);
    Some(DeviceRequest { count, device_ids, capabilities, ..DeviceRequest::default() })
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the config holds it to 4096, far from where that begins"
)]
fn nano_cpus(cpus: f64) -> i64 {
    (cpus * 1e9).round() as i64
}

#[cfg(test)]
mod tests;
