//! Pools of containers: every key is read, and every mistake told.

use std::fs;
use std::path::Path;
use std::time::Duration;

use ostler::config::{Config, Format};
use ostler::model::{
    BackendSpec, ContainerMode, ContainerNetwork, ContainerSpec, EngineHost, Gpus, PullPolicy, Seccomp,
    SecretSource, Transport,
};

const HEAD: &str = "[pools.s]\nbackend = \"docker\"\n[pools.s.container]\nimage = \"debian:12\"\n";

fn read(dir: &Path, text: &str) -> Result<Config, String> {
    let path = dir.join("o.toml");
    fs::write(&path, text).expect("a file");
    Config::load_with(&path, [])
        .map_err(|error| error.to_string().replace(&format!("{}:", path.display()), ""))
}

fn container(config: &Config, pool: &str) -> ContainerSpec {
    match &config.pools[pool].backend {
        BackendSpec::Docker(container) | BackendSpec::Podman(container) => container.clone(),
        other => panic!("{other:?}"),
    }
}

/// Cases of lines in a table `container` that begins in line 3; what is wrong is told with the key of line 5.
#[track_caller]
fn check(cases: &[(&str, &str)]) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (line, expected) in cases {
        let error = read(dir.path(), &format!("{HEAD}{line}\n")).expect_err(line);
        assert_eq!(error, format!("5: pools.s.container.{expected}"), "\nin: {line}");
    }
}

#[test]
fn every_key_is_read() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let at = dir.path();
    for (name, content) in [("a.env", "A=1\n"), ("token", "t"), ("seccomp.json", "{}"), ("pem", "p")] {
        fs::write(at.join(name), content).expect("a file");
    }
    fs::create_dir(at.join("data")).expect("a directory");
    let text = r#"
[pools.s]
backend = "podman"
max = 2
[pools.s.container]
host = "tcp://engine:2376"
tls = { ca = "pem", cert = "pem", key = "pem" }
transport = "attach"
image = "registry.example:5000/team/app:1.2"
pull = "always"
platform = "linux/arm64"
mode = "service"
entrypoint = ["/bin/server"]
command = ["--port", "80"]
user = "1000:1000"
env_files = ["a.env"]
secrets = { token = { file = "token" }, path = { env = "PATH" }, code = { command = ["true", "it"] } }
volumes = ["./data:/data:ro", "cache:/cache:shared", "tmpfs:/scratch:1MiB"]
ports = ["8080-8081:80", ":53/udp"]
network = "backend"
dns = ["10.0.0.53"]
extra_hosts = ["db:10.0.0.5", "host:host-gateway"]
swap = "1GiB"
ulimits = ["core=0"]
workspace_size = "1MiB"
tmp_size = "2MiB"
shm_size = "3MiB"
gpus = "device=0,1"
runtime = "runsc"
seccomp = "./seccomp.json"
apparmor = "docker-default"
cap_add = ["CAP_NET_RAW", "chown"]
read_only_root = false
init = true
labels = { team = "judges", "com.example/x" = "y" }
logs = { dir = "logs", size = "1MiB", files = 2, kept = 3 }
stats_interval = "none"
stop_grace = "3s"
"#;
    let config = read(at, text).expect("no mistake");
    let spec = container(&config, "s");
    assert!(matches!(config.pools["s"].backend, BackendSpec::Podman(_)));
    assert_eq!(spec.host, Some(EngineHost::Tcp("engine:2376".to_owned())));
    assert_eq!(spec.tls.key, Some(at.join("pem")));
    assert_eq!(
        (spec.transport, spec.pull, spec.mode),
        (Transport::Attach, PullPolicy::Always, ContainerMode::Service)
    );
    assert_eq!(spec.image, "registry.example:5000/team/app:1.2");
    assert_eq!(spec.platform.as_deref(), Some("linux/arm64"));
    assert_eq!(spec.entrypoint, Some(vec!["/bin/server".to_owned()]));
    assert_eq!(spec.command.as_ref().map(Vec::len), Some(2));
    assert_eq!(spec.user.as_deref(), Some("1000:1000"));
    assert_eq!(spec.env_files, [at.join("a.env")]);
    assert_eq!(spec.secrets["token"], SecretSource::File(at.join("token")));
    assert_eq!(spec.secrets["path"], SecretSource::Env("PATH".to_owned()));
    assert_eq!(spec.secrets["code"], SecretSource::Command(vec!["true".to_owned(), "it".to_owned()]));
    let volumes: Vec<_> = spec.volumes.iter().map(ToString::to_string).collect();
    let bind = format!("{}:/data:ro", at.join("data").display());
    assert_eq!(volumes, [bind.as_str(), "cache:/cache:shared", "tmpfs:/scratch:1MiB"]);
    let ports: Vec<_> = spec.ports.iter().map(ToString::to_string).collect();
    assert_eq!(ports, ["8080-8081:80", ":53/udp"]);
    assert_eq!(spec.network, ContainerNetwork::Named("backend".to_owned()));
    assert_eq!((spec.dns.len(), spec.extra_hosts.len(), spec.ulimits.len()), (1, 2, 1));
    assert_eq!(
        (spec.swap, spec.workspace_size, spec.tmp_size, spec.shm_size),
        (1 << 30, 1 << 20, 2 << 20, 3 << 20)
    );
    assert_eq!(spec.gpus, Gpus::Devices(vec!["0".to_owned(), "1".to_owned()]));
    assert_eq!(spec.runtime.as_deref(), Some("runsc"));
    assert_eq!(spec.seccomp, Seccomp::Profile(at.join("seccomp.json")));
    assert_eq!(spec.apparmor.as_deref(), Some("docker-default"));
    let capabilities: Vec<_> = spec.cap_add.iter().map(|capability| capability.name()).collect();
    assert_eq!(capabilities, ["CHOWN", "NET_RAW"]);
    assert_eq!((spec.read_only_root, spec.init, spec.stats_interval), (false, true, None::<Duration>));
    assert_eq!(spec.stop_grace, Duration::from_secs(3));
    assert_eq!(spec.labels["com.example/x"], "y");
    assert_eq!(spec.logs.dir, Some(at.join("logs")));
    assert_eq!((spec.logs.size, spec.logs.files, spec.logs.kept), (1 << 20, 2, 3));
    assert_eq!(Config::parse(&config.to_toml(), Format::Toml).expect("what was printed"), config);
}

