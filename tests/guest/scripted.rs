//! A guest made of a thread and a map of files. It keeps to the protocol to the letter and panics when the
//! host does not; what it saw is in its [`Seen`].

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use ostler::protocol::{
    Done, Entry, ExecRequest, Exited, FileKind, FrameBuffer, Input, Refusal, RefusalKind, Reply, Request,
    Stat, Stream, VERSION, Vitals, WINDOW, Welcome,
};

/// What the host did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) requests: u64,
    /// Bytes of data sent about anything.
    pub(crate) sent: u64,
    pub(crate) cancels: u64,
    pub(crate) signals: Vec<u32>,
    /// Operations that neither ended nor were cancelled.
    pub(crate) open: usize,
    pub(crate) files: BTreeMap<Vec<u8>, (u32, Vec<u8>)>,
    pub(crate) links: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) directories: BTreeMap<Vec<u8>, u32>,
    pub(crate) last_exec: Option<ExecRequest>,
}

#[derive(Debug)]
pub(crate) struct ScriptedGuest {
    seen: Arc<Mutex<Seen>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Operation {
    /// Still to be sent, as far as the window goes.
    output: VecDeque<Piece>,
    sent: usize,
    window: u32,
    /// Said when the output is out.
    end: Option<Reply>,
    work: Work,
}

/// The same bytes a number of times, so that a flood needs no memory here.
#[derive(Debug)]
struct Piece {
    stream: Stream,
    bytes: Vec<u8>,
    times: usize,
}

#[derive(Debug)]
enum Work {
    Nothing,
    /// Writes what it is given to a file.
    Write {
        path: Vec<u8>,
        mode: u32,
        content: Vec<u8>,
    },
    /// Sends back what it is given.
    Cat {
        bytes: u64,
    },
}

impl ScriptedGuest {
    /// A guest at the other end of the stream that is returned.
    pub(crate) fn start() -> (Self, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let thread = std::thread::spawn({
            let seen = Arc::clone(&seen);
            move || serve(theirs, &seen)
        });
        (Self { seen, thread: Some(thread) }, ours)
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn put(&self, path: &str, content: impl Into<Vec<u8>>) {
        self.seen.lock().unwrap().files.insert(path.into(), (0o644, content.into()));
    }

    /// Waits for the host to close the stream; fails the test when the host broke the protocol.
    pub(crate) fn join(mut self) -> Seen {
        self.thread.take().unwrap().join().unwrap();
        self.seen()
    }
}

fn serve(mut stream: UnixStream, seen: &Mutex<Seen>) {
    let mut frames = FrameBuffer::new();
    let mut operations: HashMap<u64, Operation> = HashMap::new();
    let mut newest = 0;
    let mut chunk = vec![0; 64 << 10];
    let mut out = Vec::new();
    loop {
        let count = match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(count) => count,
        };
        frames.extend(&chunk[..count]);
        while let Some(frame) = frames.cut().expect("the host sends frames") {
            let op = frame.op;
            if let Some(request) = Request::decode(&frame).expect("the host sends requests") {
                assert!(op > newest, "operation ids only grow");
                newest = op;
                let mut seen = seen.lock().unwrap();
                seen.requests += 1;
                operations.insert(op, open(&request, &mut seen));
            } else if let Some(input) = Input::decode(&frame).expect("the host sends input") {
                let mut seen = seen.lock().unwrap();
                match (input, operations.get_mut(&op)) {
                    (Input::Cancel, known) => {
                        seen.cancels += 1;
                        if known.is_some() {
                            operations.remove(&op);
                            let message = "cancelled".into();
                            let end = Refusal { kind: RefusalKind::Failed, errno: 0, message };
                            Reply::Failed(end).encode(op, &mut out).unwrap();
                        }
                    }
                    (_, None) => {}
                    (Input::Credit(bytes), Some(operation)) => {
                        operation.window = operation.window.checked_add(bytes).unwrap();
                        assert!(operation.window <= WINDOW, "credit for what was not sent");
                    }
                    (Input::Signal(signal), Some(operation)) => {
                        seen.signals.push(signal);
                        operation.output.clear();
                        operation.end = Some(exited(None, Some(signal), operation.sent));
                    }
                    (Input::Data(data), Some(operation)) => {
                        assert!(!data.is_empty());
                        Reply::Credit(u32::try_from(data.len()).unwrap()).encode(op, &mut out).unwrap();
                        match &mut operation.work {
                            Work::Write { content, .. } => content.extend_from_slice(&data),
                            Work::Cat { bytes } => {
                                *bytes += data.len() as u64;
                                operation.output.extend(pieces(&data));
                            }
                            Work::Nothing => {}
                        }
                    }
                    (Input::End, Some(operation)) => match &mut operation.work {
                        Work::Write { path, mode, content } => {
                            seen.files.insert(std::mem::take(path), (*mode, std::mem::take(content)));
                            operation.end = Some(Reply::Done(Done::Unit));
                        }
                        Work::Cat { bytes } => {
                            operation.end = Some(exited(Some(0), None, usize::try_from(*bytes).unwrap()));
                        }
                        Work::Nothing => {}
                    },
                }
            } else {
                panic!("the host sent a {:?}", frame.kind);
            }
        }
        let mut sent = 0;
        operations.retain(|&op, operation| !pump(op, operation, &mut out, &mut sent));
        let mut seen = seen.lock().unwrap();
        seen.open = operations.len();
        seen.sent += sent;
        drop(seen);
        if stream.write_all(&out).is_err() {
            return;
        }
        out.clear();
    }
}

/// Sends what the window allows; answers whether that was the end.
fn pump(op: u64, operation: &mut Operation, out: &mut Vec<u8>, sent: &mut u64) -> bool {
    while let Some(piece) = operation.output.front_mut() {
        let count = piece.bytes.len();
        if count > operation.window as usize {
            return false;
        }
        Reply::encode_data(op, piece.stream, &piece.bytes, out).unwrap();
        operation.window -= u32::try_from(count).unwrap();
        operation.sent += count;
        *sent += count as u64;
        piece.times -= 1;
        if piece.times == 0 {
            operation.output.pop_front();
        }
    }
    match operation.end.take() {
        Some(end) => {
            end.encode(op, out).unwrap();
            true
        }
        None => false,
    }
}

fn open(request: &Request, seen: &mut Seen) -> Operation {
    let mut operation =
        Operation { output: VecDeque::new(), sent: 0, window: WINDOW, end: None, work: Work::Nothing };
    operation.end = match request {
        Request::Hello(_) => Some(Done::Welcome(Welcome { version: VERSION, pid: 1 })),
        Request::Ping => {
            Some(Done::Vitals(Vitals { uptime_ms: 1, processes: 0, operations: 1, service_ms: None }))
        }
        Request::Reset(_) => {
            seen.files.clear();
            Some(Done::Reset { killed: 0 })
        }
        Request::Shutdown => Some(Done::Unit),
        Request::MakeDir { path, mode, .. } => {
            seen.directories.insert(path.clone(), *mode);
            Some(Done::Unit)
        }
        Request::Link { path, target, .. } => {
            seen.links.insert(path.clone(), target.clone());
            Some(Done::Unit)
        }
        Request::Write(write) if write.complete => {
            seen.files.insert(write.path.clone(), (write.mode, write.data.clone()));
            Some(Done::Unit)
        }
        Request::Write(write) => {
            operation.work =
                Work::Write { path: write.path.clone(), mode: write.mode, content: write.data.clone() };
            None
        }
        Request::Read(read) => match seen.files.get(&read.path) {
            None => {
                operation.end = Some(not_found());
                return operation;
            }
            Some((_, content)) => {
                let from = content.len().min(usize::try_from(read.offset).unwrap());
                let left = content.len() - from;
                let count = read.length.map_or(left, |length| left.min(usize::try_from(length).unwrap()));
                operation.output = pieces(&content[from..from + count]).collect();
                Some(Done::Read { size: content.len() as u64 })
            }
        },
        Request::Stat { path, .. } => {
            let Some(stat) = stat(seen, path) else {
                operation.end = Some(not_found());
                return operation;
            };
            Some(Done::Stat(stat))
        }
        Request::List(list) => {
            operation.output = listing(seen, &list.path);
            Some(Done::Unit)
        }
        Request::Remove(remove) => {
            seen.files.remove(&remove.path);
            Some(Done::Unit)
        }
        Request::Exec(exec) => {
            seen.last_exec = Some(exec.clone());
            return run(exec, operation);
        }
    }
    .map(Reply::Done);
    operation
}

/// `true`, `hang`, `cat`, `spew BYTES PIECE` and `mutter BYTES` (to stderr) are the programs it has.
fn run(exec: &ExecRequest, mut operation: Operation) -> Operation {
    let word = |at: usize| exec.argv.get(at).map(|arg| String::from_utf8(arg.clone()).unwrap());
    let number = |at: usize| word(at).unwrap().parse::<usize>().unwrap();
    match word(0).as_deref() {
        Some("true") => operation.end = Some(exited(Some(0), None, 0)),
        Some("hang") => {}
        Some("cat") => operation.work = Work::Cat { bytes: 0 },
        Some(program @ ("spew" | "mutter")) => {
            let total = number(1);
            let kept = exec.output_cap.map_or(total, |cap| total.min(usize::try_from(cap).unwrap()));
            let piece = word(2).map_or(kept.max(1), |piece| piece.parse().unwrap());
            let stream = if program == "spew" { Stream::Out } else { Stream::Err };
            let whole =
                Piece { stream, bytes: vec![b'x'; piece.min(60_000)], times: kept / piece.min(60_000) };
            let rest = Piece { stream, bytes: vec![b'x'; kept % whole.bytes.len()], times: 1 };
            operation.output = [whole, rest].into();
            operation.output.retain(|piece| piece.times > 0 && !piece.bytes.is_empty());
            let mut end = Exited { code: Some(0), ..Exited::default() };
            if stream == Stream::Out {
                end.stdout_bytes = total as u64;
            } else {
                end.stderr_bytes = total as u64;
            }
            operation.end = Some(Reply::Done(Done::Exited(end)));
        }
        _ => operation.end = Some(not_found()),
    }
    operation
}

fn pieces(content: &[u8]) -> impl Iterator<Item = Piece> {
    content.chunks(60_000).map(|bytes| Piece { stream: Stream::Out, bytes: bytes.to_vec(), times: 1 })
}

fn exited(code: Option<u32>, signal: Option<u32>, stdout: usize) -> Reply {
    Reply::Done(Done::Exited(Exited { code, signal, stdout_bytes: stdout as u64, ..Exited::default() }))
}

fn not_found() -> Reply {
    Reply::Failed(Refusal { kind: RefusalKind::NotFound, errno: 2, message: "no such thing".into() })
}

fn stat(seen: &Seen, path: &[u8]) -> Option<Stat> {
    let of = |kind, size, mode, target| Some(Stat { kind, size, mode, modified_ms: 1_000, target });
    if let Some((mode, content)) = seen.files.get(path) {
        of(FileKind::File, content.len() as u64, *mode, Vec::new())
    } else if let Some(target) = seen.links.get(path) {
        of(FileKind::Symlink, target.len() as u64, 0o777, target.clone())
    } else {
        of(FileKind::Directory, 0, *seen.directories.get(path)?, Vec::new())
    }
}

/// All that is below a path, however deep.
fn listing(seen: &Seen, path: &[u8]) -> VecDeque<Piece> {
    let mut paths: Vec<&Vec<u8>> =
        seen.files.keys().chain(seen.links.keys()).chain(seen.directories.keys()).collect();
    paths.sort();
    let below = paths.into_iter().filter_map(|full| {
        let rest = full.strip_prefix(path)?.strip_prefix(b"/")?;
        Some((rest.to_vec(), stat(seen, full)?))
    });
    below
        .map(|(path, stat)| {
            let mut bytes = Vec::new();
            Entry { path, stat }.encode(&mut bytes);
            Piece { stream: Stream::Out, bytes, times: 1 }
        })
        .collect()
}
