//! The sandbox's `/etc`: enough for a C library to find names, zones and certificates.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;

use super::remains::path;
use crate::protocol::Setup;

/// User and group of everything inside. As good as any that is not 0.
pub(super) const INSIDE: u32 = 1000;

/// The host's own files that hold no secrets and that programs miss.
pub(super) const SHOWN: [&str; 14] = [
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/ca-certificates.conf",
    "/etc/crypto-policies",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/pki",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl",
];

/// Writes the rest, relative to the working directory.
pub(super) fn write(setup: &Setup) -> io::Result<()> {
    let hostname = path(&setup.hostname).display();
    fs::create_dir_all("etc")?;
    fs::write(
        "etc/passwd",
        format!(
            "root:x:0:0:root:/:/bin/sh\nuser:x:{INSIDE}:{INSIDE}:user:/work:/bin/sh\n\
             nobody:x:65534:65534:nobody:/:/bin/false\n"
        ),
    )?;
    fs::write("etc/group", format!("root:x:0:\nuser:x:{INSIDE}:\nnogroup:x:65534:\n"))?;
    fs::write("etc/hosts", format!("127.0.0.1 localhost {hostname}\n::1 localhost\n"))?;
    fs::write("etc/hostname", [path(&setup.hostname).as_os_str().as_bytes(), b"\n"].concat())
}
