use crate::config::places::Places;
use crate::config::problem::Problem;
use crate::config::setting::{quoted, segment};
use crate::config::settings::Config;
use crate::model::{BackendSpec, ContainerSpec, PoolName, PoolSpec};

use super::rules::mounts;

/// Notes where pools of containers are in each other's way, or in ostler's own.
pub(in crate::config) fn check_apart(config: &Config, places: &Places, problems: &mut Vec<Problem>) {
    let pools: Vec<_> =
        config.pools.iter().filter_map(|(name, spec)| Some((name, container(spec)?))).collect();
    let mut note = |pool: &PoolName, key: &str, message: String| {
        let key = format!("pools.{}.container.{key}", segment(pool.as_str()));
        if !places.is_broken(&key) {
            problems.push(places.problem(&key, None, message));
        }
    };
    for (nth, (name, pool)) in pools.iter().enumerate() {
        if let Some(volume) = mounts(pool, &config.state_dir) {
            let dir = config.state_dir.display();
            note(name, "volumes", format!("{volume} and ostler's own directory {dir} have files in common"));
        }
        for (other_name, other) in pools.iter().take(nth) {
            for (port, taken) in
                pool.ports.iter().flat_map(|port| other.ports.iter().map(move |taken| (port, taken)))
            {
                if let Some(number) = port.conflict(taken) {
                    let (port, taken) = (quoted(&port.to_string()), quoted(&taken.to_string()));
                    let message = format!(
                        "{port} and {taken} of pools.{} both want port {number} of the host",
                        segment(other_name.as_str())
                    );
                    note(name, "ports", message);
                }
            }
        }
    }
}

fn container(spec: &PoolSpec) -> Option<&ContainerSpec> {
    match &spec.backend {
        BackendSpec::Docker(container) | BackendSpec::Podman(container) => Some(container),
        BackendSpec::Process(_) | BackendSpec::Fake(_) | BackendSpec::Custom => None,
    }
}
