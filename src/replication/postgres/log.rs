//! The log in two tables, each question one statement.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use super::settings::{self, Settings};
use crate::limits;
use crate::replication::log::holding_next;
use crate::replication::{
    Appended, Chain, Epoch, Head, LogError, LogFrame, Position, ReplicatedLog,
};
use crate::types::Lsn;

const ANSWER: Duration = Duration::from_secs(limits::LOG_ANSWER_SECONDS);

/// Makes what is missing. Each is a statement of its own, so that two servers may do it at once.
const MAKE: [&str; 3] = [
    "CREATE SCHEMA IF NOT EXISTS flashsale_replication",
    "CREATE TABLE IF NOT EXISTS flashsale_replication.logs (
         log text PRIMARY KEY, epoch bigint NOT NULL, holder text NOT NULL,
         base_lsn bigint NOT NULL, base_chain bigint NOT NULL, lsn bigint NOT NULL, chain bigint NOT NULL,
         acknowledged bigint NOT NULL, beat bigint NOT NULL, asked bigint NOT NULL DEFAULT 0)
         WITH (fillfactor = 20)",
    "CREATE TABLE IF NOT EXISTS flashsale_replication.frames (
         log text NOT NULL, first_lsn bigint NOT NULL, last_lsn bigint NOT NULL, epoch bigint NOT NULL, chain bigint NOT NULL,
         payload bytea NOT NULL, PRIMARY KEY (log, last_lsn))",
];

/// The columns of a head, in the order of [`head_of`].
const HEAD: &str = "epoch, holder, base_lsn, base_chain, lsn, chain, acknowledged, beat";

/// A connection, with the task that moves its bytes.
pub struct Dialled {
    /// The connection.
    pub client: Client,
    /// The task.
    pub task: JoinHandle<()>,
}

impl Drop for Dialled {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The result of dialling.
pub type DialFuture<'a> = Pin<Box<dyn Future<Output = Result<Dialled, String>> + 'a>>;

/// Connects to the server that takes changes.
pub trait Dial: Send {
    /// Connects. `warned` is set whenever the server says something that was not asked for.
    fn dial(&self, warned: Arc<AtomicBool>) -> DialFuture<'_>;

