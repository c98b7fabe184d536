use super::codec::{Decoder, Encoder, Malformed};
use super::frame::{Frame, Kind, encode_frame};

/// A path inside the runtime: any bytes. Relative ones start at the workspace.
pub type Path = Vec<u8>;

/// Everything the host can ask for. One request opens one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// First on every stream.
    Hello(Hello),
    /// Answered with [`Vitals`].
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

/// The guest's answer to [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The guest's protocol version.
    pub version: u32,
    /// The guest's own pid as it sees it; 1 in a pid namespace of its own.
    pub pid: u32,
}

/// Runs a program. `argv[0]` is looked up in the environment's `PATH` when it has no slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecRequest {
    /// The lease.
    pub epoch: u64,
    /// Program and arguments; at least one.
    pub argv: Vec<Vec<u8>>,
    /// The environment, as name and value. `HOME` is the workspace when it is not among them; nothing else is
    /// added.
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

/// Reads a regular file. Answered with `Data` frames and [`Done::Read`].
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

/// Lists a directory. Answered with `Data` frames that each hold whole [`Entry`] records, and [`Done::Unit`].
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

/// What the host sends about an operation that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Bytes for it.
    Data(Vec<u8>),
    /// No more bytes.
    End,
    /// This many bytes of its output have been used up.
    Credit(u32),
    /// A signal for its process group.
    Signal(u32),
    /// Kill its whole tree; nothing more about it is wanted.
    Cancel,
}

/// Which output a `Data` frame belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// A program's stdout, a file's content, a directory's entries.
    Out,
    /// A program's stderr.
    Err,
}

/// What the guest sends about an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Bytes it produced.
    Data(Stream, Vec<u8>),
    /// This many bytes of its input have been used up.
    Credit(u32),
    /// It ended.
    Done(Done),
    /// It was refused, or failed.
    Failed(Refusal),
}

/// How an operation ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// Nothing to say.
    Unit,
    /// To `Hello`.
    Welcome(Welcome),
    /// To `Ping`.
    Vitals(Vitals),
    /// To `Exec`.
    Exited(Exited),
    /// To `Read`: the size of the whole file.
    Read {
        /// Bytes in the file when it was opened.
        size: u64,
    },
    /// To `Stat`.
    Stat(Stat),
    /// To `Reset`: how many processes were killed.
    Reset {
        /// Processes that were still there.
        killed: u32,
    },
}

/// How the guest is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    /// Milliseconds since it started.
    pub uptime_ms: u64,
    /// Processes below it.
    pub processes: u32,
    /// Operations that run.
    pub operations: u32,
}

/// How a program ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exited {
    /// Exit status, when it exited.
    pub code: Option<u32>,
    /// Signal, when one ended it.
    pub signal: Option<u32>,
    /// Whether its timeout ended it.
    pub timed_out: bool,
    /// Bytes it wrote to stdout, sent or not.
    pub stdout_bytes: u64,
    /// Bytes it wrote to stderr, sent or not.
    pub stderr_bytes: u64,
    /// Its processor time, user and system, microseconds.
    pub cpu_us: u64,
    /// Its largest resident size, bytes.
    pub max_rss: u64,
}

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A pipe, socket or device.
    Other,
}

/// A path described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: FileKind,
    /// Bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Last change of content, milliseconds since 1970.
    pub modified_ms: u64,
    /// Where a symbolic link points; empty otherwise.
    pub target: Path,
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the listed directory.
    pub path: Path,
    /// What is there.
    pub stat: Stat,
}

/// Why an operation was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The class a program can act on.
    pub kind: RefusalKind,
    /// The system's error number, when there was one; else 0.
    pub errno: u32,
    /// For people; names the step and the path.
    pub message: String,
}

/// Classes of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// No such path or program.
    NotFound,
    /// Not allowed, by the system or by the guest's own rules.
    Denied,
    /// The path is not what the operation needs (a directory where a file is wanted, say).
    WrongKind,
    /// A limit was hit: disk, memory, processes, descriptors, operations at once.
    Exhausted,
    /// The epoch has ended.
    Stale,
    /// The request makes no sense.
    Invalid,
    /// Anything else the system said.
    Failed,
}

