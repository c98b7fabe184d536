//! P17 for containers, as far as the request goes: what holds by default, and what each setting makes of it.

use super::*;
use crate::model::{ContainerMode, ContainerNetwork};

fn order(spec: &ContainerSpec, image: &Image) -> ContainerCreateBody {
    let entry = Entry::Link { program: Path::new("/host/guest"), directory: Path::new("/host/room") };
    let limits = Limits::default();
    let labels = HashMap::from([("ostler.pool".to_owned(), "p".to_owned())]);
    Order { spec, limits: &limits, image, entry, ports: &[], labels, profile: Some("{}") }.body()
}

fn host(spec: &ContainerSpec, image: &Image) -> HostConfig {
    order(spec, image).host_config.expect("a host config")
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn the_default_is_hardened() {
    let (spec, image) = (ContainerSpec::default(), Image::default());
    let body = order(&spec, &image);
    assert_eq!(body.user.as_deref(), Some(NOBODY));
    assert_eq!(body.entrypoint, Some(words(&[GUEST, "container", "--link", "/.ostler/link/socket"])));
    assert_eq!(body.cmd, Some(Vec::new()), "the image's arguments are not the guest's");
    assert_eq!(body.healthcheck.and_then(|check| check.test), Some(words(&["NONE"])));
    assert_eq!(body.env, None);
    let host = body.host_config.expect("a host config");
    assert_eq!(host.network_mode.as_deref(), Some("none"));
    assert_eq!(host.privileged, Some(false));
    assert_eq!(host.cap_drop, Some(words(&["ALL"])));
    assert_eq!(host.cap_add, Some(Vec::new()));
    assert_eq!(host.security_opt, Some(words(&["no-new-privileges"])));
    assert_eq!(host.readonly_rootfs, Some(true));
    assert_eq!(host.memory, Some(512 << 20));
    assert_eq!(host.memory_swap, host.memory, "no swap beside it");
    assert_eq!(host.pids_limit, Some(129), "the guest is not counted");
    assert_eq!(host.nano_cpus, Some(1_000_000_000));
    assert_eq!(host.shm_size, Some(64 << 20));
    assert_eq!(host.ipc_mode.as_deref(), Some("private"));
    assert_eq!(host.device_requests, None);
    let tmpfs = host.tmpfs.expect("some");
    let mut places: Vec<_> = tmpfs.keys().map(String::as_str).collect();
    places.sort_unstable();
    assert_eq!(places, ["/tmp", "/work"]);
    assert_eq!(tmpfs["/work"], "size=268435456,mode=1777,nosuid,nodev,exec,uid=65534,gid=65534");
    let mounts = host.mounts.expect("some");
    assert_eq!(mounts.len(), 2);
    assert!(mounts.iter().all(|mount| mount.read_only == Some(true)));
}

#[test]
fn root_must_be_asked_for_by_name() {
    let by_image = |name: &str| Image { user: name.to_owned(), ..Image::default() };
    let asked = |name: &str| ContainerSpec { user: Some(name.to_owned()), ..ContainerSpec::default() };
    let silent = ContainerSpec::default();
    for name in ["", "0", "root", "0:0", "root:wheel"] {
        assert_eq!(user(&silent, &by_image(name)), Some(NOBODY), "{name}");
        assert!(!is_root(&silent, &by_image(name)), "{name}");
    }
    assert_eq!(user(&silent, &by_image("app")), None, "as the image says");
    assert_eq!(user(&asked("root"), &by_image("app")), Some("root"));
    assert!(is_root(&asked("0:0"), &by_image("app")));
    assert_eq!(user(&asked("1000:1000"), &by_image("")), Some("1000:1000"));
}

#[test]
fn memory_belongs_to_the_user_where_it_has_a_number() {
    assert_eq!(owner("1000:100"), ",uid=1000,gid=100");
    assert_eq!(owner("1000"), ",uid=1000");
    assert_eq!(owner("app:100"), ",gid=100");
    assert_eq!(owner("app"), "");
}

#[test]
fn each_setting_goes_where_the_engine_looks_for_it() {
    let spec = ContainerSpec {
        network: ContainerNetwork::Named("back".to_owned()),
        dns: vec!["9.9.9.9".parse().unwrap()],
        extra_hosts: vec!["db:10.0.0.5".parse().unwrap()],
        swap: 1 << 20,
        ulimits: vec!["core=0".parse().unwrap()],
        shm_size: 1 << 20,
        gpus: "device=0,1".parse().unwrap(),
        runtime: Some("runsc".to_owned()),
        seccomp: "/p.json".parse().unwrap(),
        apparmor: Some("mine".to_owned()),
        cap_add: ["NET_BIND_SERVICE".parse().unwrap()].into(),
        read_only_root: false,
        init: true,
        labels: [("team".to_owned(), "a".to_owned())].into(),
        volumes: ["/srv:/data:ro", "cache:/cache:shared", "tmpfs:/scratch:1MiB"]
            .map(|v| v.parse().unwrap())
            .into(),
        ..ContainerSpec::default()
    };
    let body = order(&spec, &Image::default());
    let labels = body.labels.clone().unwrap();
    assert_eq!((labels["team"].as_str(), labels["ostler.pool"].as_str()), ("a", "p"));
    let host = body.host_config.unwrap();
    assert_eq!(host.network_mode.as_deref(), Some("back"));
    assert_eq!(host.dns, Some(words(&["9.9.9.9"])));
    assert_eq!(host.extra_hosts, Some(words(&["db:10.0.0.5"])));
    assert_eq!(host.memory_swap, Some((512 << 20) + (1 << 20)));
    assert_eq!(host.ulimits.unwrap()[0].name.as_deref(), Some("core"));
    assert_eq!(host.device_requests.unwrap()[0].device_ids, Some(words(&["0", "1"])));
    assert_eq!(host.runtime.as_deref(), Some("runsc"));
    assert_eq!(host.security_opt, Some(words(&["no-new-privileges", "seccomp={}", "apparmor=mine"])));
    assert_eq!(host.cap_add, Some(words(&["NET_BIND_SERVICE"])));
    assert_eq!(host.readonly_rootfs, Some(false));
    assert_eq!(host.init, Some(true));
    assert_eq!(host.pids_limit, Some(130), "nor is the engine's init");
    assert!(host.tmpfs.unwrap()["/scratch"].starts_with("size=1048576,"));
    let mounts: Vec<_> = host.mounts.unwrap().into_iter().skip(2).collect();
    let seen: Vec<_> =
        mounts.iter().map(|m| (m.source.as_deref(), m.target.as_deref(), m.read_only)).collect();
    let expected = [(Some("/srv"), Some("/data"), Some(true)), (Some("cache"), Some("/cache"), Some(false))];
    assert_eq!(seen, expected);
}

#[test]
fn ports_are_published_where_they_were_asked_for() {
    let (spec, image, limits) = (ContainerSpec::default(), Image::default(), Limits::default());
    let ports = [
        (Port::from(80), "127.0.0.1".parse().unwrap(), 8080),
        (Port::from(81), "0.0.0.0".parse().unwrap(), 0),
    ];
    let order = Order {
        spec: &spec,
        limits: &limits,
        image: &image,
        entry: Entry::Attach,
        ports: &ports,
        labels: HashMap::new(),
        profile: None,
    };
    let body = order.body();
    assert_eq!(body.exposed_ports, Some(words(&["80/tcp", "81/tcp"])));
    let bindings = body.host_config.unwrap().port_bindings.unwrap();
    let binding = |port: &str| bindings[port].as_ref().unwrap()[0].clone();
    assert_eq!(binding("80/tcp").host_port.as_deref(), Some("8080"));
    assert_eq!(binding("80/tcp").host_ip.as_deref(), Some("127.0.0.1"));
    assert_eq!(binding("81/tcp").host_port.as_deref(), Some(""));
    assert_eq!((body.open_stdin, body.stdin_once), (Some(true), Some(true)));
    assert_eq!(body.entrypoint, Some(words(&[GUEST, "container", "--attach"])));
}

#[test]
fn an_images_volumes_are_memory_in_a_sandbox_and_its_own_in_a_service() {
    let image = Image { volumes: vec!["/var/lib/db".into(), "/tmp".into()], ..Image::default() };
    let tmpfs = host(&ContainerSpec::default(), &image).tmpfs.unwrap();
    assert_eq!(tmpfs.len(), 3, "{tmpfs:?}");
    assert!(tmpfs.contains_key("/var/lib/db"));
    let service = ContainerSpec { mode: ContainerMode::Service, ..ContainerSpec::default() };
    assert!(!host(&service, &image).tmpfs.unwrap().contains_key("/var/lib/db"));
}