    /// Returns where the servers are. Holds no secret.
    fn address(&self) -> String;
}

/// The log with one name in a database.
pub struct PostgresLog {
    runtime: Runtime,
    dial: Box<dyn Dial>,
    name: String,
    warned: Arc<AtomicBool>,
    connection: Option<Dialled>,
}

pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

impl PostgresLog {
    /// Creates the log `name`, which is not connected yet.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn new(dial: Box<dyn Dial>, name: String) -> std::io::Result<Self> {
        Ok(Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
            dial,
            name,
            warned: Arc::default(),
            connection: None,
        })
    }

    /// Makes the tables where they are missing, and checks the settings.
    ///
    /// # Errors
    /// The server does not answer, or its settings void the promise.
    pub fn prepare(&mut self) -> Result<Settings, LogError> {
        let settings = self.look(settings::READ, &[])?;
        let settings = settings.first().map(Settings::of_row).transpose();
        let settings = settings
            .map_err(|error| unknown(&shown(&error)))?
            .ok_or_else(|| unknown("no answer"))?;
        settings.check().map_err(LogError::Unsafe)?;
        let are_there = "SELECT 1 WHERE to_regclass('flashsale_replication.logs') IS NOT NULL
             AND to_regclass('flashsale_replication.frames') IS NOT NULL";
        if self.look(are_there, &[])?.is_empty() {
            // Each says that it found what is there already. What is acknowledged later covers them, too.
            for statement in MAKE {
                self.look(statement, &[])?;
            }
        }
        Ok(settings)
    }

    /// Asks one statement. What it changed is acknowledged.
    fn ask(&mut self, statement: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, LogError> {
        self.asked(statement, parameters, true)
    }

    /// Asks one statement whose outcome may not be replicated.
    pub(super) fn look(
        &mut self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, LogError> {
        self.asked(statement, parameters, false)
    }

    fn asked(
        &mut self,
        statement: &str,
        parameters: &[Parameter<'_>],
        changes: bool,
    ) -> Result<Vec<Row>, LogError> {
        let (connection, warned) = (self.connection.take(), &self.warned);
        let dial = &*self.dial;
        let answer = self.runtime.block_on(async {
            let connected = async {
                match connection {
                    Some(connection) if !connection.client.is_closed() => Ok(connection),
                    _ => dial.dial(Arc::clone(warned)).await,
                }
            };
            let slow = |_| format!("no answer within {} s", ANSWER.as_secs());
            let connection = timeout(ANSWER, connected).await.map_err(slow)??;
            warned.store(false, Ordering::SeqCst);
            let client = &connection.client;
            let asked = client.query_typed(statement, parameters);
            let answered = async {
                if !changes {
                    return Ok((asked.await?, None));
                }
                // Sent together. The second is read after the first has been committed, and has waited for the standby.
                let (rows, checked) = tokio::join!(asked, client.query_typed(settings::READ, &[]));
                let (rows, checked) = (rows?, checked?);
                let settings = checked.first().map(Settings::of_row).transpose()?;
                Ok::<_, tokio_postgres::Error>((rows, settings))
            };
            let answered = timeout(ANSWER, answered).await.map_err(slow)?;
            let answered = answered.map_err(|error| shown(&error))?;
            Ok::<_, String>((answered, connection))
        });
        // Otherwise the connection is gone, with what it may still be doing.
        let ((rows, settings), connection) = answer.map_err(LogError::Unknown)?;
        if let Some(settings) = settings {
            settings.check().map_err(LogError::Unsafe)?;
        }
        if changes && self.warned.load(Ordering::SeqCst) {
            return Err(unknown(
                "the server answered with a warning: the wait for its standby may have been cancelled",
            ));
        }
        self.connection = Some(connection);
        Ok(rows)
    }

    fn heads(&mut self, rows: &[Row]) -> Result<Option<Head>, LogError> {
        let head = rows.first().map(head_of).transpose();
        head.map_err(|error| LogError::Refused(shown(&error)))
    }
}

fn unknown(what: &str) -> LogError {
    LogError::Unknown(what.to_owned())
}

/// Shows an error without what was sent.
fn shown(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => format!(
            "{}: {} ({})",
            said.severity(),
            said.message(),
            said.code().code()
        ),
        None => error.to_string(),
    }
}

fn lsn(number: i64) -> Lsn {
    Lsn(number.cast_unsigned())
}

fn stored(lsn: Lsn) -> i64 {
    lsn.0.cast_signed()
}

fn head_of(row: &Row) -> Result<Head, tokio_postgres::Error> {
    let place = |at: usize| {
        Ok::<_, tokio_postgres::Error>(Position {
            lsn: lsn(row.try_get(at)?),
            chain: Chain::from_stored(row.try_get(at + 1)?),
        })
    };
    Ok(Head {
        epoch: Epoch(row.try_get::<_, i64>(0)?.cast_unsigned()),
        holder: row.try_get(1)?,
        base: place(2)?,
        last: place(4)?,
        acknowledged: lsn(row.try_get(6)?),
        beat: row.try_get::<_, i64>(7)?.cast_unsigned(),
    })
}

fn frame_of(row: &Row) -> Result<LogFrame, tokio_postgres::Error> {
    Ok(LogFrame {
        first: lsn(row.try_get(0)?),
        last: Position {
            lsn: lsn(row.try_get(1)?),
            chain: Chain::from_stored(row.try_get(2)?),
        },
        records: row.try_get(3)?,
    })
}

impl ReplicatedLog for PostgresLog {
    fn peek(&mut self) -> Result<Option<Head>, LogError> {
        let name = self.name.clone();
        let statement = format!("SELECT {HEAD} FROM flashsale_replication.logs WHERE log = $1");
        let rows = self.look(&statement, &[(&name, Type::TEXT)])?;
        self.heads(&rows)
    }

    fn read_head(&mut self) -> Result<Option<Head>, LogError> {
        let name = self.name.clone();
        let statement = format!(
            "UPDATE flashsale_replication.logs SET asked = asked + 1 WHERE log = $1 RETURNING {HEAD}"
        );
        let rows = self.ask(&statement, &[(&name, Type::TEXT)])?;
        self.heads(&rows)
    }

    fn create(&mut self, base: Position) -> Result<bool, LogError> {
        let name = self.name.clone();
        let statement = "INSERT INTO flashsale_replication.logs (log, epoch, holder, base_lsn, base_chain, lsn, chain, acknowledged, beat)
             VALUES ($1, 1, '', $2, $3, $2, $3, $2, 0) ON CONFLICT DO NOTHING RETURNING 1";
        let (at, chain) = (stored(base.lsn), base.chain.to_stored());
        let made = self.ask(
            statement,
            &[(&name, Type::TEXT), (&at, Type::INT8), (&chain, Type::INT8)],
        )?;
        Ok(!made.is_empty())
    }

    fn take(&mut self, seen: Epoch, holder: &str) -> Result<Option<Head>, LogError> {
        let name = self.name.clone();
        let statement = format!(
            "UPDATE flashsale_replication.logs SET epoch = epoch + 1, holder = $3, beat = beat + 1 WHERE log = $1 AND epoch = $2 RETURNING {HEAD}"
        );
        let seen = seen.0.cast_signed();
        let rows = self.ask(
            &statement,
            &[
                (&name, Type::TEXT),
                (&seen, Type::INT8),
                (&holder, Type::TEXT),
            ],
        )?;
        self.heads(&rows)
    }

    fn append(
        &mut self,
        epoch: Epoch,
        before: Position,
        frame: &LogFrame,
        acknowledged: Lsn,
    ) -> Result<Appended, LogError> {
        let name = self.name.clone();
        let statement = "WITH moved AS (
                 UPDATE flashsale_replication.logs SET lsn = $5, chain = $6, acknowledged = $7, beat = beat + 1
                 WHERE log = $1 AND epoch = $2 AND lsn = $3 AND chain = $4 RETURNING 1)
             INSERT INTO flashsale_replication.frames (log, first_lsn, last_lsn, epoch, chain, payload)
             SELECT $1, $8, $5, $2, $6, $9 FROM moved RETURNING 1";
        let epoch = epoch.0.cast_signed();
        let (from, chain) = (stored(before.lsn), before.chain.to_stored());
        let (to, new_chain) = (stored(frame.last.lsn), frame.last.chain.to_stored());
        let (acknowledged, first) = (stored(acknowledged), stored(frame.first));
        let moved = self.ask(
            statement,
            &[
                (&name, Type::TEXT),
                (&epoch, Type::INT8),
                (&from, Type::INT8),
                (&chain, Type::INT8),
                (&to, Type::INT8),
                (&new_chain, Type::INT8),
                (&acknowledged, Type::INT8),
                (&first, Type::INT8),
                (&frame.records, Type::BYTEA),
            ],
        )?;
        Ok(match moved.is_empty() {
            true => Appended::NotThere,
            false => Appended::Done,
        })
    }

    fn barrier(&mut self, epoch: Epoch, acknowledged: Lsn) -> Result<Option<Position>, LogError> {
        let name = self.name.clone();
        let statement = format!(
            "UPDATE flashsale_replication.logs SET beat = beat + 1, acknowledged = $3 WHERE log = $1 AND epoch = $2 RETURNING {HEAD}"
        );
        let (epoch, acknowledged) = (epoch.0.cast_signed(), stored(acknowledged));
        let rows = self.ask(
            &statement,
            &[
                (&name, Type::TEXT),
                (&epoch, Type::INT8),
                (&acknowledged, Type::INT8),
            ],
        )?;
        Ok(self.heads(&rows)?.map(|head| head.last))
    }

    fn offer(&mut self, epoch: Epoch) -> Result<(), LogError> {
        let name = self.name.clone();
        let statement = "UPDATE flashsale_replication.logs SET holder = '', acknowledged = lsn, beat = beat + 1 WHERE log = $1 AND epoch = $2";
        let epoch = epoch.0.cast_signed();
        self.ask(statement, &[(&name, Type::TEXT), (&epoch, Type::INT8)])
            .map(drop)
    }

    fn read(&mut self, after: Lsn, bytes_max: usize) -> Result<Vec<LogFrame>, LogError> {
        let name = self.name.clone();
        // All that are up to the limit, and the first in any case.
        let statement = "SELECT first_lsn, last_lsn, chain, payload FROM (
                 SELECT first_lsn, last_lsn, chain, payload, sum(length(payload)) OVER (ORDER BY last_lsn) - length(payload) AS before
                 FROM (SELECT * FROM flashsale_replication.frames WHERE log = $1 AND last_lsn > $2 ORDER BY last_lsn LIMIT 1000) AS next
             ) AS summed WHERE before < $3 ORDER BY last_lsn";
        let (after_lsn, bytes) = (stored(after), bytes_max as i64);
        let rows = self.look(
            statement,
            &[
                (&name, Type::TEXT),
                (&after_lsn, Type::INT8),
                (&bytes, Type::INT8),
            ],
        )?;
        let frames: Result<Vec<_>, _> = rows.iter().map(frame_of).collect();
        let frames = frames.map_err(|error| LogError::Refused(shown(&error)))?;
        holding_next(frames, after)
    }

    fn trim(&mut self, through: Lsn) -> Result<(), LogError> {
        let name = self.name.clone();
        // A piece at a time, because appends wait for it.
        let statement = "DELETE FROM flashsale_replication.frames WHERE log = $1 AND last_lsn IN (
             SELECT last_lsn FROM flashsale_replication.frames WHERE log = $1 AND last_lsn <= $2 ORDER BY last_lsn LIMIT 200)";
        let through = stored(through);
        self.ask(statement, &[(&name, Type::TEXT), (&through, Type::INT8)])
            .map(drop)
    }
}
