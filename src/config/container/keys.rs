use std::time::Duration;

use crate::config::field::{Choice, Field};
use crate::config::key::{Key, is_optional, variant_keys};
use crate::config::keys::{GIB, HOUR, KIB, TIB, ms};
use crate::config::kind::Kind;
use crate::model::{BackendSpec, ContainerMode, ContainerSpec, PoolSpec, PullPolicy, Transport};

use super::shapes;

const MIN_1: Duration = Duration::from_mins(1);

/// The keys of the backends `docker` and `podman`.
pub(in crate::config) const CONTAINER: &[Key<PoolSpec>] = variant_keys! {
    "container" in backend: BackendSpec::[Docker | Podman](ContainerSpec):
    host: Kind::Word(&shapes::HOST),
        "Where the engine listens. Without it `$DOCKER_HOST` (podman: `$CONTAINER_HOST` first), else its usual sockets.";
    transport: Kind::Choice(Transport::WORDS),
        "How guests are spoken to: over a mounted socket, attached through the engine, or as probing the engine shows.";
    image: Kind::Word(&shapes::IMAGE),
        "The image. Nothing needs to be in it: `FROM scratch` works.";
    pull: Kind::Choice(PullPolicy::WORDS),
        "When it is pulled: never, when it is missing, or each time the pool starts.";
    platform: Kind::Word(&shapes::PLATFORM),
        "Which of an image's variants; without it the engine's own.";
    mode: Kind::Choice(ContainerMode::WORDS),
        "`sandbox`: it waits for operations. `service`: it also runs the image's program, supervised by the guest.";
    entrypoint: Kind::Command,
        "The service's program, in place of the image's. Only with mode = \"service\".";
    command: Kind::Command,
        "The service's arguments, in place of the image's. Only with mode = \"service\".";
    stop_grace: ms(0, MIN_1),
        "From a service's stop signal, the image's or TERM, until it is killed. Shorter than `retire_timeout`.";
    user: Kind::Word(&shapes::USER),
        "Whom it runs as. Without it the image's user, but 65534:65534 when that is root; root must be named.";
    env_files: Kind::Files,
        "Files of NAME=value lines, read at each launch. What `env` sets comes on top.";
    secrets: Kind::Secrets,
        "Files of /run/secrets: from a file, a variable of ostler's, or a command's output. Fetched at launch, never shown.";
    volumes: Kind::Words(&shapes::VOLUME),
        "What is mounted. Resets wipe tmpfs, not what is `shared`; the engine's socket has to be `:engine-socket`.";
    ports: Kind::Words(&shapes::PORT),
        "Ports reached from the host, on 127.0.0.1 unless said; without HOST any free one, from a range for one port one each.";
    network: Kind::Word(&shapes::NETWORK),
        "Which network it has: its own loopback only, the engine's bridge, the host's, or one that exists by this name.";
    dns: Kind::Words(&shapes::ADDRESS),
        "Name servers in place of the engine's. Needs a network.";
    extra_hosts: Kind::Words(&shapes::EXTRA_HOST),
        "Hosts known by name without DNS. Needs a network.";
    allowed_hosts: Kind::Words(&shapes::ALLOWED),
        "The only hosts that may be connected to. No engine can keep to that, so that any is refused.";
    swap: Kind::Size(0, 64 * TIB),
        "Swap on top of `limits.memory`.";
    ulimits: Kind::Words(&shapes::ULIMIT),
        "Limits of each process beside `limits.file_size` and `limits.open_files`.";
    workspace_size: Kind::Size(64 * KIB, TIB),
        "Size of the workspace /work, which is held in memory and counts as such.";
    tmp_size: Kind::Size(64 * KIB, TIB),
        "Size of /tmp, and of each tmpfs volume that has none.";
    shm_size: Kind::Size(64 * KIB, TIB),
        "Size of /dev/shm.";
    gpus: Kind::Word(&shapes::GPUS),
        "Devices for computing. Never implied.";
    runtime: Kind::Word(&shapes::WORD),
        "OCI runtime, one the engine knows by this name: runc, runsc, kata. Without it the engine's default.";
    seccomp: Kind::Word(&shapes::SECCOMP),
        "Filter of system calls: the engine's, one from a JSON file, or none at all.";
    apparmor: Kind::Word(&shapes::WORD),
        "AppArmor profile, or `unconfined`. Without it the engine's. Where the engine has no AppArmor, a profile is refused.";
    cap_add: Kind::Words(&shapes::CAPABILITY),
        "Capabilities it keeps. All others are dropped, always.";
    read_only_root: Kind::Flag,
        "Whether the root file system cannot be written to. A writable one that a lease changed is never reused.";
    init: Kind::Flag,
        "Whether the engine's own init is put before the guest, which reaps and forwards signals without it.";
    labels: Kind::Labels,
        "Labels beside ostler's own, which begin with `ostler.`.";
    stats_interval: ms(100, HOUR),
        "Least time between two samples of cpu, memory, network and disk. Docker tells each second, Podman every five.";
    tls.ca: Kind::Path,
        "Whom the engine's certificate is signed by. Without the three `$DOCKER_CERT_PATH`'s, if `$DOCKER_TLS_VERIFY` is set.";
    tls.cert: Kind::Path,
        "Our certificate for the engine.";
    tls.key: Kind::Path,
        "The key of our certificate.";
    logs.dir: Kind::Path,
        "Directory of what main processes write, which outlives them; without it `logs` in `state_dir`.";
    logs.size: Kind::Size(4 * KIB, GIB),
        "Size at which a log file is full and the next is begun.";
    logs.files: Kind::Count(1, 100),
        "Log files of each container, the oldest of which goes first.";
    logs.kept: Kind::Count(0, 100_000),
        "Containers that are gone whose log files are kept.";
};
