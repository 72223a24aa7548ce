//! Two real Postgres of the test's own: a primary, and a standby that every commit waits for.

use tempfile::TempDir;

use crate::postgres_server::{DATABASE, Postgres, wait_for};

/// The pair. Either may be killed and started again.
pub struct PostgresPair {
    pub primary: Postgres,
    pub standby: Postgres,
    /// The name that the primary has for its standby.
    name: &'static str,
}

impl PostgresPair {
    /// Starts both, and waits until commits wait for the standby.
    pub fn start() -> Self {
        let primary = Postgres::start();
        let standby = Postgres::start_standby(&primary, "second");
        let pair = Self {
            primary,
            standby,
            name: "second",
        };
        pair.require_standby();
        pair
    }

    fn require_standby(&self) {
        self.primary.set("synchronous_standby_names", self.name);
        wait_for("the standby to be synchronous", || {
            let state = "SELECT sync_state FROM pg_stat_replication";
            (self.primary.query(DATABASE, state) == "sync").then_some(())
        });
    }

    /// Kills the primary, makes a primary of the standby, and gives that one a new standby. The servers that were told of both find the new primary.
    pub fn fail_over(&mut self) {
        self.primary.kill_9();
        self.standby.query(DATABASE, "SELECT pg_promote()");
        let next = match self.name {
            "second" => "third",
            _ => "second",
        };
        let standby = Postgres::start_standby(&self.standby, next);
        // The old primary never comes back: its data is gone with it.
        self.primary = std::mem::replace(&mut self.standby, standby);
        self.name = next;
        self.require_standby();
    }

    /// Ends both, and goes on with the primary as it was in `backup`, and a new standby.
    pub fn restore(&mut self, backup: &TempDir) {
        self.primary.kill_9();
        self.standby.kill_9();
        self.primary.restore(backup);
        self.primary.restart();
        self.standby = Postgres::start_standby(&self.primary, self.name);
        self.require_standby();
    }

    /// Where the servers are, as `replication.hosts` wants it.
    pub fn hosts(&self) -> String {
        let host = |server: &Postgres| format!("{}:{}", server.host(), server.port());
        format!("{},{}", host(&self.primary), host(&self.standby))
    }

    /// What `sql` gives in the database of the log.
    pub fn query(&self, sql: &str) -> String {
        self.primary.query(DATABASE, sql)
    }
}
