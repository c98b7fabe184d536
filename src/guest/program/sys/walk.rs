//! Opening paths a name at a time, where there is no `openat2`: before Linux 5.6, and where an engine's filter
//! doesn't know it.
//!
//! Follows the links itself and remembers the directories it came through, so that no link and no rename beside
//! it leads further than it may. Knows what the guest asks for and no more.

use std::ffi::{CStr, CString, c_char, c_int};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::errno::{Errno, Result, check};
use super::file::{self, Kind, open, resolve};

/// Links in one path, as in the kernel.
const LINKS: usize = 40;

/// The file system whose links may be doors to anywhere.
const PROC: u64 = 0x9fa0;

const AT_FDCWD: RawFd = -100;

unsafe extern "C" {
    fn openat(fd: RawFd, path: *const c_char, flags: c_int, ...) -> RawFd;
}

/// As the system's own `openat`, closed on exec.
pub(super) fn plain(base: Option<BorrowedFd<'_>>, path: &CStr, flags: u64, mode: u32) -> Result<OwnedFd> {
    let flags = c_int::try_from(flags | open::CLOSE_ON_EXEC).map_err(|_| Errno::INVAL)?;
    let base = base.map_or(AT_FDCWD, |base| base.as_raw_fd());
    // SAFETY: the path ends with a zero and outlives the call; the fourth argument is the mode.
    let fd = check(unsafe { openat(base, path.as_ptr(), flags, mode) })?;
    // SAFETY: it was just made.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// As [`file::open_at`].
pub(super) fn open(
    base: Option<BorrowedFd<'_>>,
    path: &CStr,
    flags: u64,
    mode: u32,
    reach: u64,
) -> Result<OwnedFd> {
    if reach == 0 {
        return plain(base, path, flags, mode);
    }
    let path = path.to_bytes();
    let start = match (base, path.first()) {
        (_, None) => return Err(Errno::NOENT),
        (_, Some(b'/')) if reach & resolve::BENEATH != 0 => return Err(Errno::XDEV),
        (Some(base), first) if reach & resolve::IN_ROOT != 0 || first != Some(&b'/') => {
            plain(Some(base), c".", open::PATH_ONLY | open::DIRECTORY, 0)?
        }
        (_, Some(b'/')) => root()?,
        (_, Some(_)) => plain(None, c".", open::PATH_ONLY | open::DIRECTORY, 0)?,
    };
    let mut walk = Walk { start, through: Vec::new(), ahead: Vec::new(), links: 0, reach };
    walk.look_ahead(path);
    walk.run(flags, mode)
}

fn root() -> Result<OwnedFd> {
    plain(None, c"/", open::PATH_ONLY | open::DIRECTORY, 0)
}

struct Walk {
    start: OwnedFd,
    /// Directories from there to here.
    through: Vec<OwnedFd>,
    /// Names still to go, the next one last.
    ahead: Vec<CString>,
    links: usize,
    reach: u64,
}

impl Walk {
    fn here(&self) -> BorrowedFd<'_> {
        self.through.last().unwrap_or(&self.start).as_fd()
    }

    fn forbids(&self, what: u64) -> bool {
        self.reach & what != 0
    }

    /// Goes along `path` before all else. A slash at its end asks for a directory.
    fn look_ahead(&mut self, path: &[u8]) {
        if path.ends_with(b"/") {
            self.ahead.push(c".".to_owned());
        }
        let names = path.rsplit(|byte| *byte == b'/').filter(|name| !name.is_empty());
        self.ahead.extend(names.filter_map(|name| CString::new(name).ok()));
    }

    fn run(&mut self, flags: u64, mode: u32) -> Result<OwnedFd> {
        while let Some(name) = self.ahead.pop() {
            let last = self.ahead.is_empty();
            match name.as_bytes() {
                b"." => {}
                b".." => self.up()?,
                _ if last && flags & open::CREATE_NEW == open::CREATE_NEW => {
                    return plain(Some(self.here()), &name, flags | open::NO_FOLLOW, mode);
                }
                _ => {
                    if let Some(opened) = self.step(&name, last, flags)? {
                        return Ok(opened);
                    }
                }
            }
        }
        plain(Some(self.here()), c".", flags & !open::NO_FOLLOW, mode)
    }

    fn up(&mut self) -> Result<()> {
        if self.through.pop().is_none() {
            if self.forbids(resolve::BENEATH) {
                return Err(Errno::XDEV);
            }
            if !self.forbids(resolve::IN_ROOT) {
                self.start = plain(Some(self.start.as_fd()), c"..", open::PATH_ONLY | open::DIRECTORY, 0)?;
            }
        }
        Ok(())
    }

    /// Goes on to `name`, or answers what it opened when that was the last one.
    fn step(&mut self, name: &CStr, last: bool, flags: u64) -> Result<Option<OwnedFd>> {
        let found = plain(Some(self.here()), name, open::PATH_ONLY | open::NO_FOLLOW, 0)?;
        let status = file::status(found.as_fd())?;
        if status.kind == Kind::Symlink && !(last && flags & open::NO_FOLLOW != 0) {
            return self.follow(found.as_fd()).map(|()| None);
        }
        self.check_mount(status)?;
        if !last {
            if status.kind != Kind::Directory {
                return Err(Errno::NOTDIR);
            }
            self.through.push(found);
            return Ok(None);
        }
        if flags & open::DIRECTORY != 0 && status.kind != Kind::Directory {
            return Err(Errno::NOTDIR);
        }
        if flags & open::PATH_ONLY != 0 {
            return Ok(Some(found));
        }
        // Should it have become a link meanwhile, that is refused.
        let opened = plain(Some(self.here()), name, flags | open::NO_FOLLOW, 0)?;
        self.check_mount(file::status(opened.as_fd())?)?;
        Ok(Some(opened))
    }

    fn follow(&mut self, link: BorrowedFd<'_>) -> Result<()> {
        let magic = self.forbids(resolve::NO_MAGIC_LINKS | resolve::BENEATH | resolve::IN_ROOT);
        self.links += 1;
        if self.forbids(resolve::NO_LINKS)
            || self.links > LINKS
            || (magic && file::file_system(link)? == PROC)
        {
            return Err(Errno::LOOP);
        }
        let target = file::read_link(link, c"")?;
        match target.first() {
            None => return Err(Errno::NOENT),
            Some(b'/') if self.forbids(resolve::BENEATH) => return Err(Errno::XDEV),
            Some(b'/') => {
                self.through.clear();
                if !self.forbids(resolve::IN_ROOT) {
                    self.start = root()?;
                }
            }
            Some(_) => {}
        }
        self.look_ahead(&target);
        Ok(())
    }

    /// Whether what was found lies on the same mount as where it was found.
    fn check_mount(&self, found: file::Status) -> Result<()> {
        if self.forbids(resolve::NO_MOUNTS) && found.mount != file::status(self.here())?.mount {
            return Err(Errno::XDEV);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    /// A tree with all that makes resolving hard, and a way out of it.
    fn tree() -> std::path::PathBuf {
        let number = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
        let root = std::env::temp_dir().join(format!("walk-{}-{}", std::process::id(), number.as_nanos()));
        fs::create_dir_all(root.join("a/b/c")).expect("a directory");
        fs::write(root.join("a/b/file"), "x").expect("a file");
        fs::write(root.join("top"), "y").expect("a file");
        for (target, link) in [
            ("b", "a/to-b"),
            ("../top", "a/up"),
            ("../../../../../../etc", "a/out"),
            ("/a/b/file", "a/absolute"),
            ("/", "a/root"),
            ("self", "a/self"),
            ("b/file", "a/to-file"),
            ("b/", "a/slash"),
            ("nowhere", "a/dangling"),
            ("b/../../a/to-b/c", "a/winding"),
            ("/proc/self/fd/0", "a/magic"),
            ("/proc/self", "a/proc"),
        ] {
            symlink(target, root.join(link)).expect("a link");
        }
        root
    }

    fn identity(opened: &Result<OwnedFd>) -> std::result::Result<(u64, u64), Errno> {
        use std::os::unix::fs::MetadataExt;
        match opened {
            Ok(fd) => {
                let metadata =
                    fs::File::from(fd.try_clone().expect("a copy")).metadata().expect("what it is");
                Ok((metadata.dev(), metadata.ino()))
            }
            Err(errno) => Err(*errno),
        }
    }

    fn string(path: &Path) -> CString {
        CString::new(path.as_os_str().as_bytes()).expect("no zero")
    }

    #[test]
    fn it_leads_where_the_kernel_would() {
        let root = tree();
        let base = plain(None, &string(&root), open::PATH_ONLY | open::DIRECTORY, 0).expect("the tree");
        let names = [
            "a",
            "a/b/file",
            "a/to-b",
            "a/to-b/file",
            "a/up",
            "a/out",
            "a/out/passwd",
            "a/absolute",
            "a/root",
            "a/root/top",
            "a/self",
            "a/to-file",
            "a/to-file/",
            "a/slash",
            "a/dangling",
            "a/winding",
            "a/magic",
            "a/proc",
            "..",
            "a/..",
            "a/../..",
            "a/b/../../top",
            ".",
            "./a/.",
            "a//b///c",
            "top/",
            "top/x",
            "/",
            "/a/b",
            "/a/../../top",
            "nowhere",
            "nowhere/x",
            "a/b/",
            "a/to-b/",
            "a/to-b/..",
            "a/to-b/../up",
        ];
        let reaches = [
            resolve::IN_ROOT | resolve::NO_MAGIC_LINKS,
            resolve::BENEATH | resolve::NO_MAGIC_LINKS,
            resolve::BENEATH | resolve::NO_LINKS,
            resolve::BENEATH | resolve::NO_LINKS | resolve::NO_MOUNTS,
        ];
        let flags = [
            open::READ | open::NON_BLOCKING,
            open::READ | open::DIRECTORY | open::NO_FOLLOW,
            open::PATH_ONLY,
            open::PATH_ONLY | open::DIRECTORY,
            open::PATH_ONLY | open::NO_FOLLOW,
        ];
        let mut led = 0;
        for name in names {
            for reach in reaches {
                for flags in flags {
                    let name = CString::new(name).expect("no zero");
                    let kernel = file::open_at(Some(base.as_fd()), &name, flags, 0, reach);
                    let ours = super::open(Some(base.as_fd()), &name, flags, 0, reach);
                    assert_eq!(identity(&ours), identity(&kernel), "{name:?} {flags:o} {reach:x}");
                    led += u32::from(ours.is_ok());
                }
            }
        }
        assert!(led > 100, "only {led} led anywhere");
        let absolute = string(&root.join("a/b"));
        let kernel = file::open_at(None, &absolute, open::READ | open::DIRECTORY, 0, resolve::NO_LINKS);
        let ours = super::open(None, &absolute, open::READ | open::DIRECTORY, 0, resolve::NO_LINKS);
        assert_eq!(identity(&ours), identity(&kernel));
        fs::remove_dir_all(root).expect("clean up");
    }

    #[test]
    fn what_is_new_is_made_and_nothing_is_followed_to_make_it() {
        let root = tree();
        let base = plain(None, &string(&root), open::PATH_ONLY | open::DIRECTORY, 0).expect("the tree");
        let flags = open::WRITE | open::CREATE_NEW | open::NO_FOLLOW;
        let make =
            |name: &CStr| super::open(Some(base.as_fd()), name, flags, 0o600, resolve::BENEATH).map(drop);
        assert_eq!(make(c"new"), Ok(()));
        assert_eq!(make(c"new"), Err(Errno::EXIST));
        assert_eq!(make(c"a/dangling"), Err(Errno::EXIST));
        assert_eq!(make(c"../new"), Err(Errno::XDEV));
        fs::remove_dir_all(root).expect("clean up");
    }

    #[test]
    fn a_mount_is_not_crossed_where_none_may_be() {
        let cross =
            |reach| super::open(None, c"/proc/self", open::PATH_ONLY | open::NO_FOLLOW, 0, reach).map(drop);
        assert_eq!(cross(resolve::NO_MOUNTS), Err(Errno::XDEV));
        assert_eq!(cross(resolve::NO_MAGIC_LINKS), Ok(()));
    }
}
