//! What the host does not have is found before anything starts, and looking leaves nothing behind.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use ostler::config::Config;

/// What is wrong with the file `o.toml` in `dir` with this content, without its name.
#[track_caller]
fn complaint(dir: &Path, text: &str) -> String {
    let path = dir.join("o.toml");
    fs::write(&path, text).expect("a file");
    let error = Config::load_with(&path, []).expect_err(text).to_string();
    error.strip_prefix(&path.display().to_string()).expect("the file's name").to_owned()
}

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

#[test]
fn templates() {
    let dir = dir();
    let at = dir.path();
    fs::write(at.join("file"), "").expect("a file");
    fs::create_dir_all(at.join("large/within")).expect("a directory");
    let large = fs::File::create(at.join("large/within/hole")).expect("a file");
    large.set_len((64 << 20) + 1).expect("a size");
    let cases = [
        ("missing", "cannot be read: No such file or directory (os error 2)"),
        ("file", "is not a directory"),
        ("large", "holds more than 64MiB"),
        ("", "must be a path, relative to the config file's directory, or \"none\""),
    ];
    for (template, expected) in cases {
        let text = format!("[pools.s]\ntemplate = \"{template}\"");
        assert_eq!(complaint(at, &text), format!(":2: pools.s.template = \"{template}\": {expected}"));
    }
}

#[test]
fn relative_paths_start_at_the_file() {
    let dir = dir();
    fs::create_dir(dir.path().join("template")).expect("a directory");
    let path = dir.path().join("o.toml");
    fs::write(&path, "state_dir = \"state\"\n[pools.s]\ntemplate = \"template\"").expect("a file");
    let config = Config::load_with(&path, []).expect("no mistake");
    assert_eq!(config.pools["s"].template.as_deref(), Some(dir.path().join("template").as_path()));
    assert_eq!(config.state_dir, dir.path().join("state"));
    assert!(!config.state_dir.exists(), "loading made a directory");
}

#[test]
fn programs() {
    let dir = dir();
    fs::create_dir(dir.path().join("template")).expect("a directory");
    let cases = [
        ("warm_up = [\"no-such-program\"]", "there is no program \"no-such-program\" inside the runtime"),
        ("warm_up = [\"/usr/no-such-program\"]", "there is no program \"/usr/no-such-program\""),
        ("warm_up = [\"/usr\"]", "there is no program \"/usr\""),
        (
            "warm_up = [\"/etc/hostname\"]",
            "\"/etc/hostname\" is not inside the runtime: no path of process.read_only holds it",
        ),
        ("warm_up = [\"./setup\"]", "there is no \"./setup\": without a template the workspace is empty"),
    ];
    for (line, expected) in cases {
        let expected = format!(":2: pools.s.warm_up: {expected}");
        assert_eq!(complaint(dir.path(), &format!("[pools.s]\n{line}")), expected);
    }
}

#[test]
fn programs_that_are_there() {
    let dir = dir();
    fs::create_dir(dir.path().join("template")).expect("a directory");
    fs::write(dir.path().join("template/setup"), "#!/bin/sh\n").expect("a file");
    let path = dir.path().join("o.toml");
    let load = |line: &str| {
        fs::write(&path, format!("[pools.s]\ntemplate = \"template\"\n{line}")).expect("a file");
        Config::load_with(&path, []).map_err(|error| error.to_string())
    };
    for line in ["warm_up = [\"sh\"]", "warm_up = [\"/bin/sh\"]"] {
        load(line).expect(line);
    }
    let setup = "warm_up = [\"./setup\"]";
    let error = load(setup).expect_err("not executable");
    assert!(error.contains("there is no program \"./setup\" in the template"), "{error}");
    fs::set_permissions(dir.path().join("template/setup"), fs::Permissions::from_mode(0o755))
        .expect("permissions");
    load(setup).expect("executable");
}

#[test]
fn a_program_of_another_backend_is_not_looked_for() {
    let text = "[pools.s]\nbackend = \"fake\"\nwarm_up = [\"no-such-program\"]";
    assert!(Config::parse(text, ostler::config::Format::Toml).is_ok());
}

