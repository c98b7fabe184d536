use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use ostler::PoolName;
use serde::Deserialize;

use crate::engine;
use crate::process::Process;

/// Longest that an engine may take for an answer.
const ANSWER: Duration = Duration::from_secs(5);

/// A container engine as anybody else sees it. Each request blocks.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    socket: PathBuf,
    pool: String,
    /// How the owner label of what is this process's ends.
    owner: String,
}

/// A container of this process and pool.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Container {
    id: String,
    state: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

impl Container {
    /// How the pool's leases know it.
    pub(super) fn handle(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }

    /// Whether it is there and has not ended.
    pub(super) fn is_up(&self) -> bool {
        matches!(self.state.as_str(), "running" | "paused")
    }
}

impl Engine {
    pub(super) fn new(socket: &Path, pool: &PoolName) -> Option<Self> {
        let Process { pid, started } = Process::own()?;
        Some(Self { socket: socket.to_owned(), pool: pool.to_string(), owner: format!("-{pid}-{started}") })
    }

    /// All that are this process's and the pool's, in any state.
    pub(super) fn containers(&self) -> anyhow::Result<Vec<Container>> {
        let body = self.ask("GET", "/containers/json?all=true")?;
        let all: Vec<Container> = serde_json::from_slice(&body).context("the engine's list")?;
        let label = |container: &Container, name| container.labels.get(name).cloned().unwrap_or_default();
        let ours = |container: &Container| {
            label(container, "ostler.owner").ends_with(&self.owner)
                && label(container, "ostler.pool") == self.pool
        };
        Ok(all.into_iter().filter(ours).collect())
    }

    /// `kill`, `pause` or `unpause`.
    pub(super) fn tell(&self, container: &Container, what: &str) -> anyhow::Result<()> {
        self.ask("POST", &format!("/containers/{}/{what}", container.id)).map(|_| ())
    }

    fn ask(&self, method: &str, path: &str) -> anyhow::Result<Vec<u8>> {
        engine::ask(&self.socket, ANSWER, (method, path), b"")
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixListener;

    use super::*;

    /// An engine that gives one answer.
    fn engine(answer: &str) -> (tempfile::TempDir, Engine, std::thread::JoinHandle<String>) {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let answer = answer.to_owned();
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 4096];
            let length = stream.read(&mut asked).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&asked[..length]).into_owned()
        });
        let engine = Engine::new(&socket, &PoolName::new("p")).unwrap();
        (directory, engine, served)
    }

    #[test]
    fn only_what_is_this_processs_and_the_pools_is_seen() {
        let Process { pid, started } = Process::own().unwrap();
        let container = |id: &str, pool: &str, owner: String| {
            format!(
                "{{\"Id\":\"{id}\",\"State\":\"running\",\"Labels\":{{\"ostler.pool\":\"{pool}\",\"ostler.owner\":\"{owner}\"}}}}"
            )
        };
        let own = format!("i-b-1-{pid}-{started}");
        let list = [
            container("0123456789abcdef", "p", own.clone()),
            container("other-pool", "q", own),
            container("other-process", "p", format!("i-b-1-{pid}-{}", started + 1)),
            "{\"Id\":\"foreign\",\"State\":\"running\",\"Labels\":null}".replace("null", "{}"),
        ];
        let (_directory, engine, served) =
            engine(&format!("HTTP/1.0 200 OK\r\nX: y\r\n\r\n[{}]", list.join(",")));
        let containers = engine.containers().unwrap();
        let handles: Vec<_> = containers.iter().map(Container::handle).collect();
        assert_eq!(handles, ["0123456789ab"]);
        assert!(containers[0].is_up());
        assert!(served.join().unwrap().starts_with("GET /containers/json?all=true HTTP/1.0\r\n"));
    }

    #[test]
    fn a_refusal_is_an_error() {
        let (_directory, engine, served) = engine("HTTP/1.0 409 Conflict\r\n\r\n{}");
        let container =
            Container { id: "c".to_owned(), state: "running".to_owned(), labels: BTreeMap::new() };
        let refused = engine.tell(&container, "kill").unwrap_err().to_string();
        assert!(refused.contains("409 Conflict"), "{refused}");
        assert!(served.join().unwrap().starts_with("POST /containers/c/kill "));
    }
}