macro_rules! byte_enum {
    ($type:ty { $($name:ident = $value:literal),* $(,)? }) => {
        impl $type {
            fn to_byte(self) -> u8 {
                match self { $(Self::$name => $value,)* }
            }
            fn from_byte(byte: u8) -> Result<Self, Malformed> {
                match byte {
                    $($value => Ok(Self::$name),)*
                    _ => Err(Malformed(concat!("unknown ", stringify!($type)))),
                }
            }
        }
    };
}

byte_enum!(Stream { Out = 0, Err = 1 });
byte_enum!(FileKind { File = 0, Directory = 1, Symlink = 2, Other = 3 });
byte_enum!(RefusalKind { NotFound = 0, Denied = 1, WrongKind = 2, Exhausted = 3, Stale = 4, Invalid = 5, Failed = 6 });

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
            | Kind::Input
            | Kind::InputEnd
            | Kind::Credit
            | Kind::Signal
            | Kind::Cancel
            | Kind::Data
            | Kind::Done
            | Kind::Failed
            | Kind::SetupReport => return Ok(None),
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

impl Input {
    /// Appends it as a frame.
    ///
    /// # Errors
    /// When it is too long for one.
    pub fn encode(&self, op: u64, out: &mut Vec<u8>) -> Result<(), Malformed> {
        match self {
            Self::Data(data) => encode_frame(out, Kind::Input, op, |out| out.extend_from_slice(data)),
            Self::End => encode_frame(out, Kind::InputEnd, op, |_| {}),
            Self::Credit(bytes) => encode_frame(out, Kind::Credit, op, |out| {
                Encoder::new(out).u32(*bytes);
            }),
            Self::Signal(signal) => encode_frame(out, Kind::Signal, op, |out| {
                Encoder::new(out).u32(*signal);
            }),
            Self::Cancel => encode_frame(out, Kind::Cancel, op, |_| {}),
        }
    }

    /// What a frame says about a running operation; `None` when it says something else.
    ///
    /// # Errors
    /// When the payload does not parse.
    pub fn decode(frame: &Frame<'_>) -> Result<Option<Self>, Malformed> {
        let mut d = Decoder::new(frame.payload);
        let input = match frame.kind {
            Kind::Input => return Ok(Some(Self::Data(frame.payload.to_vec()))),
            Kind::InputEnd => Self::End,
            Kind::Credit => Self::Credit(d.u32()?),
            Kind::Signal => Self::Signal(d.u32()?),
            Kind::Cancel => Self::Cancel,
            _ => return Ok(None),
        };
        d.end()?;
        Ok(Some(input))
    }
}

impl Stat {
    fn encode(&self, e: &mut Encoder<'_>) {
        e.u8(self.kind.to_byte()).u64(self.size).u32(self.mode).u64(self.modified_ms).bytes(&self.target);
    }

    fn decode(d: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            kind: FileKind::from_byte(d.u8()?)?,
            size: d.u64()?,
            mode: d.u32()?,
            modified_ms: d.u64()?,
            target: d.owned()?,
        })
    }
}

impl Entry {
    /// Appends it to the payload of a `Data` frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut e = Encoder::new(out);
        e.bytes(&self.path);
        self.stat.encode(&mut e);
    }

    /// All entries of one `Data` payload.
    ///
    /// # Errors
    /// When it does not hold whole entries.
    pub fn decode_all(payload: &[u8]) -> Result<Vec<Self>, Malformed> {
        let mut entries = Vec::new();
        let mut rest = payload;
        while !rest.is_empty() {
            let mut d = Decoder::new(rest);
            entries.push(Self { path: d.owned()?, stat: Stat::decode(&mut d)? });
            rest = d.rest();
        }
        Ok(entries)
    }
}

impl Reply {
    /// Appends it as a frame.
    ///
    /// # Errors
    /// When it is too long for one.
    pub fn encode(&self, op: u64, out: &mut Vec<u8>) -> Result<(), Malformed> {
        match self {
            Self::Data(stream, data) => Self::encode_data(op, *stream, data, out),
            Self::Credit(bytes) => encode_frame(out, Kind::Credit, op, |out| {
                Encoder::new(out).u32(*bytes);
            }),
            Self::Done(done) => encode_frame(out, Kind::Done, op, |out| done.encode(&mut Encoder::new(out))),
            Self::Failed(refusal) => encode_frame(out, Kind::Failed, op, |out| {
                Encoder::new(out)
                    .u8(refusal.kind.to_byte())
                    .u32(refusal.errno)
                    .bytes(refusal.message.as_bytes());
            }),
        }
    }

