use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use ostler::model::BackendSpec;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use crate::engine;
use crate::exit::Misuse;
use crate::process::Process;

/// Longest that an engine may take for an answer.
const ANSWER: Duration = Duration::from_secs(20);

/// Where runtimes are, as anybody else sees them.
#[derive(Clone, Debug)]
pub(super) enum Ground {
    /// Processes of this host.
    Host,
    /// Containers of an engine, known by the name of the instance whose they are.
    Engine { socket: PathBuf, instance: String },
}

/// What a runtime is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Body {
    Process(Process),
    /// By the engine's socket and its id there.
    Container(PathBuf, String),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

impl Ground {
    /// Of the runtimes that a pool's backend makes.
    pub(super) fn of(backend: &BackendSpec, instance: &str) -> anyhow::Result<Self> {
        match backend {
            BackendSpec::Process(_) => Ok(Self::Host),
            BackendSpec::Docker(_) | BackendSpec::Podman(_) => {
                let socket = engine::socket(backend).ok_or_else(|| {
                    Misuse("the demo needs an engine that listens on a unix socket of this host".to_owned())
                })?;
                Ok(Self::Engine { socket, instance: instance.to_owned() })
            }
            _ => {
                Err(Misuse("the demo needs a pool of sandboxed processes or of containers".to_owned()).into())
            }
        }
    }

    /// What a runtime's handle names. None when it is gone.
    pub(super) fn body(&self, handle: &str) -> Option<Body> {
        match self {
            Self::Host => Process::of(handle).map(Body::Process),
            Self::Engine { socket, .. } => Some(Body::Container(socket.clone(), handle.to_owned())),
        }
    }

    /// What is still there of all that was met, and of whatever else we have started.
    pub(super) async fn left(&self, met: &BTreeSet<Body>) -> anyhow::Result<Vec<String>> {
        let mut left: BTreeSet<_> = Process::children()?.into_iter().map(Body::Process).collect();
        match self {
            Self::Host => {
                let there = |body: &&Body| matches!(body, Body::Process(process) if process.is_there());
                left.extend(met.iter().filter(there).cloned());
            }
            Self::Engine { socket, instance } => {
                let path = socket.clone();
                let ask = move || engine::ask(&path, ANSWER, ("GET", "/containers/json?all=true"), b"");
                let list = spawn_blocking(ask).await??;
                let all: Vec<Listed> = serde_json::from_slice(&list).context("the engine's list")?;
                let ours = |it: &Listed| it.labels.get("ostler.instance") == Some(instance);
                left.extend(all.into_iter().filter(ours).map(|it| Body::Container(socket.clone(), it.id)));
            }
        }
        Ok(left.iter().map(Body::to_string).collect())
    }
}

impl Body {
    /// As an operator or the kernel might, by SIGKILL.
    pub(super) async fn kill(&self) -> anyhow::Result<()> {
        match self {
            Self::Process(process) => process.signal(Signal::KILL),
            Self::Container(..) => self.tell("kill").await,
        }
    }

    /// So that it is there and does not answer.
    pub(super) async fn stop(&self) -> anyhow::Result<()> {
        match self {
            Self::Process(process) => process.signal(Signal::STOP),
            Self::Container(..) => self.tell("pause").await,
        }
    }

    /// In a word, what [`stop`](Self::stop) does.
    pub(super) fn stopped(&self) -> &'static str {
        match self {
            Self::Process(_) => "stopped",
            Self::Container(..) => "paused",
        }
    }

    async fn tell(&self, what: &str) -> anyhow::Result<()> {
        let Self::Container(socket, id) = self.clone() else { return Ok(()) };
        let path = format!("/containers/{id}/{what}");
        spawn_blocking(move || engine::ask(&socket, ANSWER, ("POST", &path), b"")).await?.map(drop)
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(process) => write!(f, "pid {}", process.pid),
            Self::Container(_, id) => write!(f, "container {}", id.get(..12).unwrap_or(id)),
        }
    }
}

impl Serialize for Body {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