#[test]
fn paths_to_show_inside() {
    let dir = dir();
    let relative = "[pools.s]\nprocess.read_only = [\"usr\"]";
    assert_eq!(
        complaint(dir.path(), relative),
        ":2: pools.s.process.read_only: must be a list of absolute paths"
    );
    let missing = "[pools.s]\nprocess.read_only = [\"/usr\", \"/nowhere\", \"/no\"]";
    let expected = ":2: pools.s.process.read_only: there is no \"/nowhere\", \"/no\"";
    assert_eq!(complaint(dir.path(), missing), expected);
}

/// What can't be put in a sandbox must not cost it its walls, as what a host lacks does.
#[test]
fn what_a_sandbox_has_of_its_own_is_not_shown_inside() {
    let dir = dir();
    let text =
        |path: &str, more: &str| format!("[pools.s]\nprocess.read_only = [\"/usr\", \"{path}\"]\n{more}");
    for path in ["/", "/dev", "/etc", "/etc/", "/proc", "/proc/sys", "/work", "/work/x", "/tmp/x", "/dev/shm"]
    {
        let expected =
            format!(":2: pools.s.process.read_only: \"{path}\" can't be shown, a sandbox has its own");
        assert_eq!(complaint(dir.path(), &text(path, "")), expected);
    }
    let upwards = ":2: pools.s.process.read_only: \"/usr/../etc\" leads upwards: the path itself is wanted";
    assert_eq!(complaint(dir.path(), &text("/usr/../etc", "")), upwards);
    for (path, more) in [("/etc/ssl", ""), ("/etc", "process.isolation = \"basic\"")] {
        assert!(Config::parse(&text(path, more), ostler::config::Format::Toml).is_ok(), "{path}");
    }
}

#[test]
fn state_directories() {
    let dir = dir();
    fs::write(dir.path().join("file"), "").expect("a file");
    let file = dir.path().join("file").display().to_string();
    let cases = [
        ("file", "is not a directory".to_owned()),
        ("file/below", format!("cannot be made: {file} is not a directory")),
    ];
    for (state_dir, expected) in cases {
        let text = format!("state_dir = \"{state_dir}\"\n[pools.s]");
        assert_eq!(complaint(dir.path(), &text), format!(":1: state_dir = \"{state_dir}\": {expected}"));
    }
}

/// Below `/tmp` anybody may be faster, and have what is to be ours.
#[test]
fn state_directories_that_others_could_change() {
    use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};
    let dir = dir();
    let path = |name: &str| dir.path().join(name);
    for (name, mode) in [("good", 0o755), ("open", 0o777), ("sticky", 0o1777)] {
        fs::create_dir(path(name)).expect("a directory");
        fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).expect("its mode");
    }
    symlink(path("good"), path("link")).expect("a link");
    let mut cases = vec![("open", "can be changed by everybody, and so could what is kept in it".to_owned())];
    if rustix::process::geteuid().is_root() {
        fs::create_dir(path("strange")).expect("a directory");
        symlink(path("good"), path("strange_link")).expect("a link");
        for (name, what) in [("strange", "belongs to"), ("strange_link", "is a link of")] {
            lchown(path(name), Some(54321), None).expect("another owner");
            let why = format!("{what} another user, 54321, who could change what is kept in it");
            cases.push((name, why));
        }
    }
    for (state_dir, expected) in cases {
        let text = format!("state_dir = \"{state_dir}\"\n[pools.s]");
        assert_eq!(complaint(dir.path(), &text), format!(":1: state_dir = \"{state_dir}\": {expected}"));
    }
    for state_dir in ["good", "link", "sticky", "not_there"] {
        let file = path("good.toml");
        fs::write(&file, format!("state_dir = \"{state_dir}\"\n[pools.s]")).expect("a file");
        assert!(Config::load(&file).is_ok(), "{state_dir}");
    }
}

#[test]
fn state_directories_that_may_not_be_written_to() {
    let dir = dir();
    let locked = dir.path().join("locked");
    fs::create_dir(&locked).expect("a directory");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o555)).expect("permissions");
    if fs::write(locked.join("probe"), "").is_ok() {
        return; // root writes everywhere
    }
    let denied = "Permission denied (os error 13)";
    let cases = [
        ("locked", format!("cannot be written to: {denied}")),
        ("locked/below", format!("cannot be made in {}: {denied}", locked.display())),
    ];
    for (state_dir, expected) in cases {
        let text = format!("state_dir = \"{state_dir}\"\n[pools.s]");
        assert_eq!(complaint(dir.path(), &text), format!(":1: state_dir = \"{state_dir}\": {expected}"));
    }
}
