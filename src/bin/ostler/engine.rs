//! A container engine as anybody else sees it, through its socket on this host.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use ostler::model::{BackendSpec, EngineHost};

/// Where the engine of a pool is; nothing when that is not a socket of this host.
pub(crate) fn socket(backend: &BackendSpec) -> Option<PathBuf> {
    let (spec, variables, usual) = match backend {
        BackendSpec::Docker(spec) => {
            (spec, &["DOCKER_HOST"][..], &["/var/run/docker.sock", "/run/docker.sock"][..])
        }
        BackendSpec::Podman(spec) => {
            (spec, &["CONTAINER_HOST", "DOCKER_HOST"][..], &["/run/podman/podman.sock"][..])
        }
        _ => return None,
    };
    let said = || variables.iter().find_map(|name| std::env::var(name).ok().filter(|text| !text.is_empty()));
    match spec.host.clone().or_else(|| said()?.parse().ok()) {
        Some(EngineHost::Unix(socket)) => Some(socket),
        Some(_) => None,
        None => usual.iter().map(PathBuf::from).find(|socket| socket.exists()),
    }
}

/// One request and its answer's body, on a connection of its own. Blocks, for `limit` at most between two pieces.
pub(crate) fn ask(
    socket: &Path,
    limit: Duration,
    (method, path): (&str, &str),
    body: &[u8],
) -> anyhow::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket).context("the engine")?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    // The old version, because its answers end with the connection.
    let length = body.len();
    // In one piece, since an engine may answer to the first and close.
    let head = format!("{method} {path} HTTP/1.0\r\nHost: engine\r\nContent-Length: {length}\r\n");
    let request = [head.as_bytes(), b"Content-Type: application/x-tar\r\n\r\n", body].concat();
    stream.write_all(&request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).with_context(|| format!("{method} {path}"))?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").context("no answer of an engine")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok()).unwrap_or(0);
    if !(200..300).contains(&status) {
        bail!("{method} {path}: {}", head.lines().next().unwrap_or_default());
    }
    Ok(answer.split_off(end + 4))
}
