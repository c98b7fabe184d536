//! Paths and what they name.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_long, c_uint};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::errno::{Errno, Result, check, check_size};
use super::number::OPENAT2 as OPENAT2_CALL;
use super::raw::{self, int};
use super::walk;

/// How a path is opened.
pub(crate) mod open {
    #[cfg(target_arch = "x86_64")]
    mod bits {
        pub(crate) const DIRECTORY: u64 = 0o200_000;
        pub(crate) const NO_FOLLOW: u64 = 0o400_000;
    }
    #[cfg(not(target_arch = "x86_64"))]
    mod bits {
        pub(crate) const DIRECTORY: u64 = 0o40_000;
        pub(crate) const NO_FOLLOW: u64 = 0o100_000;
    }

    pub(crate) use bits::{DIRECTORY, NO_FOLLOW};

    pub(crate) const READ: u64 = 0;
    pub(crate) const WRITE: u64 = 1;
    pub(crate) const READ_WRITE: u64 = 2;
    pub(crate) const CREATE_NEW: u64 = 0o300;
    pub(crate) const NO_TERMINAL: u64 = 0o400;
    pub(crate) const NON_BLOCKING: u64 = 0o4000;
    pub(crate) const PATH_ONLY: u64 = 0o10_000_000;
    pub(in super::super) const CLOSE_ON_EXEC: u64 = 0o2_000_000;
}

/// How far a path may lead.
pub(crate) mod resolve {
    pub(crate) const NO_MOUNTS: u64 = 0x01;
    pub(crate) const NO_MAGIC_LINKS: u64 = 0x02;
    pub(crate) const NO_LINKS: u64 = 0x04;
    pub(crate) const BENEATH: u64 = 0x08;
    pub(crate) const IN_ROOT: u64 = 0x10;
}

const AT_FDCWD: RawFd = -100;
const AT_SYMLINK_NOFOLLOW: c_int = 0x100;
const AT_REMOVEDIR: c_int = 0x200;
const AT_EMPTY_PATH: c_int = 0x1000;
/// The basic facts, and which mount it is on.
const STATX_WANTED: c_uint = 0x17ff;

#[repr(C)]
struct How {
    flags: u64,
    mode: u64,
    resolve: u64,
}

#[repr(C)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Time {
    seconds: i64,
    nanoseconds: u32,
    _spare: i32,
}

#[repr(C)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Statx {
    mask: u32,
    block_size: u32,
    attributes: u64,
    links: u32,
    uid: u32,
    gid: u32,
    mode: u16,
    _spare: u16,
    inode: u64,
    size: u64,
    blocks: u64,
    attributes_mask: u64,
    accessed: Time,
    born: Time,
    changed: Time,
    modified: Time,
    device: [u32; 4],
    mount: u64,
    rest: [u64; 13],
}

/// The C library's `struct statfs`, as far as it is looked at.
#[repr(C)]
struct FileSystem {
    magic: c_long,
    _block_size: c_long,
    /// Of blocks all, free, and free for everybody; of files all and free.
    usage: [c_long; 5],
    rest: [c_long; 25],
}

unsafe extern "C" {
    fn statx(fd: RawFd, path: *const c_char, flags: c_int, mask: c_uint, out: *mut Statx) -> c_int;
    fn fstatfs(fd: RawFd, out: *mut FileSystem) -> c_int;
    fn mkdirat(fd: RawFd, path: *const c_char, mode: c_uint) -> c_int;
    fn unlinkat(fd: RawFd, path: *const c_char, flags: c_int) -> c_int;
    fn renameat(from: RawFd, old: *const c_char, to: RawFd, new: *const c_char) -> c_int;
    fn symlinkat(target: *const c_char, fd: RawFd, path: *const c_char) -> c_int;
    fn readlinkat(fd: RawFd, path: *const c_char, out: *mut u8, room: usize) -> isize;
    fn fchmod(fd: RawFd, mode: c_uint) -> c_int;
    fn flistxattr(fd: RawFd, names: *mut u8, room: usize) -> isize;
    fn fremovexattr(fd: RawFd, name: *const c_char) -> c_int;
    fn fchmodat(fd: RawFd, path: *const c_char, mode: c_uint, flags: c_int) -> c_int;
}

