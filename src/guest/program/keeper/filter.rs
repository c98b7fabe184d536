//! Which system calls are refused, to the guest's commands and mostly to the guest as well.
//!
//! A deny-list: what is not named passes. It takes away what reaches beyond the sandbox (mounts, namespaces,
//! keys, modules, clocks), what is a well-trodden way into the kernel (`bpf`, `io_uring`, `userfaultfd`), and
//! what one command could do to the guest or, without namespaces, to strangers.

use crate::sys::number as nr;
use crate::sys::raw::halves;
use crate::sys::seccomp::Instruction;

const EPERM: u32 = 1;
const EAFNOSUPPORT: u32 = 97;
const ENOSYS: u32 = 38;

/// Refused whatever the arguments.
const REFUSED: &[u32] = &[
    nr::ACCT,
    nr::ADD_KEY,
    nr::ADJTIMEX,
    nr::BPF,
    nr::CHROOT,
    nr::CLOCK_ADJTIME,
    nr::CLOCK_SETTIME,
    nr::DELETE_MODULE,
    nr::FANOTIFY_INIT,
    nr::FINIT_MODULE,
    nr::FSCONFIG,
    nr::FSMOUNT,
    nr::FSOPEN,
    nr::FSPICK,
    nr::INIT_MODULE,
    nr::KEXEC_FILE_LOAD,
    nr::KEXEC_LOAD,
    nr::KEYCTL,
    nr::LOOKUP_DCOOKIE,
    nr::MOUNT_SETATTR,
    nr::MOVE_MOUNT,
    nr::NFSSERVCTL,
    nr::OPEN_BY_HANDLE_AT,
    nr::OPEN_TREE,
    nr::OPEN_TREE_ATTR,
    nr::PERF_EVENT_OPEN,
    nr::PIDFD_GETFD,
    nr::PIVOT_ROOT,
    nr::PROCESS_MADVISE,
    nr::PROCESS_MRELEASE,
    nr::PROCESS_VM_READV,
    nr::PROCESS_VM_WRITEV,
    nr::PTRACE,
    nr::QUOTACTL,
    nr::QUOTACTL_FD,
    nr::REBOOT,
    nr::REQUEST_KEY,
    nr::SETDOMAINNAME,
    nr::SETHOSTNAME,
    nr::SETNS,
    nr::SETTIMEOFDAY,
    nr::SWAPOFF,
    nr::SWAPON,
    nr::SYSLOG,
    nr::USERFAULTFD,
    nr::VHANGUP,
];

/// Said not to exist, so that programs fall back to what does. `clone3` hides its flags behind a pointer,
/// where no filter can look.
const ABSENT: &[u32] = &[nr::CLONE3, nr::IO_URING_ENTER, nr::IO_URING_REGISTER, nr::IO_URING_SETUP];

/// Only with the gate.
const GATED: &[u32] = &[nr::MOUNT, nr::UMOUNT2, nr::UNSHARE];

/// Calls whose argument of this index is the process they are aimed at.
const AIMED: &[(u32, u8)] = &[
    (nr::KILL, 0),
    (nr::PIDFD_OPEN, 0),
    (nr::RT_SIGQUEUEINFO, 0),
    (nr::RT_TGSIGQUEUEINFO, 0),
    (nr::TGKILL, 0),
    (nr::TKILL, 0),
];
const SCHEDULING: &[u32] =
    &[nr::SCHED_SETAFFINITY, nr::SCHED_SETATTR, nr::SCHED_SETPARAM, nr::SCHED_SETSCHEDULER];

/// What outlives its makers in an ipc namespace; refused where that is the host's.
const LASTING: &[u32] = &[nr::MQ_OPEN, nr::MSGGET, nr::SEMGET, nr::SHMGET];

/// Every flag of `clone` that makes a namespace: cgroup, uts, ipc, user, pid, net, mount.
const NAMESPACE_FLAGS: u32 = 0x7e02_0000;
/// Marks the processes of one operation, so commands must not change it.
const RLIMIT_RTTIME: u32 = 15;
const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;
const PRIO_USER: u32 = 2;
const IOPRIO_WHO_USER: u32 = 3;
const PERSONALITY_QUERY: u32 = u32::MAX;
const AF_UNIX: u32 = 1;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
const AF_NETLINK: u32 = 16;

/// What the filter depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    /// Lets the guest through where commands are refused.
    pub(super) gate: u64,
    /// With namespaces the guest is pid 1 and everybody else in sight belongs to the lease; without, every
    /// other pid may be a stranger's, and shared memory stays.
    pub(super) pids: Pids,
    /// Whether internet sockets can be made at all.
    pub(super) internet: Internet,
}

