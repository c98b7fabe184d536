//! What the host tells a guest in a container before it serves, and what the guest answers.

use std::fmt;

use super::codec::{Decoder, Encoder, Malformed};
use super::frame::{Frame, Kind, encode_frame};
use super::request::Path;
use super::setup::Missing;

/// The byte a guest sends first, and only once, on the connection that is to be the control stream.
pub const LINK_CONTROL: u8 = b'c';

/// The same on the connection that is to be the data stream.
pub const LINK_DATA: u8 = b'd';

/// Where secrets are put that say nothing else.
pub const SECRETS: &str = "/run/secrets";

/// The most secrets one runtime can have.
pub const SECRETS_MAX: usize = 256;

/// An environment variable's name and value.
pub type Variable = (Vec<u8>, Vec<u8>);

/// The whole plan for the inside of one container. What is outside of it, the engine was told.
#[derive(Clone, PartialEq, Eq)]
pub struct ContainerSetup {
    /// Where relative paths start and commands begin. Absolute. Made when it is not there.
    pub workspace: Path,
    /// Directories a reset empties, absolute, the workspace among them if it is to be. What is mounted below
    /// one when the guest starts stays.
    pub places: Vec<Path>,
    /// Directories that a reset takes back to what is in them when the guest starts: what is new goes, what is
    /// there stays, with all below it. `/dev`, where the user may write to it.
    pub guarded: Vec<Path>,
    /// Whether the IPC namespace is the container's own, so that a reset may empty it.
    pub own_ipc: bool,
    /// Environment of all programs, over the image's. Commands put their own over it.
    pub env: Vec<Variable>,
    /// Limits of each program.
    pub limits: ContainerLimits,
    /// Directory for the secrets: a tmpfs, which resets empty too. Unused without secrets.
    pub secrets_directory: Path,
    /// Files to write there before any program runs, and again after each reset.
    pub secrets: Vec<Secret>,
    /// The image's own program, if the guest is to run it.
    pub service: Option<Service>,
}

/// Resource limits of each program in a container, soft and hard alike. A hard limit of the container that is
/// lower stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContainerLimits {
    /// `RLIMIT_NOFILE`.
    pub open_files: Option<u64>,
    /// `RLIMIT_NPROC`.
    pub processes: Option<u64>,
    /// `RLIMIT_FSIZE`, bytes.
    pub file_size: Option<u64>,
    /// `RLIMIT_CORE`, bytes.
    pub core: Option<u64>,
}

/// A file of its own, mode 0400, owned by the guest's user.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// The file's name: no slash in it.
    pub name: Vec<u8>,
    /// Its content; must fit a frame.
    pub value: Vec<u8>,
}

/// A program that the guest starts, stops and watches. Its end is the guest's.
#[derive(Clone, PartialEq, Eq)]
pub struct Service {
    /// Program and arguments; at least one.
    pub argv: Vec<Vec<u8>>,
    /// Environment, over that of all programs.
    pub env: Vec<Variable>,
    /// Working directory; empty is the workspace.
    pub cwd: Path,
    /// The signal that asks it to end, as a number: the image's `STOPSIGNAL`, or 15.
    pub stop_signal: u32,
    /// Milliseconds from there until it is killed.
    pub grace_ms: u64,
}

/// The guest's answer, as the first frame on the control stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerReport {
    /// The guest's pid as it sees it.
    pub pid: u32,
    /// Whether it is PID 1; if not, something like docker-init is.
    pub first: bool,
    /// User all programs run as.
    pub uid: u32,
    /// Group all programs run as.
    pub gid: u32,
    /// What it does without.
    pub missing: Vec<Missing>,
    /// Why it does not serve, when it does not.
    pub failure: Option<String>,
}

impl fmt::Debug for ContainerSetup {
    /// Without the values of the environment, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContainerSetup")
            .field("workspace", &text(&self.workspace))
            .field("places", &self.places.iter().map(|path| text(path)).collect::<Vec<_>>())
            .field("env", &names(&self.env))
            .field("limits", &self.limits)
            .field("secrets", &self.secrets)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Secret {
    /// Without what it is there to hide.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({}, {} bytes)", text(&self.name), self.value.len())
    }
}

impl fmt::Debug for Service {
    /// Without the values of the environment, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("argv", &self.argv.iter().map(|arg| text(arg)).collect::<Vec<_>>())
            .field("env", &names(&self.env))
            .field("cwd", &text(&self.cwd))
            .finish_non_exhaustive()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn names(env: &[Variable]) -> Vec<String> {
    env.iter().map(|(name, _)| text(name)).collect()
}

fn variables(e: &mut Encoder<'_>, env: &[Variable]) {
    e.list(env, |e, (name, value)| {
        e.bytes(name).bytes(value);
    });
}

fn read_variables(d: &mut Decoder<'_>) -> Result<Vec<Variable>, Malformed> {
    d.list(|d| Ok((d.owned()?, d.owned()?)))
}

impl Service {
    fn encode(&self, e: &mut Encoder<'_>) {
        e.list(&self.argv, |e, arg| {
            e.bytes(arg);
        });
        variables(e, &self.env);
        e.bytes(&self.cwd).u32(self.stop_signal).u64(self.grace_ms);
    }

