use serde::Serialize;

/// What the `ostler` binary logs. A host application hands its own logger in, and this is not used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LogSpec {
    /// The least severe records that are written. Default `info`.
    pub level: LogLevel,
    /// How they are written. Default `text`.
    pub format: LogFormat,
}

/// How severe a record is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Ostler cannot go on.
    Critical,
    /// Something failed and somebody should look.
    Error,
    /// Something failed and was dealt with.
    Warning,
    /// What an operator wants to see.
    #[default]
    Info,
    /// What a developer of the application wants to see.
    Debug,
    /// What a developer of ostler wants to see.
    Trace,
}

/// How records are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines: one JSON object a line.
    Json,
}
