use std::fmt;
use std::io;

/// A system error number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) i32);

/// What a system call answers.
pub(crate) type Result<T> = std::result::Result<T, Errno>;

impl Errno {
    pub(crate) const PERM: Self = Self(1);
    pub(crate) const NOENT: Self = Self(2);
    pub(crate) const SRCH: Self = Self(3);
    pub(crate) const INTR: Self = Self(4);
    pub(crate) const TOOBIG: Self = Self(7);
    pub(crate) const NOEXEC: Self = Self(8);
    pub(crate) const CHILD: Self = Self(10);
    pub(crate) const AGAIN: Self = Self(11);
    pub(crate) const NOMEM: Self = Self(12);
    pub(crate) const ACCES: Self = Self(13);
    pub(crate) const BUSY: Self = Self(16);
    pub(crate) const EXIST: Self = Self(17);
    pub(crate) const XDEV: Self = Self(18);
    pub(crate) const NOTDIR: Self = Self(20);
    pub(crate) const ISDIR: Self = Self(21);
    pub(crate) const INVAL: Self = Self(22);
    pub(crate) const NFILE: Self = Self(23);
    pub(crate) const MFILE: Self = Self(24);
    pub(crate) const FBIG: Self = Self(27);
    pub(crate) const NOSPC: Self = Self(28);
    pub(crate) const ROFS: Self = Self(30);
    pub(crate) const NOSYS: Self = Self(38);
    pub(crate) const NAMETOOLONG: Self = Self(36);
    pub(crate) const NOTEMPTY: Self = Self(39);
    pub(crate) const LOOP: Self = Self(40);
    pub(crate) const NOTSUP: Self = Self(95);
    pub(crate) const DQUOT: Self = Self(122);

    /// The calling thread's last one.
    pub(super) fn last() -> Self {
        Self(io::Error::last_os_error().raw_os_error().unwrap_or(0))
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&io::Error::from_raw_os_error(self.0), f)
    }
}

/// A call's answer where -1 means failure.
pub(super) fn check(answer: i32) -> Result<i32> {
    if answer == -1 { Err(Errno::last()) } else { Ok(answer) }
}

/// A call's answer that counts bytes.
pub(super) fn check_size(answer: isize) -> Result<usize> {
    usize::try_from(answer).map_err(|_| Errno::last())
}
