//! What the host tells a guest in a container before it serves, and what the guest answers.

use std::fmt;

use super::codec::{Decoder, Encoder, Malformed};
use super::frame::{Frame, Kind, encode_frame};
use super::request::Path;
use super::service::Service;
use super::variable::{Variable, names, read_variables, text, variables};

/// The byte a guest sends first, and only once, on the connection that is to be the control stream.
pub const LINK_CONTROL: u8 = b'c';

/// The same on the connection that is to be the data stream.
pub const LINK_DATA: u8 = b'd';

/// Where secrets are put that say nothing else.
pub const SECRETS: &str = "/run/secrets";

/// The most secrets one runtime can have.
pub const SECRETS_MAX: usize = 256;

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
            e.bytes(&self.secrets_directory).option(self.service.as_ref(), |e, service| service.encode(e));
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
                    service: d.option(Service::decode)?,
                    secrets: std::mem::take(&mut self.secrets),
                };
                d.end().map(|()| Some(setup))
            }
            _ => Err(Malformed("not a part of a container's setup")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{FrameBuffer, HEADER, MAX_PAYLOAD};

    fn setup() -> ContainerSetup {
        let pair = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        ContainerSetup {
            places: vec![b"/work".to_vec(), b"/tmp".to_vec()],
            guarded: vec![b"/dev".to_vec()],
            own_ipc: true,
            env: vec![pair("A", "hidden"), pair("B", "")],
            limits: ContainerLimits { open_files: Some(1), file_size: Some(u64::MAX), ..Default::default() },
            secrets: vec![
                Secret { name: b"s".to_vec(), value: b"hidden".to_vec() },
                Secret { name: b"t".to_vec(), value: vec![1; 200_000] },
            ],
            service: Some(Service {
                argv: vec![b"server".to_vec(), b"-x".to_vec()],
                env: vec![pair("C", "hidden")],
                cwd: b"/srv".to_vec(),
                stop_signal: 3,
                grace_ms: 1,
            }),
            ..ContainerSetup::new("/work")
        }
    }

    fn take(bytes: &[u8]) -> Result<Option<ContainerSetup>, Malformed> {
        let (mut buffer, mut frames) = (FrameBuffer::new(), SetupFrames::default());
        buffer.extend(bytes);
        let mut taken = None;
        while let Some(frame) = buffer.cut()? {
            taken = frames.take(&frame)?;
        }
        Ok(taken)
    }

    #[test]
    fn a_setup_is_read_back_and_never_half() {
        let mut bytes = Vec::new();
        setup().encode(&mut bytes).unwrap();
        assert_eq!(take(&bytes), Ok(Some(setup())));
        // The last frame cut off anywhere, with a header that knows.
        let secrets: usize = setup().secrets.iter().map(|s| HEADER + 8 + s.name.len() + s.value.len()).sum();
        for end in secrets + HEADER..bytes.len() {
            let mut part = bytes[secrets..end].to_vec();
            let length = u32::try_from(part.len() - HEADER).unwrap();
            part[..4].copy_from_slice(&length.to_le_bytes());
            assert!(take(&part).is_err());
        }
    }

    #[test]
    fn what_does_not_fit_is_not_half_sent() {
        let mut out = b"before".to_vec();
        let secret = |size| Secret { name: b"s".to_vec(), value: vec![0; size] };
        let with = |secrets| ContainerSetup { secrets, ..ContainerSetup::new("/work") };
        assert!(with(vec![secret(1), secret(MAX_PAYLOAD)]).encode(&mut out).is_err());
        assert!(with(vec![secret(0); SECRETS_MAX + 1]).encode(&mut out).is_err());
        assert_eq!(out, b"before");
        assert!(with(vec![secret(0); SECRETS_MAX]).encode(&mut out).is_ok());
    }

    #[test]
    fn secrets_are_not_shown() {
        let setup = ContainerSetup {
            env: vec![(b"PLACE".to_vec(), b"hidden".to_vec())],
            secrets: vec![Secret { name: b"token".to_vec(), value: b"hidden".to_vec() }],
            service: setup()
                .service
                .map(|service| Service { env: vec![(b"PORT".to_vec(), b"hidden".to_vec())], ..service }),
            ..setup()
        };
        let shown = format!("{setup:?} {:?}", setup.secrets[0]);
        assert!(!shown.contains("hidden"), "{shown}");
        for part in ["PLACE", "PORT", "server", "/srv", "Secret"] {
            assert!(shown.contains(part), "{part} is not in {shown}");
        }
        assert_eq!(shown.matches("token").count(), 2, "{shown}");
    }
}