#[test]
fn values_that_are_not_of_their_form() {
    check(&[
        (
            "host = \"/run/docker.sock\"",
            "host = \"/run/docker.sock\": begins with neither unix:// nor tcp://",
        ),
        ("host = \"ssh://there\"", "host = \"ssh://there\": begins with neither unix:// nor tcp://"),
        ("host = \"tcp://there\"", "host = \"tcp://there\": needs a host and a port, as in tcp://host:2376"),
        (
            "platform = \"arm64\"",
            "platform = \"arm64\": must be an OS and an architecture such as \"linux/arm64\"",
        ),
        (
            "user = \"a b\"",
            "user = \"a b\": must be a user such as \"nobody\" or \"1000:1000\", with numbers below 2147483648",
        ),
        (
            "ports = [\"80:x\"]",
            "ports: \"80:x\" is not written as [IP:][HOST]:CONTAINER[/udp] with ports of 1 to 65535",
        ),
        (
            "volumes = [\"/usr\"]",
            "volumes: \"/usr\" is not SOURCE:TARGET:ro, SOURCE:TARGET:shared or tmpfs:TARGET[:SIZE]",
        ),
        (
            "volumes = [\"/usr:/data\"]",
            "volumes: \"/usr:/data\" can be written to and no reset wipes it: end it with :ro, or :shared if it is meant \
             to keep what leases write",
        ),
        ("dns = [\"one\"]", "dns: \"one\" is not an IP address"),
        ("extra_hosts = [\"db\"]", "extra_hosts: \"db\" is not a host's name and address, as in db:10.0.0.5"),
        ("ulimits = [\"nofile=5\"]", "ulimits: \"nofile=5\" is set by limits.open_files"),
        (
            "gpus = \"some\"",
            "gpus = \"some\": is neither none, nor all, nor a number, nor device= and names with commas",
        ),
        (
            "seccomp = \"off\"",
            "seccomp = \"off\": is neither default, nor unconfined, nor a path with a / in it",
        ),
        ("cap_add = [\"ALL\"]", "cap_add: \"ALL\" is all of them; name those that are needed"),
        ("cap_add = [\"FLY\"]", "cap_add: \"FLY\" is no capability of Linux"),
        (
            "labels = { \"ostler.pool\" = \"x\" }",
            "labels: \"ostler.pool\" is one of ostler's own: they begin with ostler.",
        ),
        ("read_only_root = \"yes\"", "read_only_root = \"yes\": found text, wanted true or false"),
        (
            "mode = \"servce\"",
            "mode = \"servce\": must be one of \"sandbox\", \"service\"; did you mean \"service\"?",
        ),
        ("networks = \"none\"", "networks: unknown key; did you mean \"network\"?"),
        ("logs.size = 1", "logs.size = 1: must be between 4KiB and 1GiB"),
        (
            "secrets = { a = \"hunter2\" }",
            "secrets: \"a\" must have one of { file = PATH }, { env = NAME }, { command = [PROGRAM, …] }",
        ),
        (
            "secrets = { \"../a\" = { env = \"PATH\" } }",
            "secrets: \"../a\" cannot be the name of a secret: letters, digits, _, - and .",
        ),
        (
            "allowed_hosts = [\"example.org\"]",
            "allowed_hosts: \"example.org\" cannot be kept to: engines have no such filter. With network = \"none\" no host \
             is reached at all; to reach some, name a network whose firewall lets only those through",
        ),
    ]);
}

