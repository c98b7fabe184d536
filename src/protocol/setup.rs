//! What the process backend tells the keeper before there is a guest, and what the keeper answers.

use super::byte_enum::byte_enum;
use super::codec::{Decoder, Encoder, Malformed};
use super::frame::{Frame, Kind, encode_frame};
use super::missing::{Missing, read_shortfall, shortfall};

/// How far a sandboxed process is kept apart from the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// The strongest this host allows; what is missing is reported.
    #[default]
    Auto,
    /// All of it, or no runtime.
    Strict,
    /// No namespaces: a process tree with limits, no-new-privileges and what else works without them.
    Basic,
}

/// Which network the runtime sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// A namespace of its own with loopback only.
    #[default]
    None,
    /// The host's.
    Host,
}

/// A host directory or file shown read-only inside the runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Path on the host.
    pub source: Vec<u8>,
    /// Path inside.
    pub target: Vec<u8>,
}

/// A cgroup directory made by the host for one runtime: the keeper moves the guest into each, and removes
/// them when the guest has ended, also when the host was killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupPlan {
    /// Directories, one per hierarchy.
    pub directories: Vec<Vec<u8>>,
}

/// The whole plan for one runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// How strong.
    pub isolation: Isolation,
    /// Which network.
    pub network: Network,
    /// Host name inside.
    pub hostname: Vec<u8>,
    /// The host's user and group the sandbox runs as.
    pub uid: u32,
    /// See `uid`.
    pub gid: u32,
    /// Read-only views of the host.
    pub mounts: Vec<Mount>,
    /// Size of the workspace, bytes (with namespaces: a tmpfs).
    pub workspace_size: u64,
    /// Size of `/tmp` and of `/dev/shm`, bytes each.
    pub tmp_size: u64,
    /// Where the workspace is without namespaces: a host directory made for this runtime, which the keeper
    /// removes when the guest has ended. Unused otherwise.
    pub basic_workspace: Vec<u8>,
    /// Directories around the cgroups and the workspace, innermost first: the keeper removes those that are
    /// empty in the end.
    pub parents: Vec<Vec<u8>>,
    /// What the host itself could not give, to be reported with the rest or refused under `strict`.
    pub missing: Vec<Missing>,
    /// Where the limits' cgroups are; none where the host has none to give.
    pub cgroups: Option<CgroupPlan>,
    /// `RLIMIT_FSIZE`, bytes.
    pub file_size: Option<u64>,
    /// `RLIMIT_NOFILE`.
    pub open_files: Option<u64>,
    /// `RLIMIT_NPROC`.
    pub pids: Option<u64>,
    /// `RLIMIT_AS` stand-in where there is no memory cgroup, bytes.
    pub memory: Option<u64>,
}

/// The keeper's answer, as the first frame on the control stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupReport {
    /// The guest's pid as the host sees it.
    pub pid: u32,
    /// Whether the guest has namespaces of its own.
    pub namespaces: bool,
    /// What `auto` did without.
    pub missing: Vec<Missing>,
    /// Why there is no guest, when there is none.
    pub failure: Option<String>,
}

/// Where a runtime with namespaces of its own has its workspace.
pub const WORKSPACE: &str = "/work";

/// All that can be written to in such a runtime; a reset empties it and the host looks whether it is empty.
pub const WRITABLE: [&str; 3] = [WORKSPACE, "/tmp", "/dev/shm"];

/// The keeper's exit status when the guest was killed because its memory cgroup was full.
pub const EXIT_OUT_OF_MEMORY: u8 = 125;

/// The keeper's exit status when there never was a guest; the report said why.
pub const EXIT_NO_GUEST: u8 = 126;

/// Added to a signal's number for the keeper's exit status when one ended the guest.
pub const EXIT_SIGNAL: u8 = 128;

byte_enum!(Isolation { Auto = 0, Strict = 1, Basic = 2 });
byte_enum!(Network { None = 0, Host = 1 });

