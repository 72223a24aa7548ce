//! The contestants of the curve, by the names of the command line.

use std::path::Path;

use clap::ValueEnum;

use crate::compare::contestant::{AppendFsync, Contestant};

/// One who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// The server, whose answers are on the disk
    Flashsale,
    /// Bare hyper with the least that a durable answer needs
    Floor,
    /// Bare hyper with a constant
    Bare,
    /// A function in Redis, whose log is synced before every answer
    RedisLua,
    /// Rows in Postgres
    PostgresRow,
}

impl Name {
    /// Returns the contestant; `server` is the server's binary.
    #[must_use]
    pub fn contestant(self, server: &Path) -> Contestant {
        match self {
            Self::Flashsale => Contestant::Server {
                label: "flashsale",
                path: server.to_owned(),
            },
            Self::Floor => Contestant::Floor,
            Self::Bare => Contestant::BareHyper,
            Self::RedisLua => Contestant::RedisLua(AppendFsync::Always),
            Self::PostgresRow => Contestant::PostgresRow,
        }
    }
}

/// Returns those that are `wanted`, in the order in which they are shown; all of them without any.
#[must_use]
pub fn select(wanted: &[Name]) -> Vec<Name> {
    let is_wanted = |name: &&Name| wanted.is_empty() || wanted.contains(name);
    let all = Name::value_variants().iter();
    all.filter(is_wanted).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_selected_once_and_in_the_order_of_the_figure() {
        assert_eq!(select(&[]).len(), 5);
        let wanted = [Name::RedisLua, Name::Flashsale, Name::RedisLua];
        assert_eq!(select(&wanted), [Name::Flashsale, Name::RedisLua]);
    }
}
