use super::codec::{Decoder, Encoder, Malformed};
use super::frame::{Frame, Kind, encode_frame};

/// A path inside the runtime: any bytes. Relative ones start at the workspace.
pub type Path = Vec<u8>;

/// Everything the host can ask for. One request opens one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// First on every stream.
    Hello(Hello),
    /// Answered with [`Vitals`](super::Vitals).
    Ping,
    /// Run a program.
    Exec(ExecRequest),
    /// Read a file.
    Read(Read),
    /// Write a file.
    Write(Write),
    /// List a directory.
    List(List),
    /// Describe a path, not following a final symbolic link.
    Stat {
        /// The lease.
        epoch: u64,
        /// Of what.
        path: Path,
    },
    /// Remove a path.
    Remove(Remove),
    /// Make a directory and its missing parents; one that exists is no error.
    MakeDir {
        /// The lease.
        epoch: u64,
        /// Where.
        path: Path,
        /// Permission bits.
        mode: u32,
    },
    /// Make a symbolic link, replacing a file or link that is in the way.
    Link {
        /// The lease.
        epoch: u64,
        /// Where the link is made.
        path: Path,
        /// What it says.
        target: Path,
    },
    /// Clean for the next lease.
    Reset(Reset),
    /// Kill everything and end.
    Shutdown,
}

/// Opens a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The host's protocol version.
    pub version: u32,
}

/// Runs a program. `argv[0]` is looked up in the environment's `PATH` when it has no slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecRequest {
    /// The lease.
    pub epoch: u64,
    /// Program and arguments; at least one.
    pub argv: Vec<Vec<u8>>,
    /// The environment, as name and value. In a container it goes over the image's and the pool's. Elsewhere
    /// `HOME` is the workspace when it is not among them, and nothing else is added.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    /// Working directory; empty is the workspace.
    pub cwd: Path,
    /// After this many milliseconds the whole tree is killed and the operation ends with `timed_out`.
    pub timeout_ms: Option<u64>,
    /// Whether input follows; otherwise stdin is `/dev/null`.
    pub stdin: bool,
    /// Bytes of each output stream to send; the rest is read, counted and dropped. `None` sends all.
    pub output_cap: Option<u64>,
}

/// Reads a regular file. Answered with `Data` frames and [`Done::Read`](super::Done::Read).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The lease.
    pub epoch: u64,
    /// What.
    pub path: Path,
    /// First byte.
    pub offset: u64,
    /// At most this many bytes; `None` to the end.
    pub length: Option<u64>,
}

/// Writes a regular file from `Input` frames up to `InputEnd`: beside its place first, then renamed over it, so
/// that no reader ever sees half of it. A small file comes whole in `data` with `complete` set, and then no
/// input follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The lease.
    pub epoch: u64,
    /// Where. Missing parents are made.
    pub path: Path,
    /// Permission bits.
    pub mode: u32,
    /// The first bytes.
    pub data: Vec<u8>,
    /// Whether `data` is all.
    pub complete: bool,
}

/// Lists a directory. Answered with `Data` frames that each hold whole [`Entry`](super::Entry) records, and
/// [`Done::Unit`](super::Done::Unit).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// The lease.
    pub epoch: u64,
    /// Which directory.
    pub path: Path,
    /// Whether to go into directories below it (symbolic links are not followed). A directory comes before
    /// what is in it.
    pub recursive: bool,
}

/// Removes a path; with `recursive`, a directory and all below it. Symbolic links are removed, not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remove {
    /// The lease.
    pub epoch: u64,
    /// What.
    pub path: Path,
    /// Whether a directory may have something in it.
    pub recursive: bool,
}

/// Kills all processes but the guest, wipes every writable place, and refuses from then on any operation with
/// an epoch up to `fence`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reset {
    /// The last epoch that has ended.
    pub fence: u64,
}

impl Request {
    fn kind(&self) -> Kind {
        match self {
            Self::Hello(_) => Kind::Hello,
            Self::Ping => Kind::Ping,
            Self::Exec(_) => Kind::Exec,
            Self::Read(_) => Kind::Read,
            Self::Write(_) => Kind::Write,
            Self::List(_) => Kind::List,
            Self::Stat { .. } => Kind::Stat,
            Self::Remove(_) => Kind::Remove,
            Self::MakeDir { .. } => Kind::MakeDir,
            Self::Link { .. } => Kind::Link,
            Self::Reset(_) => Kind::Reset,
            Self::Shutdown => Kind::Shutdown,
        }
    }

