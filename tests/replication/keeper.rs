//! What keeps the log of a group: a pair of Postgres, or three members of etcd.

use std::env;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flashsale::app::configured_log::open_log;
use flashsale::config::{
    Config, ConfigFile, ConfigSources, Overrides, ReplicationConfig, SecretsNeeded,
};
use flashsale::replication::ReplicatedLog;
use serde_json::Value;

use crate::etcd::Etcd;
use crate::postgres_pair::PostgresPair;
use crate::postgres_server::{DATABASE, PASSWORD, USER};

/// The environment variable that names what keeps the log.
const ENGINE_VARIABLE: &str = "FLASHSALE_ENGINE";

/// Defines a module for each engine, with a test for each of these functions, which take the engine.
macro_rules! on_each_engine {
    ($($test:ident),* $(,)?) => {
        mod on_postgres {
            $(#[test] fn $test() { super::$test(crate::replication::keeper::LogEngine::Postgres); })*
        }
        mod on_etcd {
            $(#[test] fn $test() { super::$test(crate::replication::keeper::LogEngine::Etcd); })*
        }
    };
}
pub(super) use on_each_engine;

/// An engine that can keep a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogEngine {
    Postgres,
    Etcd,
}

impl LogEngine {
    /// The engine of this name, as `replication.engine` has it.
    pub fn named(name: &str) -> Self {
        match name {
            "postgres" => Self::Postgres,
            "etcd" => Self::Etcd,
            other => panic!("{other:?} is no engine: postgres or etcd"),
        }
    }

    /// The engine that `scripts/campaign` was told.
    pub fn from_environment() -> Self {
        env::var(ENGINE_VARIABLE).map_or(Self::Postgres, |name| Self::named(&name))
    }

    /// Starts a keeper of this kind, as many machines as it takes to lose one.
    pub fn start(self) -> Keeper {
        match self {
            Self::Postgres => Keeper::Postgres(PostgresPair::start()),
            Self::Etcd => Keeper::Etcd(Etcd::start(3)),
        }
    }
}

/// A running keeper.
pub enum Keeper {
    Postgres(PostgresPair),
    Etcd(Etcd),
}

impl Keeper {
    /// The settings of a server that replicates into it.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Postgres(pair) => on_postgres(&pair.hosts()),
            Self::Etcd(etcd) => vec![
                ("REPLICATION_ENGINE", "etcd".to_owned()),
                ("REPLICATION_HOSTS", etcd.hosts()),
            ],
        }
    }

    /// Its log as a server reaches it.
    pub fn open(&self) -> Box<dyn ReplicatedLog> {
        self.open_named("flashsale")
    }

    /// The log `name` as a server reaches it.
    pub fn open_named(&self, name: &str) -> Box<dyn ReplicatedLog> {
        let mut settings = self.settings();
        settings.push(("REPLICATION_LOG", name.to_owned()));
        open_log(&configured(&settings)).expect("it can be asked")
    }

    /// The pair of Postgres that it must be.
    pub fn pair(&mut self) -> &mut PostgresPair {
        match self {
            Self::Postgres(pair) => pair,
            Self::Etcd(_) => panic!("it is an etcd"),
        }
    }

    /// The etcd that it must be.
    pub fn etcd(&mut self) -> &mut Etcd {
        match self {
            Self::Etcd(etcd) => etcd,
            Self::Postgres(_) => panic!("it is a pair of Postgres"),
        }
    }

    /// Lets the log come back as it was behind its first `frames` frames.
    pub fn restore_to_frame(&self, frames: usize) {
        match self {
            // Locked, because the leader appends meanwhile.
            Self::Postgres(pair) => pair.query(&format!(
                "LOCK TABLE flashsale_replication.logs, flashsale_replication.frames;
                WITH kept AS (
                    SELECT last_lsn, chain FROM flashsale_replication.frames ORDER BY last_lsn OFFSET {frames} LIMIT 1),
                gone AS (DELETE FROM flashsale_replication.frames WHERE last_lsn > (SELECT last_lsn FROM kept) RETURNING 1)
                UPDATE flashsale_replication.logs SET lsn = (SELECT last_lsn FROM kept), chain = (SELECT chain FROM kept),
                    acknowledged = (SELECT last_lsn FROM kept)"
            )),
            Self::Etcd(etcd) => restore_to_frame(etcd, frames),
        };
    }

    /// Removes the log, as if it had never been.
    pub fn remove_log(&self) {
        match self {
            Self::Postgres(pair) => pair.query("DELETE FROM flashsale_replication.logs"),
            Self::Etcd(etcd) => etcd.ctl(&["del", "--prefix", "flashsale/replication/"]),
        };
    }
}

fn restore_to_frame(etcd: &Etcd, frames: usize) -> String {
    const LOG: &str = "flashsale/replication/flashsale";
    let identity = etcd.ctl(&["get", "--print-value-only", &format!("{LOG}/head/identity")]);
    let below = format!("{LOG}/{identity}/frames");
    let limit = (frames + 1).to_string();
    let found = etcd.ctl(&["get", "--prefix", &below, "--limit", &limit, "-w", "json"]);
    let found: Value = serde_json::from_str(&found).expect("JSON");
    let kept = found["kvs"].as_array().and_then(|it| it.last());
    let kept = kept.expect("there are frames");
    let bytes = |name: &str| {
        let text = kept[name].as_str().expect("a text");
        BASE64_STANDARD.decode(text).expect("base64")
    };
    let (key, value) = (bytes("key"), bytes("value"));
    let key = String::from_utf8(key).expect("UTF-8");
    let lsn = key.rsplit('/').next().expect("a number");
    let lsn: u64 = lsn.parse().expect("a number");
    // Behind the form and the first record.
    let chain = value[9..17].try_into().expect("8 bytes");
    let chain = format!("{:016x}", u64::from_be_bytes(chain));
    etcd.txn(&[
        &format!("del {below}/{:020} {below}0", lsn + 1),
        &format!("put {LOG}/head/last \"{lsn} {chain}\""),
        &format!("put {LOG}/head/sign \"{lsn} 0\""),
    ])
}

/// The settings of a server that replicates into the Postgres on these hosts.
pub fn on_postgres(hosts: &str) -> Vec<(&'static str, String)> {
    let settings = [
        ("REPLICATION_ENGINE", "postgres"),
        ("REPLICATION_HOSTS", hosts),
        ("REPLICATION_USER", USER),
        ("REPLICATION_PASSWORD", PASSWORD),
        ("REPLICATION_DBNAME", DATABASE),
    ];
    settings.map(|(key, value)| (key, value.to_owned())).into()
}

/// What a server makes of these settings.
pub fn configured(settings: &[(&'static str, String)]) -> ReplicationConfig {
    let environment = |name: &str| {
        let found = settings.iter().find(|(variable, _)| *variable == name)?;
        Some(found.1.clone())
    };
    let sources = ConfigSources {
        file: ConfigFile::IfPresent("no-such-file.json".into()),
        environment: &environment,
        overrides: Overrides::default(),
        secrets: SecretsNeeded::All,
    };
    let config = Config::load(&sources).expect("allowed");
    config.replication.expect("it is on")
}
