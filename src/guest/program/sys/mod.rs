//! The kernel, as far as the guest needs it: the only place with `unsafe`.
//!
//! Each file declares the C library's functions it calls, checks what they answer, and hands out owned
//! descriptors and plain values, so that nothing above has to know what a pointer is.

#![expect(unsafe_code, reason = "system calls are declared and made here and nowhere else")]

#[cfg(test)]
mod absent;
pub(crate) mod capability;
pub(crate) mod descriptor;
pub(crate) mod directory;
mod errno;
pub(crate) mod file;
pub(crate) mod ipc;
pub(crate) mod landlock;
pub(crate) mod limit;
pub(crate) mod mount;
pub(crate) mod namespace;
pub(crate) mod number;
pub(crate) mod poll;
pub(crate) mod process;
pub(crate) mod raw;
pub(crate) mod seccomp;
pub(crate) mod signal;
pub(crate) mod spawn;
mod walk;

pub(crate) use errno::{Errno, Result};