/// Opens a path below `base`, or below the working directory.
pub(crate) fn open_at(
    base: Option<BorrowedFd<'_>>,
    path: &CStr,
    flags: u64,
    mode: u32,
    resolve: u64,
) -> Result<OwnedFd> {
    if !has_openat2() {
        return walk::open(base, path, flags, mode, resolve);
    }
    let how = How { flags: flags | open::CLOSE_ON_EXEC, mode: u64::from(mode), resolve };
    let base = base.map_or(AT_FDCWD, |base| base.as_raw_fd());
    // Beside a rename or mount elsewhere the kernel may ask for another try.
    for _ in 0..16 {
        let args = [int(base), path.as_ptr() as usize, &raw const how as usize, size_of::<How>(), 0, 0];
        // SAFETY: path and `how` outlive the call.
        match unsafe { raw::open(OPENAT2_CALL, args) } {
            Ok(fd) => return Ok(fd),
            Err(Errno::AGAIN) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::AGAIN)
}

thread_local! {
    static OPENAT2: Cell<Option<bool>> = const { Cell::new(None) };
}

/// Whether the call can be used here. What an engine's filter doesn't know it answers with `EPERM`, which as an
/// answer to a real question would mean something else.
fn has_openat2() -> bool {
    OPENAT2.with(|known| {
        known.get().unwrap_or_else(|| {
            let how = How { flags: open::PATH_ONLY | open::CLOSE_ON_EXEC, mode: 0, resolve: 0 };
            let args =
                [int(AT_FDCWD), c"/".as_ptr() as usize, &raw const how as usize, size_of::<How>(), 0, 0];
            // SAFETY: path and `how` outlive the call.
            let has = !matches!(unsafe { raw::open(OPENAT2_CALL, args) }, Err(Errno::NOSYS | Errno::PERM));
            known.set(Some(has));
            has
        })
    })
}

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Symlink,
    Other,
}

/// A path described.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Status {
    pub(crate) kind: Kind,
    pub(crate) size: u64,
    /// Permission bits.
    pub(crate) mode: u32,
    /// Milliseconds since 1970.
    pub(crate) modified_ms: u64,
    /// The mount it is on: number, where the kernel tells, and device.
    pub(crate) mount: (u64, [u32; 2]),
}

/// Describes `name` in a directory, a link itself and not what it points to.
pub(crate) fn status_at(fd: BorrowedFd<'_>, name: &CStr) -> Result<Status> {
    describe(fd, name, AT_SYMLINK_NOFOLLOW)
}

/// Describes what is open.
pub(crate) fn status(fd: BorrowedFd<'_>) -> Result<Status> {
    describe(fd, c"", AT_EMPTY_PATH)
}

fn ask(fd: BorrowedFd<'_>, name: &CStr, flags: c_int) -> Result<Statx> {
    let mut out = Statx::default();
    // SAFETY: `name` and `out` outlive the call; `out` is as large as the kernel's structure.
    check(unsafe { statx(fd.as_raw_fd(), name.as_ptr(), flags, STATX_WANTED, &raw mut out) })?;
    Ok(out)
}

fn describe(fd: BorrowedFd<'_>, name: &CStr, flags: c_int) -> Result<Status> {
    let out = ask(fd, name, flags)?;
    let seconds = u64::try_from(out.modified.seconds).unwrap_or(0);
    Ok(Status {
        kind: match out.mode & 0o170_000 {
            0o100_000 => Kind::File,
            0o040_000 => Kind::Directory,
            0o120_000 => Kind::Symlink,
            _ => Kind::Other,
        },
        size: out.size,
        mode: u32::from(out.mode) & 0o7777,
        modified_ms: seconds.saturating_mul(1000) + u64::from(out.modified.nanoseconds) / 1_000_000,
        mount: (out.mount, [out.device[2], out.device[3]]),
    })
}

/// The magic number of the file system behind a descriptor.
pub(crate) fn file_system(fd: BorrowedFd<'_>) -> Result<u64> {
    Ok(ask_file_system(fd)?.magic.cast_unsigned())
}

fn ask_file_system(fd: BorrowedFd<'_>) -> Result<FileSystem> {
    let mut out = FileSystem { magic: 0, _block_size: 0, usage: [0; 5], rest: [0; 25] };
    // SAFETY: `out` is larger than the kernel's structure.
    check(unsafe { fstatfs(fd.as_raw_fd(), &raw mut out) })?;
    Ok(out)
}

