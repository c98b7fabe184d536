use super::assembler::*;
use super::*;
use crate::sys::raw::halves;

const GATE: u64 = 0x0123_4567_89ab_cdef;

fn policy(pids: Pids, internet: Internet) -> Vec<Instruction> {
    Policy { gate: GATE, pids, internet }.compile()
}

/// What the kernel would do with a call, by the program's own words.
fn verdict(program: &[Instruction], architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
    let load = |offset: u32| match offset {
        NUMBER => number,
        ARCHITECTURE => architecture,
        _ => {
            let at = (offset - ARGUMENTS) as usize;
            halves(arguments[at / 8])[at % 8 / 4]
        }
    };
    let (mut at, mut loaded) = (0, 0);
    loop {
        let Instruction { code, jump_true, jump_false, value } = program[at];
        let holds = match code {
            LOAD => {
                loaded = load(value);
                at += 1;
                continue;
            }
            RETURN => return value,
            JUMP_EQUAL => loaded == value,
            JUMP_AT_LEAST => loaded >= value,
            JUMP_ANY_BIT => loaded & value != 0,
            _ => panic!("no such instruction"),
        };
        at += 1 + usize::from(if holds { jump_true } else { jump_false });
    }
}

fn own(number: u32, arguments: [u64; 6]) -> u32 {
    verdict(&policy(Pids::Own, Internet::Sockets), THIS_ARCHITECTURE, number, arguments)
}

fn host(number: u32, arguments: [u64; 6]) -> u32 {
    verdict(&policy(Pids::Host, Internet::Refused), THIS_ARCHITECTURE, number, arguments)
}

const REFUSED_EPERM: u32 = ERRNO | EPERM;

#[test]
fn what_is_not_named_passes() {
    for number in 0..600 {
        let named = [REFUSED, ABSENT, GATED, LASTING, SCHEDULING, nr::ARCHITECTURE_ONLY].concat();
        let others = [nr::IOCTL, nr::CLONE, nr::SOCKET, nr::SOCKETPAIR, nr::PERSONALITY, nr::PRLIMIT64];
        let aimed = AIMED.iter().map(|(number, _)| *number);
        if !named.contains(&number) && !others.contains(&number) && !aimed.clone().any(|aim| aim == number) {
            assert_eq!(own(number, [0; 6]), ALLOW, "{number}");
        }
    }
}

#[test]
fn calls_of_other_architectures_are_deadly() {
    let program = policy(Pids::Own, Internet::Sockets);
    assert_eq!(verdict(&program, 0x4000_0003, 1, [0; 6]), KILL_PROCESS, "32 bit");
    assert_eq!(own(X32 | nr::MOUNT, [0; 6]), KILL_PROCESS, "x32");
}

#[test]
fn the_gate_lets_through_and_nothing_else_does() {
    for &number in GATED {
        assert_eq!(own(number, [0, 0, 0, 0, 0, GATE]), ALLOW);
        for wrong in [0, 1, GATE ^ 1, GATE ^ (1 << 63), u64::from(halves(GATE)[0]), GATE >> 32 << 32] {
            assert_eq!(own(number, [0, 0, 0, 0, 0, wrong]), REFUSED_EPERM);
        }
    }
    assert_eq!(own(nr::PIVOT_ROOT, [0, 0, 0, 0, 0, GATE]), REFUSED_EPERM);
}

#[test]
fn marks_are_read_and_never_changed() {
    let mark = u64::from(RLIMIT_RTTIME);
    assert_eq!(own(nr::PRLIMIT64, [0, mark, 0, 1, 0, 0]), ALLOW);
    assert_eq!(own(nr::PRLIMIT64, [0, mark, 1, 0, 0, 0]), REFUSED_EPERM);
    assert_eq!(own(nr::PRLIMIT64, [0, mark, 1 << 32, 0, 0, 0]), REFUSED_EPERM, "an address of zeros below");
    assert_eq!(own(nr::PRLIMIT64, [0, mark, 1, 0, 0, GATE]), ALLOW);
    assert_eq!(own(nr::PRLIMIT64, [0, 7, 1, 0, 0, 0]), ALLOW);
    assert_eq!(own(nr::SETRLIMIT, [mark, 1, 0, 0, 0, 0]), REFUSED_EPERM);
}

#[test]
fn only_ones_own_processes_can_be_aimed_at() {
    assert_eq!(own(nr::KILL, [1, 15, 0, 0, 0, 0]), REFUSED_EPERM);
    assert_eq!(own(nr::KILL, [7, 15, 0, 0, 0, 0]), ALLOW);
    assert_eq!(own(nr::KILL, [u64::MAX, 9, 0, 0, 0, 0]), ALLOW, "all of them: not pid 1");
    assert_eq!(own(nr::SETPRIORITY, [0, 7, 1, 0, 0, 0]), ALLOW);
    assert_eq!(host(nr::SETPRIORITY, [0, 7, 1, 0, 0, 0]), REFUSED_EPERM);
    assert_eq!(host(nr::SETPRIORITY, [0, 0, 1, 0, 0, 0]), ALLOW);
    assert_eq!(host(nr::SETPRIORITY, [u64::from(PRIO_USER), 0, 1, 0, 0, 0]), REFUSED_EPERM);
}

#[test]
fn families_of_sockets() {
    let family = |verdict: fn(u32, [u64; 6]) -> u32, family: u32| {
        verdict(nr::SOCKET, [u64::from(family), 1, 0, 0, 0, 0])
    };
    for known in [AF_UNIX, AF_INET, AF_INET6, AF_NETLINK] {
        assert_eq!(family(own, known), ALLOW);
    }
    assert_eq!(family(own, 40), ERRNO | EAFNOSUPPORT, "vsock");
    assert_eq!(family(host, AF_UNIX), ALLOW);
    assert_eq!(family(host, AF_INET), ERRNO | EAFNOSUPPORT);
}

#[test]
fn clone_makes_threads_and_no_namespaces() {
    assert_eq!(own(nr::CLONE, [0x003d_0f00, 0, 0, 0, 0, 0]), ALLOW);
    for flag in [0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000] {
        assert_eq!(own(nr::CLONE, [flag + 17, 0, 0, 0, 0, 0]), REFUSED_EPERM);
    }
}
