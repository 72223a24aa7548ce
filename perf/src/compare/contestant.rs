//! Who takes part: bare hyper, the server, a second build of it, the floor, the usual designs, nginx.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use super::databases::{has_postgres, has_redis};

/// Items of every sale: far more than a turn sells.
pub const SALE_ITEMS: u32 = 1_000_000;

/// When a Redis syncs its log: `appendfsync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendFsync {
    /// Once a second, so that an answer may be lost.
    Everysec,
    /// Before every answer.
    Always,
}

/// A kind of process that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contestant {
    /// This binary's own `bare`.
    BareHyper,
    /// This binary's own `floor`.
    Floor,
    /// This binary's own `redis-lua`.
    RedisLua(AppendFsync),
    /// This binary's own `postgres-row`.
    PostgresRow,
    /// The server.
    Server {
        /// As it is shown.
        label: &'static str,
        /// Its binary.
        path: PathBuf,
    },
    /// nginx with `return 200`.
    Nginx {
        /// Its binary.
        path: PathBuf,
    },
}

impl Contestant {
    /// Returns its name as it is shown.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Contestant::BareHyper => "bare hyper",
            Contestant::Floor => "floor",
            Contestant::RedisLua(AppendFsync::Everysec) => "redis-lua, everysec",
            Contestant::RedisLua(AppendFsync::Always) => "redis-lua, always",
            Contestant::PostgresRow => "postgres-row",
            Contestant::Server { label, .. } => label,
            Contestant::Nginx { .. } => "nginx",
        }
    }

    /// Returns whether it is a build of the server.
    #[must_use]
    pub fn is_server(&self) -> bool {
        matches!(self, Contestant::Server { .. })
    }

    /// Returns whether it is one of the usual designs.
    #[must_use]
    pub fn is_usual_design(&self) -> bool {
        matches!(self, Contestant::RedisLua(_) | Contestant::PostgresRow)
    }

    /// Returns whether it sells, and does not give everybody the same answer.
    #[must_use]
    pub fn is_shop(&self) -> bool {
        self.is_server() || self.is_usual_design()
    }

    /// Returns the program that it needs and that is missing on this machine, if any.
    #[must_use]
    pub fn missing(&self) -> Option<&'static str> {
        match self {
            Contestant::RedisLua(_) if !has_redis() => Some("redis-server"),
            Contestant::PostgresRow if !has_postgres() => Some("postgresql"),
            _ => None,
        }
    }
}

/// One who takes part beside the server and bare hyper, where it is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Guest {
    /// Bare hyper with the least that a durable answer needs
    Floor,
    /// A function in Redis, whose log is synced once a second
    RedisLuaEverysec,
    /// A function in Redis, whose log is synced before every answer
    RedisLuaAlways,
    /// Rows in Postgres
    PostgresRow,
    /// nginx with a constant
    Nginx,
}

/// All who can take part.
#[derive(Clone, Debug)]
pub struct Contestants {
    servers: Vec<Contestant>,
    guests: Vec<Contestant>,
}

impl Contestants {
    /// The server and a second build of it, by their binaries, and `guests`: nginx only where it is installed.
    #[must_use]
    pub fn new(
        server: PathBuf,
        server_b: Option<PathBuf>,
        nginx: Option<PathBuf>,
        guests: &[Guest],
    ) -> Self {
        let labelled = |(label, path)| Contestant::Server { label, path };
        let b = server_b.map(|path| ("flashsale B", path));
        let servers = std::iter::once(("flashsale", server)).chain(b);
        let guest = |guest: &Guest| match guest {
            Guest::Floor => Some(Contestant::Floor),
            Guest::RedisLuaEverysec => Some(Contestant::RedisLua(AppendFsync::Everysec)),
            Guest::RedisLuaAlways => Some(Contestant::RedisLua(AppendFsync::Always)),
            Guest::PostgresRow => Some(Contestant::PostgresRow),
            Guest::Nginx => nginx.clone().map(|path| Contestant::Nginx { path }),
        };
        Self {
            servers: servers.map(labelled).collect(),
            guests: guests.iter().filter_map(guest).collect(),
        }
    }

    /// Returns the server, and its second build.
    pub fn servers(&self) -> impl Iterator<Item = &Contestant> {
        self.servers.iter()
    }

    /// Returns nginx, where it is installed and wanted.
    pub fn nginx(&self) -> impl Iterator<Item = &Contestant> {
        let is_nginx = |it: &&Contestant| matches!(it, Contestant::Nginx { .. });
        self.guests.iter().filter(is_nginx)
    }

    /// Returns the floor, where it is wanted.
    pub fn floor(&self) -> impl Iterator<Item = &Contestant> {
        self.guests.iter().filter(|it| **it == Contestant::Floor)
    }

    /// Returns the usual designs that are wanted.
    pub fn usual_designs(&self) -> impl Iterator<Item = &Contestant> {
        self.guests.iter().filter(|it| it.is_usual_design())
    }
}

/// The server's binary: the one that is named, or the one beside this binary, which is built first
/// where cargo runs this.
///
/// # Errors
/// There is none, or it cannot be built.
pub fn find_server(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = named {
        if !path.is_file() {
            bail!("{} is no file: give the server's binary", path.display());
        }
        return Ok(path.canonicalize()?);
    }
    if let Some(cargo) = std::env::var_os("CARGO") {
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--package", "flashsale"]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        eprintln!("building the server");
        let status = build.status().context("cannot run cargo")?;
        if !status.success() {
            bail!("the server cannot be built");
        }
    }
    let beside = std::env::current_exe()?.with_file_name("flashsale");
    if !beside.is_file() {
        bail!(
            "{} is missing: build it with `cargo build --release -p flashsale`, or name the server's \
             binary with --server",
            beside.display()
        );
    }
    Ok(beside)
}