/// See [`Policy::pids`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pids {
    /// Of this sandbox only.
    Own,
    /// Of the whole host.
    Host,
}

/// See [`Policy::internet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Internet {
    /// The network namespace decides where they lead.
    Sockets,
    /// There is no namespace to keep them in.
    Refused,
}

impl Policy {
    /// The filter as a program.
    pub(super) fn compile(self) -> Vec<Instruction> {
        let mut program = Assembler::new();
        // Those that many programs call come first.
        program.refuse(nr::IOCTL, EPERM, &[&[equal(1, TIOCSTI)], &[equal(1, TIOCLINUX)]]);
        program.refuse(nr::CLONE, EPERM, &[&[any_bit(0, NAMESPACE_FLAGS)]]);
        self.sockets(&mut program);
        self.limits(&mut program);
        self.processes(&mut program);
        program.refuse(nr::PERSONALITY, EPERM, &[&[differs(0, 0), differs(0, PERSONALITY_QUERY)]]);
        for &number in GATED {
            program.gated(number, self.gate, EPERM, &[&[]]);
        }
        let lasting = if self.pids == Pids::Host { LASTING } else { &[] };
        for &number in lasting {
            program.refuse(number, EPERM, &[&[]]);
        }
        for &number in ABSENT {
            program.refuse(number, ENOSYS, &[&[]]);
        }
        for &number in REFUSED.iter().chain(nr::ARCHITECTURE_ONLY) {
            program.refuse(number, EPERM, &[&[]]);
        }
        program.finish()
    }

    /// Families beyond these reach past the network namespace (`vsock` to the hypervisor) or deep into the
    /// kernel (`alg`, `packet`).
    fn sockets(self, program: &mut Assembler) {
        let only_local: &[Test] = &[differs(0, AF_UNIX)];
        let known: &[Test] =
            &[differs(0, AF_UNIX), differs(0, AF_INET), differs(0, AF_INET6), differs(0, AF_NETLINK)];
        let strange = if self.internet == Internet::Refused { only_local } else { known };
        program.refuse(nr::SOCKET, EAFNOSUPPORT, &[strange]);
        program.refuse(nr::SOCKETPAIR, EAFNOSUPPORT, &[strange]);
    }

    fn limits(self, program: &mut Assembler) {
        program.gated(nr::SETRLIMIT, self.gate, EPERM, &[&[equal(0, RLIMIT_RTTIME)]]);
        let not_null = [any_bit(2, u32::MAX), any_bit_high(2, u32::MAX)];
        program.gated(
            nr::PRLIMIT64,
            self.gate,
            EPERM,
            &[
                &[equal(1, RLIMIT_RTTIME), not_null[0]],
                &[equal(1, RLIMIT_RTTIME), not_null[1]],
                &[self.other(0)],
            ],
        );
    }

    fn processes(self, program: &mut Assembler) {
        for &number in SCHEDULING {
            program.refuse(number, EPERM, &[&[self.other(0)]]);
        }
        program.refuse(nr::SETPRIORITY, EPERM, &[&[equal(0, PRIO_USER)], &[self.other(1)]]);
        program.refuse(nr::IOPRIO_SET, EPERM, &[&[equal(0, IOPRIO_WHO_USER)], &[self.other(1)]]);
        // Without namespaces Landlock scopes signals; a filter cannot tell whose a pid is.
        if self.pids == Pids::Own {
            for &(number, argument) in AIMED {
                program.gated(number, self.gate, EPERM, &[&[self.other(argument)]]);
            }
        }
    }

    /// Whether a pid is one to keep away from.
    fn other(self, argument: u8) -> Test {
        match self.pids {
            Pids::Own => equal(argument, 1),
            Pids::Host => differs(argument, 0),
        }
    }
}

/// Looks at one half of one argument.
#[derive(Clone, Copy)]
struct Test {
    offset: u32,
    comparison: Comparison,
    value: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Differs,
    AnyBit,
}

/// Bytes in front of the arguments in the kernel's `seccomp_data`: number, architecture, instruction pointer.
const ARGUMENTS: u32 = 16;

const fn low(argument: u8) -> u32 {
    ARGUMENTS + 8 * argument as u32 + if cfg!(target_endian = "big") { 4 } else { 0 }
}

const fn high(argument: u8) -> u32 {
    low(argument) ^ 4
}

