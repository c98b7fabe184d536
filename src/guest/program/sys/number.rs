//! System call numbers, for the architectures the guest runs on.

macro_rules! numbers {
    ($($name:ident = $x86_64:literal, $aarch64:literal;)*) => {
        $(#[cfg(target_arch = "x86_64")] pub(crate) const $name: u32 = $x86_64;
          #[cfg(target_arch = "aarch64")] pub(crate) const $name: u32 = $aarch64;)*
    };
}

numbers! {
    ACCT = 163, 89;
    ADD_KEY = 248, 217;
    ADJTIMEX = 159, 171;
    BPF = 321, 280;
    CAPGET = 125, 90;
    CAPSET = 126, 91;
    CHROOT = 161, 51;
    CLOCK_ADJTIME = 305, 266;
    CLOCK_SETTIME = 227, 112;
    CLONE = 56, 220;
    CLONE3 = 435, 435;
    DELETE_MODULE = 176, 106;
    EXECVEAT = 322, 281;
    FANOTIFY_INIT = 300, 262;
    FINIT_MODULE = 313, 273;
    FSCONFIG = 431, 431;
    FSMOUNT = 432, 432;
    FSOPEN = 430, 430;
    FSPICK = 433, 433;
    GETPRIORITY = 140, 141;
    GETRANDOM = 318, 278;
    INIT_MODULE = 175, 105;
    IOCTL = 16, 29;
    IOPRIO_GET = 252, 31;
    IOPRIO_SET = 251, 30;
    IO_URING_ENTER = 426, 426;
    IO_URING_REGISTER = 427, 427;
    IO_URING_SETUP = 425, 425;
    KEXEC_FILE_LOAD = 320, 294;
    KEXEC_LOAD = 246, 104;
    KEYCTL = 250, 219;
    KILL = 62, 129;
    LANDLOCK_ADD_RULE = 445, 445;
    LANDLOCK_CREATE_RULESET = 444, 444;
    LANDLOCK_RESTRICT_SELF = 446, 446;
    LOOKUP_DCOOKIE = 212, 18;
    MQ_OPEN = 240, 180;
    MSGGET = 68, 186;
    MOUNT = 165, 40;
    MOUNT_SETATTR = 442, 442;
    MOVE_MOUNT = 429, 429;
    NFSSERVCTL = 180, 42;
    OPENAT2 = 437, 437;
    OPEN_BY_HANDLE_AT = 304, 265;
    OPEN_TREE = 428, 428;
    OPEN_TREE_ATTR = 467, 467;
    PERF_EVENT_OPEN = 298, 241;
    PERSONALITY = 135, 92;
    PIDFD_GETFD = 438, 438;
    PIDFD_OPEN = 434, 434;
    PIDFD_SEND_SIGNAL = 424, 424;
    PIVOT_ROOT = 155, 41;
    PRCTL = 157, 167;
    PRLIMIT64 = 302, 261;
    PROCESS_MADVISE = 440, 440;
    PROCESS_MRELEASE = 448, 448;
    PROCESS_VM_READV = 310, 270;
    PROCESS_VM_WRITEV = 311, 271;
    PTRACE = 101, 117;
    QUOTACTL = 179, 60;
    QUOTACTL_FD = 443, 443;
    REBOOT = 169, 142;
    REQUEST_KEY = 249, 218;
    RT_SIGACTION = 13, 134;
    RT_SIGQUEUEINFO = 129, 138;
    RT_TGSIGQUEUEINFO = 297, 240;
    SCHED_SETAFFINITY = 203, 122;
    SCHED_SETATTR = 314, 274;
    SCHED_SETPARAM = 142, 118;
    SCHED_SETSCHEDULER = 144, 119;
    SECCOMP = 317, 277;
    SEMGET = 64, 190;
    SETDOMAINNAME = 171, 162;
    SETGROUPS = 116, 159;
    SETHOSTNAME = 170, 161;
    SETNS = 308, 268;
    SETPRIORITY = 141, 140;
    SETRESGID = 119, 149;
    SETRESUID = 117, 147;
    SETRLIMIT = 160, 164;
    SETTIMEOFDAY = 164, 170;
    SHMGET = 29, 194;
    SOCKET = 41, 198;
    SOCKETPAIR = 53, 199;
    SWAPOFF = 168, 225;
    SWAPON = 167, 224;
    SYSLOG = 103, 116;
    TGKILL = 234, 131;
    TKILL = 200, 130;
    UMASK = 95, 166;
    UMOUNT2 = 166, 39;
    UNSHARE = 272, 97;
    USERFAULTFD = 323, 282;
    VHANGUP = 153, 58;
}

/// Calls only this architecture has and no command needs: raw port access, segment tables, old probes.
#[cfg(target_arch = "x86_64")]
pub(crate) const ARCHITECTURE_ONLY: &[u32] = &[172, 173, 154, 134];
#[cfg(target_arch = "aarch64")]
pub(crate) const ARCHITECTURE_ONLY: &[u32] = &[];
