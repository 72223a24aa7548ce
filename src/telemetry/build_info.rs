//! Which build of the server this is.

use serde::Serialize;

/// The sources and compiler that this binary was built from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BuildInfo {
    /// The version of the package.
    pub version: &'static str,
    /// The commit, with `-dirty` behind it when the sources were not as the commit has them; `unknown`
    /// where there was no repository.
    pub revision: &'static str,
}

impl BuildInfo {
    /// This binary.
    pub const CURRENT: Self = Self {
        version: env!("CARGO_PKG_VERSION"),
        revision: env!("FLASHSALE_REVISION"),
    };

    /// This binary, as `--version` shows it.
    pub const TEXT: &'static str = concat!(
        env!("CARGO_PKG_VERSION"),
        " (",
        env!("FLASHSALE_REVISION"),
        ")"
    );
}
