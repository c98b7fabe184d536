use serde::Serialize;

/// What is known of a runtime's health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Nothing yet, or nothing that counts.
    #[default]
    Unknown,
    /// The last probe succeeded.
    Healthy,
    /// So many probes in a row failed that it is to be replaced.
    Unhealthy,
}
