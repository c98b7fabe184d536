use std::fmt::Write as _;

use crate::model::{
    BackendSpec, ContainerSpec, ExecProbe, FakeSpec, FileProbe, HealthSpec, HttpProbe, PoolSpec, Probe,
    TcpProbe,
};

use super::key::Key;
use super::keys::{TOP, pool};
use super::settings::Config;

/// What there is to know about one key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyReference {
    /// Where it goes.
    pub scope: Scope,
    /// Its name there, with the table it is in: `health.interval`.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// Its default, as TOML; in words where the host decides.
    pub default: String,
    /// What it may be. Both ends of a range belong to it.
    pub bounds: String,
}

/// Where a key goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// At the top of the file.
    Top,
    /// In `[pools.NAME]` or `[defaults]`.
    Pool,
}

/// Every key there is, in the order of documentation.
#[must_use]
pub fn reference() -> Vec<KeyReference> {
    let top = Config::without_pools();
    let backends = [BackendSpec::Docker(ContainerSpec::default()), BackendSpec::Fake(FakeSpec::default())];
    let probes = [
        Probe::Exec(ExecProbe::default()),
        Probe::Http(HttpProbe::default()),
        Probe::Tcp(TcpProbe::default()),
        Probe::File(FileProbe::default()),
    ];
    let with_backend = |backend| PoolSpec { backend, ..PoolSpec::default() };
    let with_probe = |probe| {
        let health = HealthSpec { probe, ..HealthSpec::default() };
        PoolSpec { health, ..PoolSpec::default() }
    };
    let others = backends.into_iter().map(with_backend).chain(probes.into_iter().map(with_probe));
    let pools: Vec<_> = std::iter::once(PoolSpec::default()).chain(others).collect();
    let pools: Vec<_> = pools.iter().collect();
    let in_top = TOP.iter().map(|key| match key.name {
        "state_dir" => entry(Scope::Top, key, "$XDG_RUNTIME_DIR/ostler, else one of the host's".to_owned()),
        _ => entry(Scope::Top, key, default(key, &[&top])),
    });
    let in_pool = pool().map(|key| entry(Scope::Pool, key, default(key, &pools)));
    in_top.chain(in_pool).collect()
}

fn entry<S>(scope: Scope, key: &Key<S>, default: String) -> KeyReference {
    KeyReference { scope, name: key.name, meaning: key.doc, default, bounds: key.bounds() }
}

/// The default of a key, from the first spec that it applies to.
fn default<S>(key: &Key<S>, specs: &[&S]) -> String {
    let setting = specs.iter().find_map(|spec| (key.get)(spec));
    setting.map_or_else(String::new, |setting| key.kind.show(&setting))
}

/// [`reference()`] as a Markdown table, for the README.
#[must_use]
pub fn reference_table() -> String {
    let mut table = String::from("| key | meaning | default | bounds |\n|---|---|---|---|\n");
    for KeyReference { scope, name, meaning, default, bounds } in reference() {
        let prefix = match scope {
            Scope::Top => "",
            Scope::Pool => "pools.NAME.",
        };
        // Writing to a string does not fail.
        let _ = writeln!(table, "| `{prefix}{name}` | {meaning} | `{default}` | {bounds} |");
    }
    table
}