#[test]
fn values_that_do_not_go_together() {
    check(&[
        ("entrypoint = [\"x\"]", "entrypoint: is only for container.mode = \"service\""),
        ("command = [\"x\"]", "command: is only for container.mode = \"service\""),
        ("dns = [\"10.0.0.1\"]", "dns: needs a container.network other than \"none\""),
        ("ports = [\":80\"]", "ports: needs a container.network other than \"none\""),
        (
            "ports = [\":80\"]\nnetwork = \"host\"",
            "ports: are not for container.network = \"host\": its ports are the host's",
        ),
        ("volumes = [\"tmpfs:/tmp/x\"]", "volumes: \"tmpfs:/tmp/x\" is mounted in /tmp, which is ostler's"),
        (
            "volumes = [\"tmpfs:/x\", \"tmpfs:/x:1MiB\"]",
            "volumes: \"tmpfs:/x:1MiB\" is mounted where another one is",
        ),
        (
            "volumes = [\"/usr:/u:engine-socket\"]",
            "volumes: \"/usr:/u:engine-socket\" is not the engine's socket",
        ),
        ("volumes = [\"/:/host:ro\"]", "volumes: \"/:/host:ro\" mounts all of the host"),
        ("volumes = [\"/usr/..:/host:ro\"]", "volumes: \"/usr/..:/host:ro\" mounts all of the host"),
        (
            "ports = [\"8080:80\"]\nnetwork = \"bridge\"",
            "ports: \"8080:80\" has ports of the host for 1 runtimes at once, and there may be 4 by max and overflow; give \
             a range for one port, or no port of the host",
        ),
        (
            "ports = [\"8000-8010:80\", \"8010-8020:81\"]\nnetwork = \"bridge\"",
            "ports: \"8010-8020:81\" and \"8000-8010:80\" both want port 8010 of the host",
        ),
    ]);
}

