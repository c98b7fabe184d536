//! What the guest does where an engine's filter knows none of the newer calls.

use std::ffi::CString;
use std::fs;
use std::os::fd::{AsFd, AsRawFd};

use super::file::{self, open, resolve};
use super::number::{OPENAT2, PIDFD_OPEN};
use super::process::Held;
use super::seccomp::{Instruction, install};
use super::{Errno, descriptor, process};

/// The same on every architecture; the guest itself calls it by name.
const CLOSE_RANGE: u32 = 436;

const LOAD_NUMBER: Instruction = Instruction { code: 0x20, jump_true: 0, jump_false: 0, value: 0 };

/// Answers the newer calls with `errno`, on the calling thread only.
fn filter(errno: Errno) {
    let end = |value| Instruction { code: 0x06, jump_true: 0, jump_false: 0, value };
    let mut program = vec![LOAD_NUMBER];
    for number in [OPENAT2, CLOSE_RANGE, PIDFD_OPEN] {
        program.push(Instruction { code: 0x15, jump_true: 0, jump_false: 1, value: number });
        program.push(end(0x0005_0000 | errno.0.cast_unsigned()));
    }
    program.push(end(0x7fff_0000));
    process::no_new_privileges().expect("a filter needs it");
    install(&program).expect("a filter");
}

fn without_newer_calls(errno: Errno, test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(move || {
        filter(errno);
        test();
    });
    thread.join().expect("the test passes");
}

#[test]
fn paths_lead_where_they_may_and_no_further() {
    for errno in [Errno::PERM, Errno::NOSYS] {
        without_newer_calls(errno, || {
            let root = file::open_at(None, c"/", open::PATH_ONLY | open::DIRECTORY, 0, 0).expect("the root");
            let open = |path: &str, reach| {
                let path = CString::new(path).expect("no zero");
                file::open_at(Some(root.as_fd()), &path, open::READ, 0, reach).map(drop)
            };
            let anywhere = resolve::IN_ROOT | resolve::NO_MAGIC_LINKS;
            assert_eq!(open("etc/../../etc/passwd", anywhere), Ok(()));
            assert_eq!(open("/proc/self/fd/0", anywhere), Err(Errno::LOOP));
            assert_eq!(open("etc/../../etc/passwd", resolve::BENEATH), Err(Errno::XDEV));
            assert_eq!(open("/etc/passwd", resolve::BENEATH), Err(Errno::XDEV));
            assert_eq!(open("nowhere", anywhere), Err(Errno::NOENT));
        });
    }
}

#[test]
fn processes_are_reached_by_number() {
    for errno in [Errno::PERM, Errno::NOSYS] {
        without_newer_calls(errno, || {
            let held = Held::open(std::process::id().cast_signed()).expect("this process");
            assert!(matches!(held, Held::ByNumber(_)));
            assert_eq!(held.signal(0), Ok(()));
        });
    }
}

#[test]
fn descriptors_are_closed_on_exec_one_by_one() {
    without_newer_calls(Errno::NOSYS, || {
        let null = fs::File::open("/dev/null").expect("there is one");
        let number = 200;
        descriptor::put_at(null.as_fd(), number).expect("a copy");
        let copy = descriptor::adopt(number).expect("it is there");
        let flags = || {
            let info =
                fs::read_to_string(format!("/proc/self/fdinfo/{}", copy.as_raw_fd())).expect("its state");
            let line = info.lines().find_map(|line| line.strip_prefix("flags:")).expect("flags");
            u32::from_str_radix(line.trim(), 8).expect("a number")
        };
        let on_exec = 0o2_000_000;
        assert_eq!(flags() & on_exec, 0);
        descriptor::close_on_exec_from(3).expect("a way");
        assert_eq!(flags() & on_exec, on_exec);
    });
}
