//! Code, `config/demo.toml`, the three formats and what is printed say the same.

use std::fs;
use std::path::Path;

use ostler::config::{Config, Format, KeyReference, Scope, reference, reference_table};
use ostler::model::{
    BackendSpec, ContainerSpec, ExecProbe, FakeSpec, FileProbe, HttpProbe, PoolSpec, Probe, TcpProbe,
};

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect(name)
}

fn demo() -> String {
    file("config/demo.toml")
}

#[test]
fn the_demo_loads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/demo.toml");
    let config = Config::load_with(path, []).expect("no mistake");
    let pool = &config.pools["sandbox"];
    assert!(matches!(pool.backend, BackendSpec::Process(_)));
    assert_eq!((pool.min, pool.max, pool.max_uses), (4, 8, Some(50)));
}

#[test]
fn the_pool_of_containers_loads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/docker.toml");
    let config = Config::load_with(path, []).expect("no mistake");
    assert!(
        matches!(&config.pools["sandbox"].backend, BackendSpec::Docker(spec) if spec.image == "debian:12")
    );
}

#[test]
fn the_demo_on_containers_loads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/demo-containers.toml");
    let config = Config::load_with(path, []).expect("no mistake");
    let pool = &config.pools["sandbox"];
    assert!(matches!(&pool.backend, BackendSpec::Docker(spec) if spec.logs.kept == 0));
    assert_eq!((pool.min, pool.max, pool.max_uses), (4, 8, Some(50)));
}

/// Each key is preceded by its meaning, default and bounds, and is set or shown at its default: those of
/// containers in a file of their own.
#[test]
fn the_examples_document_every_key() {
    let (demo, docker) = (demo(), file("config/docker.toml"));
    for KeyReference { name, meaning, default, bounds, .. } in reference() {
        let (file, text) = if name.starts_with("container.") {
            ("config/docker.toml", &docker)
        } else {
            ("config/demo.toml", &demo)
        };
        let last = name.rsplit('.').next().unwrap_or(name);
        let shown = match name {
            "state_dir" => "# state_dir = \"/run/ostler\"".to_owned(),
            "env" => "# [pools.sandbox.env]".to_owned(),
            _ => format!("# {last} = {default}"),
        };
        let comment = format!("# {meaning}\n# Default: {default}. Bounds: {bounds}.\n");
        // Two keys may be explained in the same words.
        let explained = text.match_indices(&comment).any(|(at, _)| {
            let line = text[at + comment.len()..].lines().next().unwrap_or_default();
            line == shown || line.starts_with(&format!("{last} = "))
        });
        assert!(explained, "{file} must explain {name} so, and set it or show `{shown}`:\n{comment}");
    }
}