impl Setup {
    /// Appends it as a frame.
    ///
    /// # Errors
    /// When it is too long for one.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        encode_frame(out, Kind::Setup, 0, |out| {
            let mut e = Encoder::new(out);
            e.u8(self.isolation.to_byte())
                .u8(self.network.to_byte())
                .bytes(&self.hostname)
                .u32(self.uid)
                .u32(self.gid)
                .list(&self.mounts, |e, mount| {
                    e.bytes(&mount.source).bytes(&mount.target);
                })
                .u64(self.workspace_size)
                .u64(self.tmp_size)
                .bytes(&self.basic_workspace)
                .list(&self.parents, |e, path| {
                    e.bytes(path);
                })
                .list(&self.missing, Missing::encode)
                .option(self.cgroups.as_ref(), |e, plan| {
                    e.list(&plan.directories, |e, path| {
                        e.bytes(path);
                    });
                })
                .option_u64(self.file_size)
                .option_u64(self.open_files)
                .option_u64(self.pids)
                .option_u64(self.memory);
        })
    }

    /// The setup a frame holds.
    ///
    /// # Errors
    /// When it holds none, or does not parse.
    pub fn decode(frame: &Frame<'_>) -> Result<Self, Malformed> {
        if frame.kind != Kind::Setup {
            return Err(Malformed("not a setup"));
        }
        let mut d = Decoder::new(frame.payload);
        let setup = Self {
            isolation: Isolation::from_byte(d.u8()?)?,
            network: Network::from_byte(d.u8()?)?,
            hostname: d.owned()?,
            uid: d.u32()?,
            gid: d.u32()?,
            mounts: d.list(|d| Ok(Mount { source: d.owned()?, target: d.owned()? }))?,
            workspace_size: d.u64()?,
            tmp_size: d.u64()?,
            basic_workspace: d.owned()?,
            parents: d.list(Decoder::owned)?,
            missing: d.list(Missing::decode)?,
            cgroups: d.option(|d| Ok(CgroupPlan { directories: d.list(Decoder::owned)? }))?,
            file_size: d.option_u64()?,
            open_files: d.option_u64()?,
            pids: d.option_u64()?,
            memory: d.option_u64()?,
        };
        d.end()?;
        Ok(setup)
    }
}

impl SetupReport {
    /// Appends it as a frame.
    ///
    /// # Errors
    /// When it is too long for one.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        encode_frame(out, Kind::SetupReport, 0, |out| {
            let mut e = Encoder::new(out);
            e.u32(self.pid).flag(self.namespaces);
            shortfall(&mut e, &self.missing, self.failure.as_deref());
        })
    }

    /// The report a frame holds.
    ///
    /// # Errors
    /// When it holds none, or does not parse.
    pub fn decode(frame: &Frame<'_>) -> Result<Self, Malformed> {
        if frame.kind != Kind::SetupReport {
            return Err(Malformed("not a setup report"));
        }
        let mut d = Decoder::new(frame.payload);
        let (pid, namespaces) = (d.u32()?, d.flag()?);
        let (missing, failure) = read_shortfall(&mut d)?;
        d.end()?;
        Ok(Self { pid, namespaces, missing, failure })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::FrameBuffer;

    fn cut(bytes: &[u8]) -> FrameBuffer {
        let mut frames = FrameBuffer::new();
        frames.extend(bytes);
        frames
    }

    /// The payload cut off anywhere, with a header that knows.
    fn truncated(frame: &[u8]) -> impl Iterator<Item = Vec<u8>> {
        let header = crate::protocol::HEADER;
        (header..frame.len()).map(move |end| {
            let mut part = frame[..end].to_vec();
            let length = u32::try_from(end - header).unwrap();
            part[..4].copy_from_slice(&length.to_le_bytes());
            part
        })
    }

    #[test]
    fn a_setup_is_read_back_and_never_half() {
        let missing = Missing { part: "memory cgroup".to_owned(), why: "not ours".to_owned() };
        let setup = Setup {
            isolation: Isolation::Strict,
            network: Network::Host,
            hostname: b"box".to_vec(),
            uid: 65534,
            gid: 7,
            mounts: vec![Mount { source: b"/usr".to_vec(), target: b"/usr".to_vec() }],
            workspace_size: 1 << 30,
            tmp_size: 1 << 20,
            basic_workspace: b"/run/x".to_vec(),
            parents: vec![b"/run".to_vec()],
            missing: vec![missing],
            cgroups: Some(CgroupPlan { directories: vec![b"/sys/fs/cgroup/pids/x".to_vec()] }),
            file_size: Some(1),
            open_files: None,
            pids: Some(3),
            memory: None,
        };
        let mut bytes = Vec::new();
        setup.encode(&mut bytes).unwrap();
        assert_eq!(Setup::decode(&cut(&bytes).cut().unwrap().unwrap()), Ok(setup));
        for part in truncated(&bytes) {
            assert!(Setup::decode(&cut(&part).cut().unwrap().unwrap()).is_err());
        }
    }

    #[test]
    fn a_report_is_read_back_and_never_half() {
        let missing = Missing { part: "landlock".to_owned(), why: "switched off".to_owned() };
        let failure = Some("no".to_owned());
        let report = SetupReport { pid: 4711, namespaces: true, missing: vec![missing], failure };
        let mut bytes = Vec::new();
        report.encode(&mut bytes).unwrap();
        assert_eq!(SetupReport::decode(&cut(&bytes).cut().unwrap().unwrap()), Ok(report));
        for part in truncated(&bytes) {
            assert!(SetupReport::decode(&cut(&part).cut().unwrap().unwrap()).is_err());
        }
    }
}