#[test]
fn an_image_must_be_named() {
    let error = Config::parse("[pools.s]\nbackend = \"docker\"\n", Format::Toml).expect_err("no image");
    let expected = "text: pools.s.container.image = \"\": must be the name of an image such as \"debian:12\"";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn what_this_host_does_not_have() {
    let none = "No such file or directory (os error 2)";
    let dir = tempfile::tempdir().expect("a temporary directory");
    let at = dir.path().display();
    fs::write(dir.path().join("bad.env"), "A=1\nhunter2\n").expect("a file");
    fs::write(dir.path().join("list.json"), "[]").expect("a file");
    fs::write(dir.path().join("pem"), "p").expect("a file");
    let cases = [
        ("env_files = [\"no.env\"]", format!("env_files: {at}/no.env cannot be read: {none}")),
        ("env_files = [\"bad.env\"]", format!("env_files: {at}/bad.env: line 2 is not NAME=value")),
        ("secrets.a = { file = \"no\" }", format!("secrets: \"a\": {at}/no cannot be read: {none}")),
        (
            "secrets.a = { env = \"NO_SUCH_VAR\" }",
            "secrets: \"a\": the environment has no NO_SUCH_VAR".to_owned(),
        ),
        (
            "secrets.a = { command = [\"no-such-program\"] }",
            "secrets: \"a\": there is no program \"no-such-program\"".to_owned(),
        ),
        (
            "seccomp = \"./list.json\"",
            format!("seccomp = \"./list.json\": {at}/list.json holds no JSON object"),
        ),
        ("volumes = [\"./no:/data:ro\"]", format!("volumes: \"{at}/no:/data:ro\" cannot be mounted: {none}")),
        ("tls.ca = \"pem\"", "tls.ca = \"pem\": needs container.tls.cert too".to_owned()),
        ("logs.dir = \"pem\"", "logs.dir = \"pem\": is not a directory".to_owned()),
    ];
    for (line, expected) in cases {
        let error = read(dir.path(), &format!("{HEAD}{line}\n")).expect_err(line);
        assert_eq!(error, format!("5: pools.s.container.{expected}"), "\nin: {line}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn the_engines_socket_has_to_be_asked_for() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let socket = dir.path().join("docker.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    let with = |access: &str| {
        let volume = format!("volumes = [\"{}:/run/docker.sock:{access}\"]", socket.display());
        read(dir.path(), &format!("{HEAD}{volume}\n"))
    };
    let error = with("ro").expect_err("the engine's socket");
    assert!(error.ends_with("is the engine's socket, and who has that is root on its host: if it is meant, end it with :engine-socket"), "{error}");
    let spec = container(&with("engine-socket").expect("asked for"), "s");
    assert_eq!(spec.loosened(), [format!("volume {}:/run/docker.sock:engine-socket", socket.display())]);
    let host = format!(
        "{HEAD}host = \"unix://{}\"\nvolumes = [\"{}:/data:ro\"]\n",
        socket.display(),
        dir.path().display()
    );
    let error = read(dir.path(), &host).expect_err("the engine's socket is in it");
    assert!(error.contains("has the engine's socket in it"), "{error}");
}

#[test]
fn ostlers_own_directory_is_not_mounted() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for source in [".", "./state", "./state/below"] {
        fs::create_dir_all(dir.path().join("state/below")).expect("a directory");
        let text = format!("state_dir = \"state\"\n{HEAD}volumes = [\"./{source}:/data:ro\"]\n");
        let error = read(dir.path(), &text).expect_err(source);
        assert!(error.contains("and ostler's own directory"), "{source}: {error}");
    }
}

#[test]
fn pools_do_not_want_the_same_port() {
    let pool = |name: &str, port: &str| {
        format!(
            "[pools.{name}]\nbackend = \"docker\"\nmax = 1\ncontainer = {{ image = \"i\", network = \"bridge\", ports = [\"{port}\"] }}\n"
        )
    };
    let read = |a: &str, b: &str| Config::parse(&format!("{}{}", pool("a", a), pool("b", b)), Format::Toml);
    let error = read("8080:80", "0.0.0.0:8080:81").expect_err("one port").to_string();
    let expected = "text:8: pools.b.container.ports: \"0.0.0.0:8080:81\" and \"8080:80\" of pools.a both want port 8080 of the host";
    assert_eq!(error, expected);
    read("8080:80", "8081:80").expect("two ports");
    read("8080:80", "8080:80/udp").expect("two protocols");
}

#[test]
fn tables_of_the_other_kind() {
    let cases = [
        (
            "[pools.s]\nbackend = \"docker\"\ncontainer.image = \"i\"\nprocess.user = 5\n",
            "text:4: pools.s.process: is only for backend = \"process\"; this pool has backend = \"docker\"",
        ),
        (
            "[pools.s]\ncontainer.image = \"i\"\n",
            "text:2: pools.s.container: is only for backend = \"docker\" and backend = \"podman\"; this pool has backend = \"process\"",
        ),
        (
            "[pools.s]\nhealth.probe = \"tcp\"\nhealth.http.port = 80\n",
            "text:3: pools.s.health.http: is only for health.probe = \"http\"; this pool has health.probe = \"tcp\"",
        ),
    ];
    for (text, expected) in cases {
        let error = Config::parse(text, Format::Toml).expect_err(text).to_string();
        assert!(error.lines().any(|line| line == expected), "\n{error}\nin:\n{text}");
    }
}

#[test]
fn probes_that_could_not_say_anything() {
    let docker = "backend = \"docker\"\ncontainer.image = \"i\"\n";
    let cases = [
        ("health.probe = \"exec\"\n", "health.exec.command = []: must be set for this probe"),
        ("health.probe = \"file\"\n", "health.file.path = \"\": must be a path such as \"/tmp/ready\""),
        (
            "health.probe = \"image\"\n",
            "health.probe = \"image\": is for containers: a sandboxed process has no image",
        ),
        (
            "backend = \"podman\"\ncontainer.image = \"i\"\nhealth.probe = \"image\"\n",
            "health.probe = \"image\": is not for podman, whose API does not tell of an image's check; use the probe exec \
             with its command",
        ),
        (
            "health.probe = \"http\"\n",
            "health.http.port = 80: needs process.network = \"host\": with \"none\" nothing outside reaches it; use the probe exec",
        ),
        (
            &format!("{docker}health.probe = \"tcp\"\nhealth.tcp.port = 5\n"),
            "health.tcp.port = 5: needs a container.network other than \"none\", which nothing outside reaches; use the probe exec",
        ),
        (
            &format!("{docker}container.network = \"bridge\"\nhealth.probe = \"tcp\"\nhealth.tcp.port = 5\n"),
            "health.tcp.port = 5: is no port of container.ports; add \":5\" to them",
        ),
        (
            "health = { probe = \"http\", http = { status = \"99\" } }\nprocess.network = \"host\"\n",
            "health.http.status = \"99\": is not a status of HTTP or a range of them, such as 200-299",
        ),
    ];
    for (lines, expected) in cases {
        let error = Config::parse(&format!("[pools.s]\n{lines}"), Format::Toml).expect_err(lines).to_string();
        assert!(error.ends_with(&format!("pools.s.{expected}")), "\n{error}\nin:\n{lines}");
    }
    let sound = format!(
        "[pools.s]\n{docker}container.network = \"bridge\"\ncontainer.ports = [\":5\"]\nhealth = {{ probe = \"tcp\", tcp.port = 5 }}\n"
    );
    Config::parse(&sound, Format::Toml).expect("reached");
}

#[test]
fn a_service_must_have_time_to_end() {
    let pool = |grace: &str| {
        format!("{HEAD}mode = \"service\"\nstop_grace = \"{grace}\"\n[pools.s.restart]\nwindow = \"1m\"\n")
    };
    Config::parse(&pool("9s"), Format::Toml).expect("sound");
    let wrong =
        Config::parse(&pool("10s"), Format::Toml).expect_err("as long as a removal may take").to_string();
    assert!(wrong.contains("stop_grace") && wrong.contains("shorter than retire_timeout"), "{wrong}");
}

#[test]
fn variables_set_what_containers_have() {
    let variables = [
        ("OSTLER__POOLS__S__CONTAINER__IMAGE", "other"),
        ("OSTLER__POOLS__S__CONTAINER__READ_ONLY_ROOT", "false"),
        ("OSTLER__POOLS__S__CONTAINER__CAP_ADD", "[\"CHOWN\"]"),
        ("OSTLER__POOLS__S__CONTAINER__LABELS", "{\"a\": \"b\"}"),
        ("OSTLER__POOLS__S__CONTAINER__SECRETS", "{\"p\": {\"env\": \"PATH\"}}"),
        ("OSTLER__POOLS__S__CONTAINER__LOGS__FILES", "7"),
        ("OSTLER__POOLS__S__HEALTH__PROBE", "image"),
    ];
    let variables = variables.map(|(name, value)| (name.into(), value.into()));
    let config = Config::parse_with(HEAD, Format::Toml, variables).expect("no mistake");
    let spec = container(&config, "s");
    assert_eq!((spec.image.as_str(), spec.read_only_root, spec.cap_add.len()), ("other", false, 1));
    assert_eq!((spec.labels["a"].as_str(), spec.logs.files), ("b", 7));
    assert_eq!(spec.secrets["p"], SecretSource::Env("PATH".to_owned()));
}
