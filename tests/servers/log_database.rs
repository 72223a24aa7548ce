//! A database that keeps a replicated log, with the least that counts as its synchronous standby.

use std::process::{Child, Stdio};

use tempfile::TempDir;

use crate::postgres_server::{DATABASE, PASSWORD, Postgres, USER, as_server, new_directory};
use crate::server::{Place, Server, wait_for};

/// The name of the standby.
const STANDBY: &str = "receiver";

/// The database, and a program that keeps its write-ahead log: every commit waits for it.
pub struct LogDatabase {
    postgres: Postgres,
    receiver: Child,
    _received: TempDir,
}

impl LogDatabase {
    pub fn start() -> Self {
        let setting = format!("synchronous_standby_names={STANDBY}");
        let postgres = Postgres::start_with(&[&setting]);
        let received = new_directory();
        let mut receiver = as_server("pg_receivewal");
        receiver.args(["--synchronous", "--directory"]);
        receiver.arg(received.path()).arg("-h");
        receiver.arg(postgres.socket_dir());
        receiver.args(["-p", &postgres.port().to_string(), "-U", USER]);
        receiver.env("PGAPPNAME", STANDBY).stdin(Stdio::null());
        receiver.stdout(Stdio::null()).stderr(Stdio::null());
        Self {
            postgres,
            receiver: receiver.spawn().expect("pg_receivewal runs"),
            _received: received,
        }
    }

    /// Lets the place's servers replicate into it.
    pub fn use_for(&self, place: &mut Place) {
        let host = format!("{}:{}", self.postgres.host(), self.postgres.port());
        for (key, value) in [
            ("REPLICATION_ENGINE", "postgres"),
            ("REPLICATION_HOSTS", &*host),
            ("REPLICATION_USER", USER),
            ("REPLICATION_PASSWORD", PASSWORD),
            ("REPLICATION_DBNAME", DATABASE),
        ] {
            place.set(key, value);
        }
    }

    /// Starts the first server of the log in `place`, and waits until it sells.
    pub fn start_leader(&self, place: Place) -> Server {
        let server = Server::start_in(place);
        wait_for("the leadership", || {
            let answer = server.client().get("/readyz");
            (answer.status == 200).then_some(())
        });
        server
    }

    /// Lets the database stand still.
    pub fn pause(&self) {
        self.postgres.pause();
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.postgres.resume();
    }
}

impl Drop for LogDatabase {
    fn drop(&mut self) {
        let _ = self.receiver.kill();
        let _ = self.receiver.wait();
    }
}
