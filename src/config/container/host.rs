//! What only this host can say about a container's settings. Looks, and changes nothing.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::config::setting::quoted;
use crate::model::{ContainerSpec, EngineHost, SecretSource, VolumeSource, parse_env_file};

/// A file of variables, a secret or a profile larger than this is none.
const MAX_FILE: u64 = 1 << 20;

/// Where engines usually listen.
const SOCKETS: [&str; 2] = ["/run/docker.sock", "/run/podman/podman.sock"];

/// Whether the engine's host is this one, so that its files can be looked at.
pub(super) fn is_local(container: &ContainerSpec) -> bool {
    match &container.host {
        Some(host) => matches!(host, EngineHost::Unix(_)),
        None => std::env::var("DOCKER_HOST").map_or(true, |host| host.starts_with("unix://")),
    }
}

/// Whether a file can be read and is none too large; its text.
pub(super) fn text(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let cannot = |error: std::io::Error| format!("{shown} cannot be read: {error}");
    let found = fs::metadata(path).map_err(cannot)?;
    if !found.is_file() {
        return Err(format!("{shown} is not a file"));
    }
    if found.len() > MAX_FILE {
        return Err(format!("{shown} is larger than 1MiB"));
    }
    let bytes = fs::read(path).map_err(cannot)?;
    String::from_utf8(bytes).map_err(|_| format!("{shown} is not UTF-8"))
}

pub(super) fn check_env_file(path: &Path) -> Result<(), String> {
    parse_env_file(&text(path)?).map(drop).map_err(|wrong| format!("{}: {wrong}", path.display()))
}

pub(super) fn check_profile(path: &Path) -> Result<(), String> {
    let json = serde_json::from_str::<serde_json::Value>(&text(path)?);
    match json {
        Ok(serde_json::Value::Object(_)) => Ok(()),
        _ => Err(format!("{} holds no JSON object", path.display())),
    }
}

/// Whether a secret can be had, as far as can be seen without fetching it.
pub(super) fn check_secret(name: &str, source: &SecretSource) -> Result<(), String> {
    let wrong = match source {
        SecretSource::File(path) => match fs::File::open(path).and_then(|file| file.metadata()) {
            Ok(found) if found.is_file() && found.len() <= MAX_FILE => return Ok(()),
            Ok(found) if found.is_file() => format!("{} is larger than 1MiB", path.display()),
            Ok(_) => format!("{} is not a file", path.display()),
            Err(error) => format!("{} cannot be read: {error}", path.display()),
        },
        SecretSource::Env(variable) if std::env::var_os(variable).is_some() => return Ok(()),
        SecretSource::Env(variable) => format!("the environment has no {variable}"),
        SecretSource::Command(words) => {
            let program = words.first().map_or("", String::as_str);
            if is_on_host(program) {
                return Ok(());
            }
            format!("there is no program {}", quoted(program))
        }
    };
    Err(format!("{}: {wrong}", quoted(name)))
}

fn is_on_host(program: &str) -> bool {
    let is_program = |path: &Path| {
        fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        return is_program(Path::new(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| is_program(&dir.join(program)))
}

/// What is wrong with mounting a path of the host. `own` are ostler's own directories.
pub(super) fn check_bind(container: &ContainerSpec, source: &Path) -> Result<Bound, String> {
    if !source.is_absolute() {
        return Err("needs an absolute path".to_owned());
    }
    let real = if is_local(container) {
        fs::canonicalize(source).map_err(|error| format!("cannot be mounted: {error}"))?
    } else {
        source.components().collect()
    };
    if real == Path::new("/") {
        return Err("mounts all of the host".to_owned());
    }
    let listens = match &container.host {
        Some(EngineHost::Unix(path)) => Some(path.clone()),
        _ => None,
    };
    let sockets = SOCKETS.iter().map(PathBuf::from).chain(listens);
    let sockets: Vec<_> = sockets.map(|path| fs::canonicalize(&path).unwrap_or(path)).collect();
    let is_socket = fs::metadata(&real).is_ok_and(|found| found.file_type().is_socket());
    let named_so = real.file_name().is_some_and(|name| name == "docker.sock" || name == "podman.sock");
    if sockets.contains(&real) || (is_socket && named_so) {
        return Ok(Bound::EngineSocket);
    }
    match sockets.iter().find(|socket| socket.starts_with(&real)) {
        Some(socket) => Err(format!("has the engine's socket in it: {}", socket.display())),
        None => Ok(Bound::Path),
    }
}

/// What a path of the host turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    Path,
    EngineSocket,
}

/// Whether a mounted path and a directory of ostler's have anything in common. All of the host is refused anyway.
pub(super) fn meet(source: &VolumeSource, own: &Path) -> bool {
    let VolumeSource::Bind(source) = source else { return false };
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.components().collect());
    let (source, own) = (real(source), real(own));
    source != Path::new("/") && (source.starts_with(&own) || own.starts_with(&source))
}