fn uncommented(text: &str) -> String {
    let is_setting = |line: &str| {
        let key = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        line.starts_with('[') || line.split_once(" = ").is_some_and(|(name, _)| key(name))
    };
    let line = |line: &str| match line.strip_prefix("# ") {
        Some(setting) if is_setting(setting) => format!("{setting}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// `text` from `start` to `end`, and what is around it.
fn cut_out(text: &str, start: &str, end: &str) -> (String, String) {
    let (before, rest) = text.split_once(start).expect(start);
    let (within, after) = rest.split_once(end).expect(end);
    (format!("{start}{within}"), format!("{before}{end}{after}"))
}

#[test]
fn what_the_demo_leaves_out_is_the_default() {
    let hidden = ["# state_dir = \"/run/ostler\"", "# [pools.sandbox.env]\n# LANG = \"C.UTF-8\""];
    let demo = hidden.iter().fold(demo(), |demo, part| demo.replace(part, ""));
    let (probes, demo) = cut_out(&demo, "# [pools.sandbox.health.exec]", "[pools.sandbox.restart]");
    let (process, fake) = demo.split_once("# [pools.sandbox.fake]\n").expect("the table of the fake backend");

    let as_it_is = Config::parse(&demo, Format::Toml).expect("no mistake");
    let full = uncommented(process);
    assert!(full.lines().count() == process.lines().count() && full != process);
    assert_eq!(Config::parse(&full, Format::Toml).expect("no mistake"), as_it_is);

    let fake = format!("[pools.f]\nbackend = \"fake\"\n[pools.f.fake]\n{}", uncommented(fake));
    let fake = Config::parse(&fake, Format::Toml).expect("no mistake");
    let expected = PoolSpec { backend: BackendSpec::Fake(FakeSpec::default()), ..PoolSpec::default() };
    assert_eq!(fake.pools["f"], expected);

    let probes = uncommented(&probes).replace("command = []", "command = [\"true\"]");
    let probes = probes.replace("path = \"\"", "path = \"ready\"");
    let of = |at: usize, name: &str| {
        let table = probes.split("[pools.sandbox.health.").nth(at).expect(name);
        let text =
            format!("[pools.f]\nbackend = \"fake\"\nhealth.probe = \"{name}\"\n[pools.f.health.{table}");
        let mut config = Config::parse(&text, Format::Toml).expect(name);
        config.pools.remove("f").expect("the pool").health.probe
    };
    assert_eq!(of(1, "exec"), Probe::Exec(ExecProbe { command: vec!["true".to_owned()] }));
    assert_eq!(of(2, "http"), Probe::Http(HttpProbe::default()));
    assert_eq!(of(3, "tcp"), Probe::Tcp(TcpProbe::default()));
    assert_eq!(of(4, "file"), Probe::File(FileProbe { path: "ready".to_owned() }));
}

#[test]
fn what_the_pool_of_containers_leaves_out_is_the_default() {
    let text = file("config/docker.toml").replace("# [pools.sandbox.env]\n# LANG = \"C.UTF-8\"", "");
    let full = uncommented(&text);
    assert!(full.lines().count() == text.lines().count() && full != text);
    let config = Config::parse(&full, Format::Toml).expect("no mistake");
    assert_eq!(config, Config::parse(&text, Format::Toml).expect("no mistake"));
    let expected = ContainerSpec { image: "debian:12".to_owned(), ..ContainerSpec::default() };
    assert_eq!(config.pools["sandbox"].backend, BackendSpec::Docker(expected));
}

#[test]
fn the_table_has_every_key() {
    let table = reference_table();
    for KeyReference { scope, name, .. } in reference() {
        let prefix = if scope == Scope::Pool { "pools.NAME." } else { "" };
        assert!(table.contains(&format!("\n| `{prefix}{name}` | ")), "{name}");
    }
    let columns: Vec<_> = table.lines().map(|line| line.matches('|').count()).collect();
    assert!(columns.iter().all(|count| *count == 5), "{columns:?}");
}

/// The README's table is this one, from the day there is a README.
#[test]
fn the_readme_has_the_table() {
    if let Ok(readme) = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")) {
        assert!(readme.contains(&reference_table()), "README.md must contain:\n{}", reference_table());
    }
}

#[test]
fn the_formats_agree() {
    let toml = r#"
        shutdown_grace = "5s"
        [defaults]
        queue = 7
        env = { A = "1", B = "2" }
        [pools.one]
        backend = "fake"
        max_uses = "none"
        warm_up = ["a", "b c"]
        limits = { cpus = 2, memory = "1GiB" }
        env = { B = "3" }
        [pools.two]
        max = 9
    "#;
    let yaml = r#"
shutdown_grace: 5s
defaults: { queue: 7, env: { A: "1", B: "2" } }
pools:
  one:
    backend: fake
    max_uses: none
    warm_up: [a, b c]
    limits:
      cpus: 2
      memory: 1GiB
    env:
      B: '3'
  two:
    max: 9
"#;
    let json = r#"{
        "shutdown_grace": "5s",
        "defaults": { "queue": 7, "env": { "A": "1", "B": "2" } },
        "pools": {
            "one": {
                "backend": "fake", "max_uses": "none", "warm_up": ["a", "b c"],
                "limits": { "cpus": 2, "memory": "1GiB" }, "env": { "B": "3" }
            },
            "two": { "max": 9 }
        }
    }"#;
    let toml = Config::parse(toml, Format::Toml).expect("TOML");
    assert_eq!(Config::parse(yaml, Format::Yaml).expect("YAML"), toml);
    assert_eq!(Config::parse(json, Format::Json).expect("JSON"), toml);
    let one = &toml.pools["one"];
    assert_eq!(
        (one.queue, one.limits.cpus, one.env["A"].as_str(), one.env["B"].as_str()),
        (7, Some(2.0), "1", "3")
    );
}

#[test]
fn defaults_reach_only_the_pools_they_apply_to() {
    let text = "[defaults]\nmax = 7\nprocess.user = 1000\nfake.seed = 5\n[pools.p]\n[pools.f]\nbackend = \"fake\"\nmax = 8\n";
    let config = Config::parse(text, Format::Toml).expect("no mistake");
    assert_eq!((config.pools["p"].max, config.pools["f"].max), (7, 8));
    assert!(matches!(&config.pools["p"].backend, BackendSpec::Process(process) if process.user == 1000));
    assert!(matches!(&config.pools["f"].backend, BackendSpec::Fake(fake) if fake.seed == 5));
}

#[test]
fn what_is_printed_reads_back() {
    let text = "[pools.a]\nmax_uses = 5\nlimits.cpus = 0.1\n[pools.b]\nbackend = \"fake\"\nfake.seed = 18446744073709551615\n\
                [pools.c]\nbackend = \"custom\"\nwarm_up = [\"say \\\"hi\\\"\\u0007\\u007f\\n\"]\n";
    let config = Config::parse(text, Format::Toml).expect("no mistake");
    assert_eq!(Config::parse(&config.to_toml(), Format::Toml).expect("what was printed"), config);
}