    /// Appends a `Data` frame without copying the bytes into a reply first.
    ///
    /// # Errors
    /// When there are more than fit.
    pub fn encode_data(op: u64, stream: Stream, data: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        Self::encode_data_with(op, stream, out, |out| out.extend_from_slice(data))
    }

    /// Appends a `Data` frame whose bytes `fill` appends, straight from where they come from.
    ///
    /// # Errors
    /// When there are more than fit.
    pub fn encode_data_with(
        op: u64,
        stream: Stream,
        out: &mut Vec<u8>,
        fill: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Malformed> {
        encode_frame(out, Kind::Data, op, |out| {
            out.push(stream.to_byte());
            fill(out);
        })
    }

    /// The reply a frame holds.
    ///
    /// # Errors
    /// When it holds none, or does not parse.
    pub fn decode(frame: &Frame<'_>) -> Result<Self, Malformed> {
        let mut d = Decoder::new(frame.payload);
        let reply = match frame.kind {
            Kind::Data => {
                let stream = Stream::from_byte(d.u8()?)?;
                return Ok(Self::Data(stream, d.rest().to_vec()));
            }
            Kind::Credit => Self::Credit(d.u32()?),
            Kind::Done => Self::Done(Done::decode(&mut d)?),
            Kind::Failed => Self::Failed(Refusal {
                kind: RefusalKind::from_byte(d.u8()?)?,
                errno: d.u32()?,
                message: String::from_utf8_lossy(d.bytes()?).into_owned(),
            }),
            _ => return Err(Malformed("not a reply")),
        };
        d.end()?;
        Ok(reply)
    }
}

impl Done {
    fn encode(&self, e: &mut Encoder<'_>) {
        match self {
            Self::Unit => {
                e.u8(0);
            }
            Self::Welcome(welcome) => {
                e.u8(1).u32(welcome.version).u32(welcome.pid);
            }
            Self::Vitals(vitals) => {
                e.u8(2).u64(vitals.uptime_ms).u32(vitals.processes).u32(vitals.operations);
            }
            Self::Exited(exited) => {
                e.u8(3)
                    .option_u64(exited.code.map(u64::from))
                    .option_u64(exited.signal.map(u64::from))
                    .flag(exited.timed_out)
                    .u64(exited.stdout_bytes)
                    .u64(exited.stderr_bytes)
                    .u64(exited.cpu_us)
                    .u64(exited.max_rss);
            }
            Self::Read { size } => {
                e.u8(4).u64(*size);
            }
            Self::Stat(stat) => {
                e.u8(5);
                stat.encode(e);
            }
            Self::Reset { killed } => {
                e.u8(6).u32(*killed);
            }
        }
    }

    fn decode(d: &mut Decoder<'_>) -> Result<Self, Malformed> {
        let narrow = |value: Option<u64>| match value.map(u32::try_from) {
            None => Ok(None),
            Some(Ok(value)) => Ok(Some(value)),
            Some(Err(_)) => Err(Malformed("status does not fit")),
        };
        Ok(match d.u8()? {
            0 => Self::Unit,
            1 => Self::Welcome(Welcome { version: d.u32()?, pid: d.u32()? }),
            2 => Self::Vitals(Vitals { uptime_ms: d.u64()?, processes: d.u32()?, operations: d.u32()? }),
            3 => Self::Exited(Exited {
                code: narrow(d.option_u64()?)?,
                signal: narrow(d.option_u64()?)?,
                timed_out: d.flag()?,
                stdout_bytes: d.u64()?,
                stderr_bytes: d.u64()?,
                cpu_us: d.u64()?,
                max_rss: d.u64()?,
            }),
            4 => Self::Read { size: d.u64()? },
            5 => Self::Stat(Stat::decode(d)?),
            6 => Self::Reset { killed: d.u32()? },
            _ => return Err(Malformed("unknown result")),
        })
    }
}
