//! Starting a program without copying the guest.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr;

use super::errno::{Errno, Result, check};
use super::{process, signal};

const CLONE_VM: c_int = 0x100;
const CLONE_VFORK: c_int = 0x4000;

const STACK: usize = 128 << 10;
const PROT_NONE: c_int = 0;
const PROT_READ_WRITE: c_int = 3;
const MAP_PRIVATE_ANONYMOUS_STACK: c_int = 0x20022;
const GUARD: usize = 4 << 10;

unsafe extern "C" {
    fn clone(
        run: extern "C" fn(*mut c_void) -> c_int,
        stack: *mut c_void,
        flags: c_int,
        job: *mut c_void,
        ...
    ) -> c_int;
    fn mmap(at: *mut c_void, size: usize, access: c_int, flags: c_int, fd: RawFd, offset: i64)
    -> *mut c_void;
    fn mprotect(at: *mut c_void, size: usize, access: c_int) -> c_int;
    fn setsid() -> c_int;
    fn chdir(path: *const c_char) -> c_int;
    fn dup2(from: RawFd, to: RawFd) -> c_int;
    fn execve(path: *const c_char, argv: *const *const c_char, env: *const *const c_char) -> c_int;
}

/// Strings as `execve` wants them.
#[derive(Debug)]
pub(crate) struct Strings {
    pointers: Vec<*const c_char>,
    /// What the pointers point into.
    _owned: Vec<CString>,
}

impl Strings {
    pub(crate) fn new(owned: Vec<CString>) -> Self {
        let pointers = owned.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect();
        Self { pointers, _owned: owned }
    }
}

/// What to start and how.
pub(crate) struct Plan<'a> {
    /// Tried in order, as `execvp` would.
    pub(crate) programs: &'a [CString],
    pub(crate) argv: &'a Strings,
    pub(crate) env: &'a Strings,
    /// Working directory.
    pub(crate) cwd: &'a CStr,
    /// Descriptors 0, 1 and 2; none of them below 3.
    pub(crate) stdio: [BorrowedFd<'a>; 3],
    /// Last thing done before the program starts. Shares the guest's memory: must not allocate.
    pub(crate) prepare: &'a dyn Fn() -> std::result::Result<(), (&'static str, Errno)>,
}

/// The step at which a child gave up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    pub(crate) step: &'static str,
    pub(crate) errno: Errno,
}

/// The stack children run on until their program starts. One is enough: the guest sleeps meanwhile.
#[derive(Debug)]
pub(crate) struct Nursery {
    top: *mut c_void,
}

struct Job<'a> {
    plan: &'a Plan<'a>,
    failure: Option<Failure>,
}

impl Nursery {
    /// Lives as long as the guest; the mapping is never given back.
    pub(crate) fn new() -> Result<Self> {
        let flags = MAP_PRIVATE_ANONYMOUS_STACK;
        // SAFETY: a new mapping at an address the kernel chooses.
        let base = unsafe { mmap(ptr::null_mut(), STACK, PROT_READ_WRITE, flags, -1, 0) };
        if base.addr() == usize::MAX {
            return Err(Errno::last());
        }
        // SAFETY: the lowest page of the mapping just made; an overflow faults instead of spoiling memory.
        check(unsafe { mprotect(base, GUARD, PROT_NONE) })?;
        // SAFETY: one past the end of the mapping.
        Ok(Self { top: unsafe { base.byte_add(STACK) } })
    }

    /// Starts a program in a session of its own and answers its pid once it runs.
    ///
    /// # Errors
    /// The step that failed; there is then no child.
    pub(crate) fn spawn(&mut self, plan: &Plan<'_>) -> std::result::Result<i32, Failure> {
        let mut job = Job { plan, failure: None };
        let job_at: *mut Job<'_> = &raw mut job;
        let flags = CLONE_VM | CLONE_VFORK | signal::CHLD;
        // SAFETY: the child runs on its own stack; with VFORK this thread sleeps until the child has left the
        // shared memory, so `job` and the stack are the child's alone for as long as it uses them.
        let pid = check(unsafe { clone(child, self.top, flags, job_at.cast()) })
            .map_err(|errno| Failure { step: "start a process", errno })?;
        // SAFETY: the child, the only other one to write here, is gone from this memory.
        match unsafe { ptr::read_volatile(&raw const (*job_at).failure) } {
            None => Ok(pid),
            Some(failure) => {
                // It has called exit, so this waits for next to nothing.
                process::reap_now(pid).map_err(|errno| Failure { step: "wait for a process", errno })?;
                Err(failure)
            }
        }
    }
}

extern "C" fn child(job: *mut c_void) -> c_int {
    // SAFETY: `spawn` passes its job and doesn't touch it meanwhile.
    let job = unsafe { &mut *job.cast::<Job<'_>>() };
    let failure = run(job.plan);
    // SAFETY: as above; volatile because `spawn` can't see that it changes.
    unsafe { ptr::write_volatile(&raw mut job.failure, Some(failure)) };
    127
}

/// Only comes back when it failed.
fn run(plan: &Plan<'_>) -> Failure {
    match enter(plan) {
        Err((step, errno)) => Failure { step, errno },
        Ok(()) => Failure { step: "run", errno: execute(plan) },
    }
}

fn enter(plan: &Plan<'_>) -> std::result::Result<(), (&'static str, Errno)> {
    // SAFETY: a new child leads no group yet, so this can't fail for that.
    check(unsafe { setsid() }).map_err(|errno| ("make a session", errno))?;
    for (number, fd) in (0..).zip(plan.stdio) {
        // SAFETY: the child has its own descriptor table.
        check(unsafe { dup2(fd.as_raw_fd(), number) }).map_err(|errno| ("connect a stream", errno))?;
    }
    // SAFETY: `cwd` ends with a zero.
    check(unsafe { chdir(plan.cwd.as_ptr()) }).map_err(|errno| ("change to directory", errno))?;
    (plan.prepare)()?;
    signal::unblock_all().map_err(|errno| ("unblock signals", errno))
}

/// What `execvp` would answer: a program that is there but may not be run outweighs one that is not there.
fn execute(plan: &Plan<'_>) -> Errno {
    let mut worst = Errno::NOENT;
    for program in plan.programs {
        // SAFETY: all three end with a zero or a null and outlive the call.
        unsafe { execve(program.as_ptr(), plan.argv.pointers.as_ptr(), plan.env.pointers.as_ptr()) };
        match Errno::last() {
            Errno::NOENT | Errno::NOTDIR => {}
            Errno::ACCES => worst = Errno::ACCES,
            other => return other,
        }
    }
    worst
}