const fn equal(argument: u8, value: u32) -> Test {
    Test { offset: low(argument), comparison: Comparison::Equal, value }
}

const fn differs(argument: u8, value: u32) -> Test {
    Test { offset: low(argument), comparison: Comparison::Differs, value }
}

const fn any_bit(argument: u8, value: u32) -> Test {
    Test { offset: low(argument), comparison: Comparison::AnyBit, value }
}

const fn any_bit_high(argument: u8, value: u32) -> Test {
    Test { offset: high(argument), comparison: Comparison::AnyBit, value }
}

const LOAD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_ANY_BIT: u16 = 0x45;
const JUMP_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;
const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
const KILL_PROCESS: u32 = 0x8000_0000;
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

#[cfg(target_arch = "x86_64")]
const THIS_ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const THIS_ARCHITECTURE: u32 = 0xc000_00b7;
/// From here on x86-64 numbers are the x32 interface's, which no rule below would meet.
const X32: u32 = 0x4000_0000;

/// Writes the program, one block per system call. The number stays loaded from one block to the next,
/// because a block that is entered always returns.
struct Assembler(Vec<Instruction>);

impl Assembler {
    fn new() -> Self {
        let mut this = Self(Vec::new());
        this.push(LOAD, 0, 0, ARCHITECTURE);
        this.push(JUMP_EQUAL, 1, 0, THIS_ARCHITECTURE);
        this.push(RETURN, 0, 0, KILL_PROCESS);
        this.push(LOAD, 0, 0, NUMBER);
        this.push(JUMP_AT_LEAST, 0, 1, X32);
        this.push(RETURN, 0, 0, KILL_PROCESS);
        this
    }

    fn push(&mut self, code: u16, jump_true: u8, jump_false: u8, value: u32) {
        self.0.push(Instruction { code, jump_true, jump_false, value });
    }

    /// Refuses `number` when all tests of any of `cases` hold. An empty case always holds.
    fn refuse(&mut self, number: u32, errno: u32, cases: &[&[Test]]) {
        self.block(number, None, errno, cases);
    }

    /// As [`refuse`](Self::refuse), unless the sixth argument is `gate`.
    fn gated(&mut self, number: u32, gate: u64, errno: u32, cases: &[&[Test]]) {
        self.block(number, Some(gate), errno, cases);
    }

    fn block(&mut self, number: u32, gate: Option<u64>, errno: u32, cases: &[&[Test]]) {
        let mut block = Self(Vec::new());
        if let Some(gate) = gate {
            let [lower, upper] = halves(gate);
            let halves = [equal(5, lower), Test { offset: high(5), ..equal(5, upper) }];
            block.case(&halves, ALLOW);
        }
        for case in cases {
            block.case(case, ERRNO | errno);
        }
        if !cases.iter().any(|case| case.is_empty()) {
            block.push(RETURN, 0, 0, ALLOW);
        }
        // No block comes near 255 instructions; the longest has a dozen.
        self.push(JUMP_EQUAL, 0, u8::try_from(block.0.len()).unwrap_or(u8::MAX), number);
        self.0.append(&mut block.0);
    }

    /// Returns `verdict` when all tests hold, else goes on behind the case.
    fn case(&mut self, tests: &[Test], verdict: u32) {
        for (done, test) in tests.iter().enumerate() {
            // Over the two instructions of each test that is left, and the return.
            let out = u8::try_from(2 * (tests.len() - done) - 1).unwrap_or(u8::MAX);
            self.push(LOAD, 0, 0, test.offset);
            match test.comparison {
                Comparison::Equal => self.push(JUMP_EQUAL, 0, out, test.value),
                Comparison::Differs => self.push(JUMP_EQUAL, out, 0, test.value),
                Comparison::AnyBit => self.push(JUMP_ANY_BIT, 0, out, test.value),
            }
        }
        self.push(RETURN, 0, 0, verdict);
    }

    fn finish(mut self) -> Vec<Instruction> {
        self.push(RETURN, 0, 0, ALLOW);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            if !named.contains(&number)
                && !others.contains(&number)
                && !aimed.clone().any(|aim| aim == number)
            {
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
        assert_eq!(
            own(nr::PRLIMIT64, [0, mark, 1 << 32, 0, 0, 0]),
            REFUSED_EPERM,
            "an address of zeros below"
        );
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
        for flag in
            [0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000]
        {
            assert_eq!(own(nr::CLONE, [flag + 17, 0, 0, 0, 0, 0]), REFUSED_EPERM);
        }
    }
}
