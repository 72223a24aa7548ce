//! The database that keeps the log, as a command finds it. Nothing is changed by looking.

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::log::PostgresLog;
use super::session::shown;
use super::settings::{self, Settings};
use crate::replication::{Head, LogError, ReplicatedLog};

/// Reads the rights of the user: to make the schema, to make tables in it, to use it, and to use each table as a server does. NULL for what is not
/// there.
const RIGHTS: &str = "WITH tables AS (
         SELECT relname, pg_class.oid AS id FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
         WHERE nspname = 'flashsale_replication'),
     schemas AS (SELECT oid AS id FROM pg_namespace WHERE nspname = 'flashsale_replication')
     SELECT has_database_privilege(current_database(), 'CREATE'),
         (SELECT has_schema_privilege(id, 'CREATE') FROM schemas),
         (SELECT has_schema_privilege(id, 'USAGE') FROM schemas),
         (SELECT has_table_privilege(id, 'SELECT') AND has_table_privilege(id, 'INSERT') AND has_table_privilege(id, 'UPDATE')
          FROM tables WHERE relname = 'logs'),
         (SELECT has_table_privilege(id, 'SELECT') AND has_table_privilege(id, 'INSERT') AND has_table_privilege(id, 'DELETE')
          FROM tables WHERE relname = 'frames')";
const STANDBYS: &str =
    "SELECT application_name, state, sync_state FROM pg_stat_replication ORDER BY 1";

/// The database that keeps a log, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSurvey {
    /// The settings that the promise rests on.
    pub settings: Settings,
    /// The standbys that are connected.
    pub standbys: Vec<ConnectedStandby>,
    /// Whether the tables of logs are there.
    pub has_tables: bool,
    /// Whether the user may make what is missing of them.
    pub may_create: bool,
    /// The parts of the log that the user may not use as a server does: the schema or a table.
    pub denied: Vec<&'static str>,
    /// The log; `None` where there is none of that name.
    pub head: Option<Head>,
}

/// A standby of the database that is connected to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectedStandby {
    /// Its name (`application_name`).
    pub name: String,
    /// The state of the connection, `streaming` once it has caught up; `None` where the user may not see it.
    pub state: Option<String>,
    /// Whether commits wait for it: `sync` if so; `None` where the user may not see it.
    pub sync_state: Option<String>,
}

impl PostgresLog {
    /// Reads everything that says whether a server can use this log.
    ///
    /// # Errors
    /// The database does not answer.
    pub fn survey(&mut self) -> Result<LogSurvey, LogError> {
        let settings = self.one(settings::READ, Settings::of_row)?;
        let standbys = self.session.look(STANDBYS, &[])?;
        let standbys: Result<_, _> = standbys.iter().map(standby_of).collect();
        let rights = self.one(RIGHTS, |row| {
            let right = |at| row.try_get::<_, Option<bool>>(at);
            Ok([right(0)?, right(1)?, right(2)?, right(3)?, right(4)?])
        })?;
        let [may_create_schema, may_create_in, schema, logs, frames] = rights;
        let has_tables = self.has_tables()?;
        let parts = [
            ("schema flashsale_replication", schema),
            ("logs", logs),
            ("frames", frames),
        ];
        let denied = parts
            .into_iter()
            .filter_map(|(part, may_use)| (may_use == Some(false)).then_some(part));
        let denied: Vec<_> = denied.collect();
        let may_look = has_tables && denied.is_empty();
        Ok(LogSurvey {
            settings,
            standbys: standbys.map_err(refused)?,
            has_tables,
            may_create: may_create_in.or(may_create_schema) == Some(true),
            denied,
            head: may_look.then(|| self.peek()).transpose()?.flatten(),
        })
    }

    fn one<T>(
        &mut self,
        question: &str,
        read: impl FnOnce(&Row) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, LogError> {
        let rows = self.session.look(question, &[] as &[(_, Type)])?;
        let row = rows
            .first()
            .ok_or_else(|| LogError::Unknown("no answer".into()))?;
        read(row).map_err(refused)
    }
}

fn refused(error: tokio_postgres::Error) -> LogError {
    LogError::Refused(shown(&error))
}

fn standby_of(row: &Row) -> Result<ConnectedStandby, tokio_postgres::Error> {
    Ok(ConnectedStandby {
        name: row.try_get::<_, Option<String>>(0)?.unwrap_or_default(),
        state: row.try_get(1)?,
        sync_state: row.try_get(2)?,
    })
}
