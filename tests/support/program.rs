//! The guest program where a test can execute it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// Puts it there. Another process writes it: what this one has open for writing, so has a child that another thread is
/// just forking, and nobody can execute it meanwhile.
pub(crate) fn install(path: &Path) {
    let bytes = path.with_extension("bytes");
    fs::write(&bytes, ostler::guest::program()).expect("written");
    let copied = Command::new("cp").arg(&bytes).arg(path).status().expect("cp");
    assert!(copied.success(), "cp: {copied}");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("made executable");
    fs::remove_file(bytes).expect("removed");
}
