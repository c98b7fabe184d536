//! Where Podman, which answers to the same API, is not quite like Docker. As of 4.3.
//!
//! What needs no code of its own: the stream of what a container uses tells every five seconds, Docker's each; it
//! ends with the container's process, where Docker's goes on with zeros; how much of the memory is cached files it
//! does not say. A directory to mount that is not there is made, however it is asked for, so that trying whether it
//! shares our file system leaves empty directories where it does not.

use std::fs;

use bollard::ClientVersion;
use bollard::models::{ContainerCreateBody, HostConfig, ResourcesUlimits};

use crate::model::{ContainerSpec, Seccomp};

/// Of Docker's API, what every Podman since its third speaks.
pub(super) const VERSION: &ClientVersion = &ClientVersion { major_version: 1, minor_version: 40 };

/// What Podman mounts writable over a read-only root, of any size, unless something else is mounted there.
const WRITABLE_ANYWAY: [&str; 2] = ["/run", "/var/tmp"];

/// Bytes that suffice where nobody is meant to write.
const LITTLE: u64 = 64 << 10;

/// As soon as one limit is asked for, Podman raises the number of processes and of open files to what even a root
/// without all capabilities may not have. These are what it then gets instead, if the host's own are not lower.
const RAISED: [(&str, u64); 2] = [("nofile", 20_000), ("nproc", 32_768)];

/// A request as Podman must have it, to make what Docker makes of it.
pub(super) fn adjusted(mut body: ContainerCreateBody, spec: &ContainerSpec) -> ContainerCreateBody {
    let host = body.host_config.get_or_insert_default();
    memory_over_the_root(host);
    unraised_limits(host);
    if let Seccomp::Profile(path) = &spec.seccomp {
        // It wants the file's name, not its content.
        let name = format!("seccomp={}", path.display());
        for option in host.security_opt.iter_mut().flatten().filter(|option| option.starts_with("seccomp=")) {
            option.clone_from(&name);
        }
    }
    body
}

/// Directories that a reset must empty beside those that Docker has.
pub(super) fn also_writable(spec: &ContainerSpec) -> impl Iterator<Item = &'static str> {
    WRITABLE_ANYWAY.into_iter().filter(|_| spec.read_only_root)
}

/// Nothing of the image is copied to what is mounted over it, there is no more of it than was asked for, and that it
/// belongs to the container's user is said with one letter.
fn memory_over_the_root(host: &mut HostConfig) {
    let read_only = host.readonly_rootfs == Some(true);
    let tmpfs = host.tmpfs.get_or_insert_default();
    if read_only {
        for place in WRITABLE_ANYWAY {
            let options = format!("size={LITTLE},mode=755,nosuid,nodev,noexec");
            tmpfs.entry(place.to_owned()).or_insert(options);
        }
    }
    for options in tmpfs.values_mut() {
        let known =
            options.split(',').filter(|option| !option.starts_with("uid=") && !option.starts_with("gid="));
        let own = if known.clone().count() < options.split(',').count() { ",U" } else { "" };
        *options = format!("{}{own},notmpcopyup", known.collect::<Vec<_>>().join(","));
    }
}

fn unraised_limits(host: &mut HostConfig) {
    let ulimits = host.ulimits.get_or_insert_default();
    if ulimits.is_empty() {
        return;
    }
    for (name, usual) in RAISED {
        if !ulimits.iter().any(|limit| limit.name.as_deref() == Some(name)) {
            let most = i64::try_from(usual.min(own_limit(name))).ok();
            ulimits.push(ResourcesUlimits { name: Some(name.to_owned()), soft: most, hard: most });
        }
    }
}

/// Our own hard limit, which is likely to be the engine's.
fn own_limit(name: &str) -> u64 {
    let line = if name == "nofile" { "Max open files" } else { "Max processes" };
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let hard = limits
        .lines()
        .find_map(|limit| limit.strip_prefix(line))
        .and_then(|values| values.split_whitespace().nth(1)?.parse().ok());
    hard.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn adjust(host: HostConfig, spec: &ContainerSpec) -> HostConfig {
        let body = ContainerCreateBody { host_config: Some(host), ..ContainerCreateBody::default() };
        adjusted(body, spec).host_config.expect("there was one")
    }

    #[test]
    fn what_podman_mounts_anyway_is_small_and_known() {
        let spec = ContainerSpec::default();
        let tmpfs = HashMap::from([("/work".to_owned(), "size=1,uid=7,gid=8".to_owned())]);
        let host =
            HostConfig { readonly_rootfs: Some(true), tmpfs: Some(tmpfs.clone()), ..HostConfig::default() };
        let adjusted = adjust(host, &spec).tmpfs.expect("some");
        assert_eq!(adjusted["/work"], "size=1,U,notmpcopyup");
        assert!(adjusted["/run"].contains("size=65536"));
        assert_eq!(adjusted.len(), 3);
        assert_eq!(also_writable(&spec).collect::<Vec<_>>(), WRITABLE_ANYWAY);
        let host = HostConfig { readonly_rootfs: Some(false), tmpfs: Some(tmpfs), ..HostConfig::default() };
        assert_eq!(adjust(host, &spec).tmpfs.expect("some").len(), 1);
    }

    #[test]
    fn a_limit_asked_for_brings_no_others_with_it() {
        let spec = ContainerSpec::default();
        assert_eq!(adjust(HostConfig::default(), &spec).ulimits, Some(Vec::new()));
        let core = ResourcesUlimits { name: Some("core".to_owned()), soft: Some(0), hard: Some(0) };
        let host = HostConfig { ulimits: Some(vec![core]), ..HostConfig::default() };
        let names: Vec<_> =
            adjust(host, &spec).ulimits.expect("some").into_iter().map(|limit| limit.name).collect();
        assert_eq!(names, ["core", "nofile", "nproc"].map(|name| Some(name.to_owned())));
    }

    #[test]
    fn a_profile_goes_by_its_name() {
        let spec =
            ContainerSpec { seccomp: Seccomp::Profile("/etc/p.json".into()), ..ContainerSpec::default() };
        let security_opt = Some(vec!["no-new-privileges".to_owned(), "seccomp={}".to_owned()]);
        let host = HostConfig { security_opt, ..HostConfig::default() };
        let options = adjust(host, &spec).security_opt.expect("some");
        assert_eq!(options, ["no-new-privileges", "seccomp=/etc/p.json"]);
    }
}
