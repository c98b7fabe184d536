//! Namespaces, and who this process is in them.

use std::ffi::{CStr, c_int};
use std::os::fd::{AsRawFd, BorrowedFd};

use super::errno::{Errno, Result};
use super::number::{
    CLONE, CLONE3, EXECVEAT, IOCTL, PRCTL, SETGROUPS, SETHOSTNAME, SETRESGID, SETRESUID, SOCKET, UMASK,
    UNSHARE,
};
use super::raw::{call, int, open};
use super::seccomp::gate;

/// Which namespaces a new process gets.
pub(crate) mod new {
    pub(crate) const MOUNT: usize = 0x0002_0000;
    pub(crate) const UTS: usize = 0x0400_0000;
    pub(crate) const IPC: usize = 0x0800_0000;
    pub(crate) const USER: usize = 0x1000_0000;
    pub(crate) const PID: usize = 0x2000_0000;
    pub(crate) const NET: usize = 0x4000_0000;
}

const SIGCHLD: usize = 17;
const CLONE_INTO_CGROUP: usize = 0x2_0000_0000;
const PR_SET_PDEATHSIG: usize = 1;
const AT_EMPTY_PATH: usize = 0x1000;
const AF_INET: usize = 2;
const SOCK_DGRAM_CLOEXEC: usize = 2 | 0o2_000_000;
const SIOCGIFFLAGS: usize = 0x8913;
const SIOCSIFFLAGS: usize = 0x8914;
const IFF_UP: u16 = 1;

/// Which side of a [`split`] this is.
#[derive(Debug)]
pub(crate) enum Side {
    /// The new process, and whether it is in the cgroup that it was to be born in.
    Child { born_there: bool },
    /// The old one, with the new one's pid.
    Parent(i32),
}

/// Makes a copy of this process in the [`new`] namespaces named, as `fork` does, and if it can in the cgroup of
/// version 2 whose directory is `cradle`.
///
/// # Errors
/// `EBUSY` when the process has further threads: the copy would hold their locks for ever.
pub(crate) fn split(namespaces: usize, cradle: Option<BorrowedFd<'_>>) -> Result<Side> {
    if std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count) != 1 {
        return Err(Errno::BUSY);
    }
    // Kernels before 5.7 can't, nor can a process that a filter keeps from it.
    let born = cradle.and_then(|cradle| born_in(cradle, namespaces).ok());
    let born_there = born.is_some();
    let pid = match born {
        Some(pid) => pid,
        // SAFETY: there is no other thread. Without CLONE_VM and with no stack given, the copy goes on here on its
        // own copy of the stack.
        None => unsafe { call(CLONE, [namespaces | SIGCHLD, 0, 0, 0, 0, 0]) }?,
    };
    let pid = i32::try_from(pid).map_err(|_| Errno::INVAL)?;
    Ok(if pid == 0 { Side::Child { born_there } } else { Side::Parent(pid) })
}

/// For [`split`] alone: answers in both processes, in the new one with 0.
fn born_in(cradle: BorrowedFd<'_>, namespaces: usize) -> Result<usize> {
    /// `struct clone_args` as of Linux 5.7.
    #[repr(C)]
    #[derive(Default)]
    struct Arguments {
        flags: u64,
        unused: [u64; 3],
        exit_signal: u64,
        stack: [u64; 5],
        cgroup: u64,
    }
    let arguments = Arguments {
        flags: (namespaces | CLONE_INTO_CGROUP) as u64,
        exit_signal: SIGCHLD as u64,
        cgroup: int(cradle.as_raw_fd()) as u64,
        ..Arguments::default()
    };
    // SAFETY: there is no other thread. The kernel reads `size_of` bytes; without CLONE_VM and with no stack given, the
    // copy goes on here on its own copy of the stack.
    unsafe { call(CLONE3, [&raw const arguments as usize, size_of::<Arguments>(), 0, 0, 0, 0]) }
}

/// Leaves the [`new`] namespaces named for fresh ones.
pub(crate) fn renew(namespaces: usize) -> Result<()> {
    // SAFETY: takes integers only.
    unsafe { call(UNSHARE, [namespaces, 0, 0, 0, 0, gate()]) }.map(drop)
}

/// Becomes `uid` and `gid` for good.
pub(crate) fn become_user(uid: u32, gid: u32) -> Result<()> {
    let (user, group) = (uid as usize, gid as usize);
    // SAFETY: both take integers only.
    unsafe {
        call(SETRESGID, [group, group, group, 0, 0, 0])?;
        call(SETRESUID, [user, user, user, 0, 0, 0])?;
    }
    Ok(())
}

/// Leaves all supplementary groups.
pub(crate) fn leave_groups() -> Result<()> {
    // SAFETY: with a count of 0 the list is not read.
    unsafe { call(SETGROUPS, [0; 6]) }.map(drop)
}

/// The signal this process gets when the thread that started it ends.
pub(crate) fn on_parent_death(signal: c_int) -> Result<()> {
    // SAFETY: takes integers only.
    unsafe { call(PRCTL, [PR_SET_PDEATHSIG, int(signal), 0, 0, 0, 0]) }.map(drop)
}

/// Which permission bits new files don't get.
pub(crate) fn set_umask(mask: u32) {
    // SAFETY: takes an integer only.
    let _ = unsafe { call(UMASK, [mask as usize, 0, 0, 0, 0, 0]) };
}

/// The host name of this UTS namespace.
pub(crate) fn set_hostname(name: &[u8]) -> Result<()> {
    // SAFETY: the kernel reads `name.len()` bytes.
    unsafe { call(SETHOSTNAME, [name.as_ptr() as usize, name.len(), 0, 0, 0, 0]) }.map(drop)
}

/// Switches the loopback interface of this network namespace on.
pub(crate) fn raise_loopback() -> Result<()> {
    #[repr(C)]
    struct Interface {
        name: [u8; 16],
        flags: u16,
        rest: [u8; 22],
    }
    // SAFETY: takes integers only.
    let socket = unsafe { open(SOCKET, [AF_INET, SOCK_DGRAM_CLOEXEC, 0, 0, 0, 0]) }?;
    let mut interface = Interface { name: [0; 16], flags: 0, rest: [0; 22] };
    interface.name[..2].copy_from_slice(b"lo");
    let fd = int(socket.as_raw_fd());
    // SAFETY: `interface` is a whole `struct ifreq`, of which these requests read and write name and flags.
    unsafe { call(IOCTL, [fd, SIOCGIFFLAGS, &raw mut interface as usize, 0, 0, 0]) }?;
    interface.flags |= IFF_UP;
    // SAFETY: as above.
    unsafe { call(IOCTL, [fd, SIOCSIFFLAGS, &raw const interface as usize, 0, 0, 0]) }.map(drop)
}

/// Runs the program behind `program` in place of this one; returns only when that fails.
pub(crate) fn become_program(program: BorrowedFd<'_>, argv: &[&CStr], env: &[&CStr]) -> Errno {
    let list =
        |strings: &[&CStr]| strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>();
    let (argv, env) = (list(argv), list(env));
    let arguments = [
        int(program.as_raw_fd()),
        c"".as_ptr() as usize,
        argv.as_ptr() as usize,
        env.as_ptr() as usize,
        AT_EMPTY_PATH,
        0,
    ];
    // SAFETY: both lists end in a null pointer, their strings in a zero, and all outlive the call.
    unsafe { call(EXECVEAT, arguments) }.err().unwrap_or(Errno::INVAL)
}