    fn decode(d: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            argv: d.list(Decoder::owned)?,
            env: read_variables(d)?,
            cwd: d.owned()?,
            stop_signal: d.u32()?,
            grace_ms: d.u64()?,
        })
    }
}

impl ContainerSetup {
    /// Nothing but a workspace, which resets empty.
    #[must_use]
    pub fn new(workspace: impl Into<Path>) -> Self {
        let workspace = workspace.into();
        Self {
            places: vec![workspace.clone()],
            guarded: Vec::new(),
            workspace,
            own_ipc: false,
            env: Vec::new(),
            limits: ContainerLimits::default(),
            secrets_directory: SECRETS.into(),
            secrets: Vec::new(),
            service: None,
        }
    }

    /// Appends it as frames: one for each secret, then one for the rest.
    ///
    /// # Errors
    /// When one of them is too long, or there are more than [`SECRETS_MAX`] secrets; `out` is then as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let start = out.len();
        let encoded = self.encode_frames(out);
        if encoded.is_err() {
            out.truncate(start);
        }
        encoded
    }

    fn encode_frames(&self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        if self.secrets.len() > SECRETS_MAX {
            return Err(Malformed("too many secrets"));
        }
        for secret in &self.secrets {
            encode_frame(out, Kind::Secret, 0, |out| {
                Encoder::new(out).bytes(&secret.name).bytes(&secret.value);
            })?;
        }
        encode_frame(out, Kind::ContainerSetup, 0, |out| {
            let mut e = Encoder::new(out);
            e.bytes(&self.workspace)
                .list(&self.places, |e, path| {
                    e.bytes(path);
                })
                .list(&self.guarded, |e, path| {
                    e.bytes(path);
                })
                .flag(self.own_ipc);
            variables(&mut e, &self.env);
            let ContainerLimits { open_files, processes, file_size, core } = self.limits;
            for limit in [open_files, processes, file_size, core] {
                e.option_u64(limit);
            }
            e.bytes(&self.secrets_directory).flag(self.service.is_some());
            if let Some(service) = &self.service {
                service.encode(&mut e);
            }
        })
    }
}

/// Collects the frames of a [`ContainerSetup`].
#[derive(Debug, Default)]
pub struct SetupFrames {
    secrets: Vec<Secret>,
}

impl SetupFrames {
    /// Takes the next frame, and answers the setup when it is the last.
    ///
    /// # Errors
    /// When the frame has no place in a setup, or does not parse.
    pub fn take(&mut self, frame: &Frame<'_>) -> Result<Option<ContainerSetup>, Malformed> {
        let mut d = Decoder::new(frame.payload);
        match frame.kind {
            Kind::Secret if self.secrets.len() < SECRETS_MAX => {
                self.secrets.push(Secret { name: d.owned()?, value: d.owned()? });
                d.end().map(|()| None)
            }
            Kind::Secret => Err(Malformed("too many secrets")),
            Kind::ContainerSetup => {
                let setup = ContainerSetup {
                    workspace: d.owned()?,
                    places: d.list(Decoder::owned)?,
                    guarded: d.list(Decoder::owned)?,
                    own_ipc: d.flag()?,
                    env: read_variables(&mut d)?,
                    limits: ContainerLimits {
                        open_files: d.option_u64()?,
                        processes: d.option_u64()?,
                        file_size: d.option_u64()?,
                        core: d.option_u64()?,
                    },
                    secrets_directory: d.owned()?,
                    service: if d.flag()? { Some(Service::decode(&mut d)?) } else { None },
                    secrets: std::mem::take(&mut self.secrets),
                };
                d.end().map(|()| Some(setup))
            }
            _ => Err(Malformed("not a part of a container's setup")),
        }
    }
}

impl ContainerReport {
    /// Appends it as a frame.
    ///
    /// # Errors
    /// When it is too long for one.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        encode_frame(out, Kind::ContainerReport, 0, |out| {
            let mut e = Encoder::new(out);
            e.u32(self.pid)
                .flag(self.first)
                .u32(self.uid)
                .u32(self.gid)
                .list(&self.missing, Missing::encode)
                .flag(self.failure.is_some());
            if let Some(failure) = &self.failure {
                e.bytes(failure.as_bytes());
            }
        })
    }

    /// The report a frame holds.
    ///
    /// # Errors
    /// When it holds none, or does not parse.
    pub fn decode(frame: &Frame<'_>) -> Result<Self, Malformed> {
        if frame.kind != Kind::ContainerReport {
            return Err(Malformed("not a container's report"));
        }
        let mut d = Decoder::new(frame.payload);
        let report = Self {
            pid: d.u32()?,
            first: d.flag()?,
            uid: d.u32()?,
            gid: d.u32()?,
            missing: d.list(Missing::decode)?,
            failure: if d.flag()? { Some(d.text()?) } else { None },
        };
        d.end()?;
        Ok(report)
    }
}