/// All that can be told of a file system from its root, short of reading it: the root's own description with its
/// flags and times, the names of what is attached to it, and how much is in use. The time of the last look at it is
/// among that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Imprint {
    root: Statx,
    usage: [c_long; 5],
    attached: Vec<u8>,
}

/// That of the file system whose root is open, for reading.
pub(crate) fn imprint(root: BorrowedFd<'_>) -> Result<Imprint> {
    Ok(Imprint {
        root: ask(root, c"", AT_EMPTY_PATH)?,
        usage: ask_file_system(root)?.usage,
        attached: attached_names(root)?,
    })
}

/// Makes a directory.
pub(crate) fn make_directory(fd: BorrowedFd<'_>, name: &CStr, mode: u32) -> Result<()> {
    // SAFETY: `name` ends with a zero.
    check(unsafe { mkdirat(fd.as_raw_fd(), name.as_ptr(), mode) }).map(drop)
}

/// Removes a name that is not a directory's.
pub(crate) fn unlink(fd: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    // SAFETY: `name` ends with a zero.
    check(unsafe { unlinkat(fd.as_raw_fd(), name.as_ptr(), 0) }).map(drop)
}

/// Removes an empty directory.
pub(crate) fn remove_directory(fd: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    // SAFETY: `name` ends with a zero.
    check(unsafe { unlinkat(fd.as_raw_fd(), name.as_ptr(), AT_REMOVEDIR) }).map(drop)
}

/// Gives a name another place, over what is there.
pub(crate) fn rename(from: BorrowedFd<'_>, old: &CStr, to: BorrowedFd<'_>, new: &CStr) -> Result<()> {
    // SAFETY: both names end with a zero.
    check(unsafe { renameat(from.as_raw_fd(), old.as_ptr(), to.as_raw_fd(), new.as_ptr()) }).map(drop)
}

/// Makes a symbolic link.
pub(crate) fn symlink(target: &CStr, fd: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    // SAFETY: both end with a zero.
    check(unsafe { symlinkat(target.as_ptr(), fd.as_raw_fd(), name.as_ptr()) }).map(drop)
}

/// Where a symbolic link points; with an empty name, the link that is open.
pub(crate) fn read_link(fd: BorrowedFd<'_>, name: &CStr) -> Result<Vec<u8>> {
    let mut target = vec![0; 4096];
    // SAFETY: `target` has room for as much as is asked for.
    let length =
        check_size(unsafe { readlinkat(fd.as_raw_fd(), name.as_ptr(), target.as_mut_ptr(), target.len()) })?;
    target.truncate(length);
    Ok(target)
}

/// Removes what a user can attach to a file: attributes of his own, and access lists. Those of somebody else's
/// file, which he can't have attached, stay.
pub(crate) fn remove_attributes(fd: BorrowedFd<'_>) -> Result<()> {
    let names = attached_names(fd)?;
    for name in names.split_inclusive(|byte| *byte == 0) {
        let own = name.starts_with(b"user.") || name.starts_with(b"system.posix_acl_");
        let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
        if own {
            // SAFETY: `name` ends with a zero.
            match check(unsafe { fremovexattr(fd.as_raw_fd(), name.as_ptr()) }) {
                Ok(_) | Err(Errno::PERM) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
    Ok(())
}

/// The names of all attributes, each with a zero behind it; none where there can be none.
fn attached_names(fd: BorrowedFd<'_>) -> Result<Vec<u8>> {
    const MOST: usize = 64 << 10;
    let mut names = vec![0; MOST];
    // SAFETY: `names` has room for as much as is asked for.
    match check_size(unsafe { flistxattr(fd.as_raw_fd(), names.as_mut_ptr(), names.len()) }) {
        Ok(length) => names.truncate(length),
        Err(Errno::NOTSUP) => names.clear(),
        Err(errno) => return Err(errno),
    }
    Ok(names)
}

/// Sets the permission bits of what is open.
pub(crate) fn set_mode(fd: BorrowedFd<'_>, mode: u32) -> Result<()> {
    // SAFETY: takes plain numbers.
    check(unsafe { fchmod(fd.as_raw_fd(), mode) }).map(drop)
}

/// Sets the permission bits of a name, following a link.
pub(crate) fn set_mode_at(fd: BorrowedFd<'_>, name: &CStr, mode: u32) -> Result<()> {
    // SAFETY: `name` ends with a zero.
    check(unsafe { fchmodat(fd.as_raw_fd(), name.as_ptr(), mode, 0) }).map(drop)
}
