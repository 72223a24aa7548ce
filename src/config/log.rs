//! The settings of the log.

/// The log.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// A level or a filter directive.
    pub level: String,
    /// The format of a line.
    pub format: LogFormat,
}

/// The format of a line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object.
    Json,
}

impl LogFormat {
    pub(super) const NAMES: [(&str, Self); 2] = [("human", Self::Human), ("json", Self::Json)];
}
