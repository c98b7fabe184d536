use std::collections::VecDeque;
use std::time::Duration;

use super::runtime::FakeRuntime;
use crate::protocol::{
    Done, Entry, ExecRequest, Exited, FileKind, Refusal, RefusalKind, Reply, Request, Stat, Stream, VERSION,
    Vitals, WINDOW, Welcome,
};

/// What a request comes to.
pub(super) enum Program {
    /// These replies, now.
    Done(VecDeque<Reply>),
    /// These replies, later.
    After(Duration, VecDeque<Reply>),
}

/// Carries a request out on the runtime's files.
pub(super) fn run(runtime: &FakeRuntime, request: Request, input: &[u8]) -> Program {
    if request.epoch().is_some_and(|epoch| epoch <= runtime.fence()) {
        return Program::Done(refused(RefusalKind::Stale, "the epoch has ended"));
    }
    Program::Done(match request {
        Request::Hello(_) => done(Done::Welcome(Welcome { version: VERSION, pid: 1 })),
        Request::Ping => done(Done::Vitals(Vitals::default())),
        Request::Reset(reset) => {
            runtime.reset(reset.fence);
            done(Done::Reset { killed: 0 })
        }
        Request::Exec(exec) => return execute(runtime, &exec, input),
        Request::Read(read) => match runtime.files().get(&read.path) {
            None => not_found(&read.path),
            Some(content) => {
                let from = usize::try_from(read.offset).unwrap_or(usize::MAX).min(content.len());
                let length =
                    read.length.and_then(|length| usize::try_from(length).ok()).unwrap_or(usize::MAX);
                let part = &content[from..content.len().min(from.saturating_add(length))];
                with_output(part, Done::Read { size: content.len() as u64 })
            }
        },
        Request::Write(write) => {
            let mut content = write.data;
            content.extend_from_slice(input);
            runtime.files().insert(write.path, content);
            done(Done::Unit)
        }
        Request::List(list) => {
            let mut entries = Vec::new();
            for (path, content) in runtime.files().iter() {
                if let Some(path) = below(&list.path, path) {
                    Entry { path: path.to_vec(), stat: stat(content) }.encode(&mut entries);
                }
            }
            with_output(&entries, Done::Unit)
        }
        Request::Stat { path, .. } => match runtime.files().get(&path) {
            None => not_found(&path),
            Some(content) => done(Done::Stat(stat(content))),
        },
        Request::Remove(remove) => match runtime.files().remove(&remove.path) {
            None => not_found(&remove.path),
            Some(_) => done(Done::Unit),
        },
        Request::MakeDir { .. } | Request::Shutdown => done(Done::Unit),
        Request::Link { path, target, .. } => {
            runtime.files().insert(path, target);
            done(Done::Unit)
        }
    })
}

/// A path as seen from a directory above it.
fn below<'a>(directory: &[u8], path: &'a [u8]) -> Option<&'a [u8]> {
    if directory.is_empty() { Some(path) } else { path.strip_prefix(directory)?.strip_prefix(b"/") }
}

fn execute(runtime: &FakeRuntime, exec: &ExecRequest, input: &[u8]) -> Program {
    let words: Vec<_> = exec.argv.iter().map(|word| String::from_utf8_lossy(word)).collect();
    let first = words.get(1).map_or("", |word| word);
    Program::Done(match words.first().map_or("", |word| word) {
        "true" => exited(Some(0), None, &[]),
        "false" => exited(Some(1), None, &[]),
        "exit" => exited(first.parse().ok(), None, &[]),
        "echo" => exited(Some(0), None, format!("{}\n", words[1..].join(" ")).as_bytes()),
        "cat" if first.is_empty() => exited(Some(0), None, input),
        "cat" => match runtime.files().get(first.as_bytes()) {
            Some(content) => exited(Some(0), None, content),
            None => exited(Some(1), None, &[]),
        },
        "sleep" => return sleep(first.parse().unwrap_or(0.0), exec.timeout_ms),
        other => refused(RefusalKind::NotFound, &format!("{other}: no such program")),
    })
}

fn sleep(seconds: f64, timeout_ms: Option<u64>) -> Program {
    let pause = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    match timeout_ms.map(Duration::from_millis) {
        Some(timeout) if timeout < pause => {
            let exited = Exited { signal: Some(9), timed_out: true, ..Exited::default() };
            Program::After(timeout, done(Done::Exited(exited)))
        }
        _ => Program::After(pause, exited(Some(0), None, &[])),
    }
}

/// What a guest would say that claims to have done it and has not.
pub(super) fn lie(request: &Request) -> VecDeque<Reply> {
    match request {
        Request::Reset(_) => done(Done::Reset { killed: 0 }),
        Request::Hello(_) => done(Done::Welcome(Welcome { version: VERSION + 1, pid: 1 })),
        Request::Ping => done(Done::Vitals(Vitals::default())),
        Request::Exec(_) => exited(Some(0), None, &[]),
        _ => done(Done::Unit),
    }
}

pub(super) fn failed(why: &str) -> VecDeque<Reply> {
    refused(RefusalKind::Failed, why)
}

pub(super) fn exited(code: Option<u32>, signal: Option<u32>, stdout: &[u8]) -> VecDeque<Reply> {
    let exited = Exited { code, signal, stdout_bytes: stdout.len() as u64, ..Exited::default() };
    with_output(stdout, Done::Exited(exited))
}

fn with_output(bytes: &[u8], end: Done) -> VecDeque<Reply> {
    let frame = WINDOW as usize / 8;
    let mut replies: VecDeque<_> =
        bytes.chunks(frame).map(|part| Reply::Data(Stream::Out, part.to_vec())).collect();
    replies.push_back(Reply::Done(end));
    replies
}

fn done(end: Done) -> VecDeque<Reply> {
    VecDeque::from([Reply::Done(end)])
}

fn not_found(path: &[u8]) -> VecDeque<Reply> {
    refused(RefusalKind::NotFound, &format!("{}: no such file", String::from_utf8_lossy(path)))
}

fn refused(kind: RefusalKind, message: &str) -> VecDeque<Reply> {
    VecDeque::from([Reply::Failed(Refusal { kind, errno: 0, message: message.to_owned() })])
}

fn stat(content: &[u8]) -> Stat {
    Stat { kind: FileKind::File, size: content.len() as u64, mode: 0o644, modified_ms: 0, target: Vec::new() }
}
