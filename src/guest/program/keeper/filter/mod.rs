//! Which system calls are refused, to the guest's commands and mostly to the guest as well.
//!
//! A deny-list: what is not named passes. It takes away what reaches beyond the sandbox (mounts, namespaces,
//! keys, modules, clocks), what is a well-trodden way into the kernel (`bpf`, `io_uring`, `userfaultfd`), and
//! what one command could do to the guest or, without namespaces, to strangers.

mod assembler;
#[cfg(test)]
mod tests;

use crate::sys::number as nr;
use crate::sys::seccomp::Instruction;
use assembler::{Assembler, Test, any_bit, any_bit_high, differs, equal};

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
