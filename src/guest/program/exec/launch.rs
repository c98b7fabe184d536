use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::environment::Environment;
use crate::place::Place;
use crate::processes::{Marks, Prey};
use crate::protocol::{ExecRequest, Refusal, RefusalKind, Stream, Variable};
use crate::refusal;
use crate::sys::spawn::{Failure, Nursery, Plan, Strings};
use crate::sys::{Errno, descriptor, limit};

use super::input::Input;
use super::output::Output;
use super::{Course, Exec};

/// Where programs are looked for when the environment has no `PATH`.
const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";

/// Entries of `PATH` that are looked at; each costs the guest a system call.
const PATH_ENTRIES: usize = 128;

/// The longest name a file system knows.
const NAME_MAX: usize = 255;

/// A program to start, but for where its streams lead.
#[derive(Debug)]
pub(crate) struct Program<'a> {
    pub(crate) argv: &'a [Vec<u8>],
    /// Its own variables.
    pub(crate) env: &'a [Variable],
    /// Relative to the workspace.
    pub(crate) cwd: &'a [u8],
}

/// Starts programs.
#[derive(Debug)]
pub(crate) struct Launcher {
    nursery: Nursery,
    /// Stdin of programs that are given none.
    nothing: OwnedFd,
    marks: Marks,
}

impl Launcher {
    pub(crate) fn new(nothing: OwnedFd, marks: Marks) -> Result<Self, Errno> {
        Ok(Self { nursery: Nursery::new()?, nothing, marks })
    }

    pub(crate) fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Starts a program; it runs when this comes back.
    pub(crate) fn launch(
        &mut self,
        request: &ExecRequest,
        place: &Place,
        now: Instant,
    ) -> Result<Exec, Refusal> {
        let pipe = || descriptor::pipe().map_err(|errno| refusal::system("make a pipe", b"", errno));
        let (stdout, stdout_end) = pipe()?;
        let (stderr, stderr_end) = pipe()?;
        let (stdin_end, stdin) =
            if request.stdin { pipe().map(|(r, w)| (Some(r), Some(w)))? } else { (None, None) };
        for ours in [Some(&stdout), Some(&stderr), stdin.as_ref()].into_iter().flatten() {
            descriptor::set_nonblocking(ours.as_fd())
                .map_err(|e| refusal::system("set up a pipe", b"", e))?;
        }
        let program = Program { argv: &request.argv, env: &request.env, cwd: &request.cwd };
        let streams =
            [stdin_end.as_ref().map(AsFd::as_fd), Some(stdout_end.as_fd()), Some(stderr_end.as_fd())];
        let prey = self.start(&program, streams, place)?;
        let timeout = request.timeout_ms.map(Duration::from_millis);
        Ok(Exec {
            prey,
            input: Input::new(stdin),
            outputs: [
                Output::new(Stream::Out, stdout, request.output_cap),
                Output::new(Stream::Err, stderr, request.output_cap),
            ],
            deadline: timeout.and_then(|timeout| now.checked_add(timeout)),
            course: Course::Running,
            ended: None,
        })
    }
}

impl Launcher {
    /// Starts a program with these streams, or nothing at their place; it runs when this comes back.
    pub(crate) fn start(
        &mut self,
        program: &Program<'_>,
        streams: [Option<BorrowedFd<'_>>; 3],
        place: &Place,
    ) -> Result<Prey, Refusal> {
        let name = program.argv.first().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| refusal::rule(RefusalKind::Invalid, "no program is named"))?;
        let environment = place.environment.clone().with(program.env);
        let programs = candidates(name, &environment)?;
        let argv = Strings::new(program.argv.iter().map(|arg| string(arg)).collect::<Result<_, _>>()?);
        let env = Strings::new(environment.iter().map(variable).collect::<Result<_, _>>()?);
        let cwd = string(Path::new(bytes(&place.workspace)).join(bytes(program.cwd)).as_os_str().as_bytes())?;
        let mark = self.marks.next();
        let prepare = || {
            if let Some(mark) = mark {
                limit::set(limit::REALTIME, mark).map_err(|errno| ("mark the process", errno))?;
            }
            place.confinement.in_child()
        };
        let plan = Plan {
            programs: &programs,
            argv: &argv,
            env: &env,
            cwd: &cwd,
            stdio: streams.map(|stream| stream.unwrap_or(self.nothing.as_fd())),
            prepare: &prepare,
        };
        let leader = self.nursery.spawn(&plan).map_err(|failure| refused(failure, program))?;
        Ok(Prey { mark, leader: Some(leader) })
    }
}

fn bytes(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}

fn refused(failure: Failure, program: &Program<'_>) -> Refusal {
    let about: &[u8] = match failure.step {
        "run" => program.argv.first().map_or(b"", Vec::as_slice),
        "change to directory" => program.cwd,
        _ => b"",
    };
    refusal::system(failure.step, about, failure.errno)
}

fn string(bytes: &[u8]) -> Result<CString, Refusal> {
    CString::new(bytes).map_err(|_| refusal::rule(RefusalKind::Invalid, "a string holds a zero byte"))
}

fn variable((name, value): (&[u8], &[u8])) -> Result<CString, Refusal> {
    if name.is_empty() || name.contains(&b'=') {
        return Err(refusal::rule(RefusalKind::Invalid, "an environment variable has no proper name"));
    }
    string(&[name, b"=", value].concat())
}

/// The paths `execvp` would try.
fn candidates(program: &[u8], env: &Environment) -> Result<Vec<CString>, Refusal> {
    if program.contains(&b'/') {
        return Ok(vec![string(program)?]);
    }
    if program.len() > NAME_MAX {
        return Err(refusal::system("run", program, Errno::NAMETOOLONG));
    }
    let path = env.get(b"PATH").unwrap_or(DEFAULT_PATH);
    path.split(|byte| *byte == b':')
        .take(PATH_ENTRIES)
        .map(|directory| string(Path::new(bytes(directory)).join(bytes(program)).as_os_str().as_bytes()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(program: &str, path: Option<&str>) -> Vec<CString> {
        let env: Vec<_> = path.map(|path| (b"PATH".to_vec(), path.into())).into_iter().collect();
        candidates(program.as_bytes(), &Environment::default().with(&env)).expect("a list")
    }

    #[test]
    fn a_name_with_a_slash_is_not_looked_up() {
        assert_eq!(paths("./run", Some("/bin")), [c"./run".to_owned()]);
    }

    #[test]
    fn a_bare_name_is_looked_up_in_the_path_of_the_request() {
        assert_eq!(paths("ls", Some("/a:/b")), [c"/a/ls".to_owned(), c"/b/ls".to_owned()]);
        assert_eq!(paths("ls", Some("")), [c"ls".to_owned()], "an empty entry is the working directory");
        assert_eq!(paths("ls", None).last(), Some(&c"/bin/ls".to_owned()));
    }

    #[test]
    fn a_hostile_path_costs_little() {
        assert_eq!(paths("ls", Some(&":".repeat(100_000))).len(), PATH_ENTRIES);
        assert!(candidates(&[b'x'; 300], &Environment::default()).is_err());
    }
}
