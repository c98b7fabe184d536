//! The keeper's child is in its cgroups from its first moment, in either version of them.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ostler::protocol::{
    CgroupPlan, FrameBuffer, HEADER, Isolation, Network, Setup, SetupReport, payload_length,
};

use crate::program;

/// Where hierarchies of this kind are mounted that this user may add to.
fn hierarchies(kind: &str) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    let of_kind = mounts.lines().filter(|line| line.contains(&format!(" - {kind} ")));
    of_kind
        .map(|line| PathBuf::from(line.split(' ').nth(4).expect("where it is mounted")))
        .filter(|place| fs::create_dir(own(place)).and_then(|()| fs::remove_dir(own(place))).is_ok())
        .collect()
}

fn own(hierarchy: &Path) -> PathBuf {
    hierarchy.join(format!("ostler-test-{}", std::process::id()))
}

fn setup(cgroups: &[PathBuf]) -> Setup {
    let directories = cgroups.iter().map(|path| path.as_os_str().as_encoded_bytes().to_vec()).collect();
    Setup {
        isolation: Isolation::Auto,
        network: Network::None,
        hostname: b"cgroups".to_vec(),
        uid: 65534,
        gid: 65534,
        mounts: Vec::new(),
        workspace_size: 1 << 20,
        tmp_size: 1 << 20,
        basic_workspace: Vec::new(),
        parents: Vec::new(),
        missing: Vec::new(),
        cgroups: Some(CgroupPlan { directories }),
        file_size: None,
        open_files: None,
        pids: None,
        memory: None,
    }
}

/// Version 1 hierarchies without rules of their own for who is in them, and version 2.
#[test]
fn the_guest_is_born_into_its_cgroups_or_goes_there_itself() {
    let simple = ["memory", "pids", "freezer"];
    let ones =
        hierarchies("cgroup").into_iter().filter(|place| simple.iter().any(|name| place.ends_with(name)));
    let cgroups: Vec<_> = ones.chain(hierarchies("cgroup2")).map(|place| own(&place)).collect();
    if cgroups.is_empty() {
        let line = b"\nSKIPPED: the guest's cgroups: this user has none to add to\n";
        std::io::stderr().write_all(line).expect("said");
        return;
    }
    for cgroup in &cgroups {
        fs::create_dir(cgroup).expect("a cgroup");
    }
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("ostler-guest");
    program::install(&path);
    let (mut control, theirs) = UnixStream::pair().expect("a pair");
    let (_data, data) = UnixStream::pair().expect("a pair");
    let mut keeper = Command::new(&path)
        .args(["keeper", "--parent", &std::process::id().to_string()])
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::from(OwnedFd::from(data)))
        .spawn()
        .expect("a keeper");
    let mut frame = Vec::new();
    setup(&cgroups).encode(&mut frame).expect("encoded");
    control.write_all(&frame).expect("sent");

    let report = report(&mut control);
    assert_eq!(report.failure, None);
    let missing: Vec<_> = report.missing.iter().filter(|missing| missing.part.contains("cgroup")).collect();
    assert!(missing.is_empty(), "{missing:?}");
    for cgroup in &cgroups {
        let members = fs::read_to_string(cgroup.join("cgroup.procs")).expect("members");
        assert_eq!(members.trim(), report.pid.to_string(), "{}", cgroup.display());
    }
    drop(control);
    keeper.wait().expect("it ends with its host");
    let left: Vec<_> = cgroups.iter().filter(|cgroup| cgroup.exists()).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

fn report(control: &mut UnixStream) -> SetupReport {
    let mut header = [0; HEADER];
    control.read_exact(&mut header).expect("a report");
    let mut payload = vec![0; payload_length(&header).expect("a length")];
    control.read_exact(&mut payload).expect("a report");
    let mut frames = FrameBuffer::new();
    frames.extend(&header);
    frames.extend(&payload);
    SetupReport::decode(&frames.cut().expect("whole").expect("a frame")).expect("a report")
}
