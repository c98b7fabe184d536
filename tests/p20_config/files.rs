//! What can be wrong with the file itself.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ostler::config::Config;
use tempfile::TempDir;

fn file(name: &str, content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join(name);
    fs::write(&path, content).expect("a file");
    (dir, path)
}

#[track_caller]
fn check(path: &Path, expected: &str) {
    let error = Config::load_with(path, []).expect_err("a mistake");
    assert_eq!(error.to_string(), format!("{}{expected}", path.display()));
}

#[test]
fn a_file_that_is_not_there() {
    check(Path::new("/nowhere/o.toml"), ": cannot be read: No such file or directory (os error 2)");
}

#[test]
fn a_file_that_is_a_directory() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    check(dir.path(), ": cannot be read: Is a directory (os error 21)");
}

#[test]
fn a_file_that_may_not_be_read() {
    let (_dir, path) = file("o.toml", "");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("permissions");
    if fs::File::open(&path).is_ok() {
        return; // root reads everything
    }
    check(&path, ": cannot be read: Permission denied (os error 13)");
}

#[test]
fn a_file_of_an_unknown_kind() {
    for name in ["o.ini", "o"] {
        let (_dir, path) = file(name, "");
        check(&path, ": the extension must be one of .toml, .yaml, .yml, .json");
    }
}

#[test]
fn a_file_that_is_not_text() {
    let (_dir, path) = file("o.toml", b"a = \"\xff\"");
    check(&path, ": is not UTF-8 from byte 5 on");
}

#[test]
fn a_file_that_is_too_large() {
    let (_dir, path) = file("o.toml", " ".repeat((1 << 20) + 1));
    check(&path, ": is larger than 1MiB");
}

#[test]
fn a_syntax_error_has_line_and_column() {
    let (_dir, path) = file("o.toml", "[pools.s]\nmax = 8\nmax = 9\n");
    check(&path, ":3:1: duplicate key");
}

#[test]
fn a_byte_order_mark_is_no_mistake() {
    let (_dir, path) = file("o.toml", "\u{feff}[pools.s]\nmax = 8\n");
    assert_eq!(Config::load_with(&path, []).expect("no mistake").pools["s"].max, 8);
}