    /// Appends the request as a frame.
    ///
    /// # Errors
    /// When it is too long for one.
    pub fn encode(&self, op: u64, out: &mut Vec<u8>) -> Result<(), Malformed> {
        encode_frame(out, self.kind(), op, |out| {
            let mut e = Encoder::new(out);
            match self {
                Self::Ping | Self::Shutdown => {}
                Self::Hello(hello) => {
                    e.u32(hello.version);
                }
                Self::Exec(exec) => {
                    e.u64(exec.epoch)
                        .list(&exec.argv, |e, arg| {
                            e.bytes(arg);
                        })
                        .list(&exec.env, |e, (name, value)| {
                            e.bytes(name).bytes(value);
                        })
                        .bytes(&exec.cwd)
                        .option_u64(exec.timeout_ms)
                        .flag(exec.stdin)
                        .option_u64(exec.output_cap);
                }
                Self::Read(read) => {
                    e.u64(read.epoch).bytes(&read.path).u64(read.offset).option_u64(read.length);
                }
                Self::Write(write) => {
                    e.u64(write.epoch)
                        .bytes(&write.path)
                        .u32(write.mode)
                        .flag(write.complete)
                        .bytes(&write.data);
                }
                Self::List(list) => {
                    e.u64(list.epoch).bytes(&list.path).flag(list.recursive);
                }
                Self::Stat { epoch, path } => {
                    e.u64(*epoch).bytes(path);
                }
                Self::Remove(remove) => {
                    e.u64(remove.epoch).bytes(&remove.path).flag(remove.recursive);
                }
                Self::MakeDir { epoch, path, mode } => {
                    e.u64(*epoch).bytes(path).u32(*mode);
                }
                Self::Link { epoch, path, target } => {
                    e.u64(*epoch).bytes(path).bytes(target);
                }
                Self::Reset(reset) => {
                    e.u64(reset.fence);
                }
            }
        })
    }

    /// The request a frame holds; `None` when the frame is not one that opens an operation.
    ///
    /// # Errors
    /// When the payload does not parse.
    pub fn decode(frame: &Frame<'_>) -> Result<Option<Self>, Malformed> {
        let mut d = Decoder::new(frame.payload);
        let request = match frame.kind {
            Kind::Hello => Self::Hello(Hello { version: d.u32()? }),
            Kind::Ping => Self::Ping,
            Kind::Exec => Self::Exec(ExecRequest {
                epoch: d.u64()?,
                argv: d.list(Decoder::owned)?,
                env: d.list(|d| Ok((d.owned()?, d.owned()?)))?,
                cwd: d.owned()?,
                timeout_ms: d.option_u64()?,
                stdin: d.flag()?,
                output_cap: d.option_u64()?,
            }),
            Kind::Read => Self::Read(Read {
                epoch: d.u64()?,
                path: d.owned()?,
                offset: d.u64()?,
                length: d.option_u64()?,
            }),
            Kind::Write => Self::Write(Write {
                epoch: d.u64()?,
                path: d.owned()?,
                mode: d.u32()?,
                complete: d.flag()?,
                data: d.owned()?,
            }),
            Kind::List => Self::List(List { epoch: d.u64()?, path: d.owned()?, recursive: d.flag()? }),
            Kind::Stat => Self::Stat { epoch: d.u64()?, path: d.owned()? },
            Kind::Remove => Self::Remove(Remove { epoch: d.u64()?, path: d.owned()?, recursive: d.flag()? }),
            Kind::MakeDir => Self::MakeDir { epoch: d.u64()?, path: d.owned()?, mode: d.u32()? },
            Kind::Link => Self::Link { epoch: d.u64()?, path: d.owned()?, target: d.owned()? },
            Kind::Reset => Self::Reset(Reset { fence: d.u64()? }),
            Kind::Shutdown => Self::Shutdown,
            Kind::Setup
            | Kind::ContainerSetup
            | Kind::Secret
            | Kind::Input
            | Kind::InputEnd
            | Kind::Credit
            | Kind::Signal
            | Kind::Cancel
            | Kind::Data
            | Kind::Done
            | Kind::Failed
            | Kind::SetupReport
            | Kind::ContainerReport => return Ok(None),
        };
        d.end()?;
        Ok(Some(request))
    }

    /// The lease the request belongs to; `None` for those that belong to none.
    #[must_use]
    pub fn epoch(&self) -> Option<u64> {
        match self {
            Self::Hello(_) | Self::Ping | Self::Reset(_) | Self::Shutdown => None,
            Self::Exec(ExecRequest { epoch, .. })
            | Self::Read(Read { epoch, .. })
            | Self::Write(Write { epoch, .. })
            | Self::List(List { epoch, .. })
            | Self::Stat { epoch, .. }
            | Self::Remove(Remove { epoch, .. })
            | Self::MakeDir { epoch, .. }
            | Self::Link { epoch, .. } => Some(*epoch),
        }
    }
}
