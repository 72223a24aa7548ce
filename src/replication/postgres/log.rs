//! The log in two tables, each question one statement.

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::session::{Dial, Session, shown};
use crate::limits;
use crate::replication::log::holding_next;
use crate::replication::{
    Appended, Chain, Epoch, Head, LeaderProgress, LogEpoch, LogError, LogFrame, LogIdentity,
    Position, ReplicatedLog,
};
use crate::types::Lsn;

/// Makes what is missing. Each is a statement of its own, so that two servers may do it at once.
const MAKE: [&str; 3] = [
    "CREATE SCHEMA IF NOT EXISTS flashsale_replication",
    "CREATE TABLE IF NOT EXISTS flashsale_replication.logs (
         log text PRIMARY KEY, identity bigint NOT NULL, epoch bigint NOT NULL, holder text NOT NULL,
         base_lsn bigint NOT NULL, base_chain bigint NOT NULL, lsn bigint NOT NULL, chain bigint NOT NULL,
         acknowledged bigint NOT NULL, followed bigint NOT NULL DEFAULT 0, beat bigint NOT NULL, asked bigint NOT NULL DEFAULT 0)
         WITH (fillfactor = 20)",
    "CREATE TABLE IF NOT EXISTS flashsale_replication.frames (
         identity bigint NOT NULL, first_lsn bigint NOT NULL, last_lsn bigint NOT NULL, epoch bigint NOT NULL, chain bigint NOT NULL,
         payload bytea NOT NULL, PRIMARY KEY (identity, last_lsn))",
];

/// Finds the tables, and whether they are those that this build makes.
const TABLES: &str = "SELECT count(*) = 2, count(*) FILTER (WHERE EXISTS (
         SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'identity')) = count(*)
     FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
     WHERE nspname = 'flashsale_replication' AND relname IN ('logs', 'frames')";

/// The columns of a head, in the order of [`head_of`].
const HEAD: &str =
    "identity, epoch, holder, base_lsn, base_chain, lsn, chain, acknowledged, followed, beat";

/// The log with one name in a database.
pub struct PostgresLog {
    pub(super) session: Session,
    name: String,
}

impl PostgresLog {
    /// Creates the log `name`, which is not connected yet.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn new(dial: Box<dyn Dial>, name: String) -> std::io::Result<Self> {
        let session = Session::new(dial)?;
        Ok(Self { session, name })
    }

    /// Returns whether the tables of logs are there.
    ///
    /// # Errors
    /// The server does not answer, or its tables are those of another build.
    pub(super) fn has_tables(&mut self) -> Result<bool, LogError> {
        let rows = self.session.look(TABLES, &[])?;
        let found = rows
            .first()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
        let found = found.transpose().map_err(refused)?;
        match found.unwrap_or((false, true)) {
            (are_there, true) => Ok(are_there),
            (_, false) => Err(LogError::Refused(
                "the tables in the schema flashsale_replication are those of an earlier build, whose logs have no identity: let that build end, \
                 and drop the schema; the log is then made anew, behind the end of the first journal that joins"
                    .into(),
            )),
        }
    }
}

fn refused(error: tokio_postgres::Error) -> LogError {
    LogError::Refused(shown(&error))
}

fn heads(rows: &[Row]) -> Result<Option<Head>, LogError> {
    rows.first().map(head_of).transpose().map_err(refused)
}

fn lsn(number: i64) -> Lsn {
    Lsn(number.cast_unsigned())
}

fn number(epoch: Epoch) -> i64 {
    epoch.0.cast_signed()
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
        identity: LogIdentity::from_stored(row.try_get(0)?),
        epoch: Epoch(row.try_get::<_, i64>(1)?.cast_unsigned()),
        holder: row.try_get(2)?,
        base: place(3)?,
        last: place(5)?,
        acknowledged: lsn(row.try_get(7)?),
        followed: lsn(row.try_get(8)?),
        beat: row.try_get::<_, i64>(9)?.cast_unsigned(),
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
    fn prepare(&mut self) -> Result<(), LogError> {
        self.session.check_settings()?;
        if !self.has_tables()? {
            // Each says that it found what is there already. What is acknowledged later covers them, too.
            for statement in MAKE {
                self.session.look(statement, &[])?;
            }
        }
        Ok(())
    }

    fn peek(&mut self) -> Result<Option<Head>, LogError> {
        let statement = format!("SELECT {HEAD} FROM flashsale_replication.logs WHERE log = $1");
        let rows = self.session.look(&statement, &[(&self.name, Type::TEXT)])?;
        heads(&rows)
    }

    fn peek_unprepared(&mut self) -> Result<Option<Head>, LogError> {
        match self.has_tables()? {
            true => self.peek(),
            false => Ok(None),
        }
    }

    fn read_head(&mut self) -> Result<Option<Head>, LogError> {
        let statement = format!(
            "UPDATE flashsale_replication.logs SET asked = asked + 1 WHERE log = $1 RETURNING {HEAD}"
        );
        let rows = self.session.ask(&statement, &[(&self.name, Type::TEXT)])?;
        heads(&rows)
    }

    fn create(&mut self, identity: LogIdentity, base: Position) -> Result<(), LogError> {
        let statement = "INSERT INTO flashsale_replication.logs (log, identity, epoch, holder, base_lsn, base_chain, lsn, chain, acknowledged, beat)
             VALUES ($1, $2, 1, '', $3, $4, $3, $4, $3, 0) ON CONFLICT DO NOTHING";
        let asked = self.session.ask(
            statement,
            &[
                (&self.name, Type::TEXT),
                (&identity.to_stored(), Type::INT8),
                (&stored(base.lsn), Type::INT8),
                (&base.chain.to_stored(), Type::INT8),
            ],
        );
        asked.map(drop)
    }

    fn take(&mut self, seen: &Head, holder: &str) -> Result<Option<Head>, LogError> {
        let statement = format!(
            "UPDATE flashsale_replication.logs SET epoch = epoch + 1, holder = $4, beat = beat + 1
             WHERE log = $1 AND identity = $2 AND epoch = $3 AND beat = $5 RETURNING {HEAD}"
        );
        let rows = self.session.ask(
            &statement,
            &[
                (&self.name, Type::TEXT),
                (&seen.identity.to_stored(), Type::INT8),
                (&number(seen.epoch), Type::INT8),
                (&holder, Type::TEXT),
                (&seen.beat.cast_signed(), Type::INT8),
            ],
        )?;
        heads(&rows)
    }

    fn append(
        &mut self,
        epoch: LogEpoch,
        before: Position,
        frame: &LogFrame,
        progress: LeaderProgress,
    ) -> Result<Appended, LogError> {
        let statement = "WITH moved AS (
                 UPDATE flashsale_replication.logs SET lsn = $6, chain = $7, acknowledged = $8, followed = $9, beat = beat + 1
                 WHERE log = $1 AND identity = $2 AND epoch = $3 AND lsn = $4 AND chain = $5 RETURNING 1)
             INSERT INTO flashsale_replication.frames (identity, first_lsn, last_lsn, epoch, chain, payload)
             SELECT $2, $10, $6, $3, $7, $11 FROM moved RETURNING 1";
        let moved = self.session.ask(
            statement,
            &[
                (&self.name, Type::TEXT),
                (&epoch.log.to_stored(), Type::INT8),
                (&number(epoch.epoch), Type::INT8),
                (&stored(before.lsn), Type::INT8),
                (&before.chain.to_stored(), Type::INT8),
                (&stored(frame.last.lsn), Type::INT8),
                (&frame.last.chain.to_stored(), Type::INT8),
                (&stored(progress.acknowledged), Type::INT8),
                (&stored(progress.followed), Type::INT8),
                (&stored(frame.first), Type::INT8),
                (&frame.records, Type::BYTEA),
            ],
        )?;
        Ok(match moved.is_empty() {
            true => Appended::NotThere,
            false => Appended::Done,
        })
    }

    fn barrier(
        &mut self,
        epoch: LogEpoch,
        progress: LeaderProgress,
    ) -> Result<Option<Position>, LogError> {
        let statement = format!(
            "UPDATE flashsale_replication.logs SET beat = beat + 1, acknowledged = $4, followed = $5
             WHERE log = $1 AND identity = $2 AND epoch = $3 RETURNING {HEAD}"
        );
        let rows = self.session.ask(
            &statement,
            &[
                (&self.name, Type::TEXT),
                (&epoch.log.to_stored(), Type::INT8),
                (&number(epoch.epoch), Type::INT8),
                (&stored(progress.acknowledged), Type::INT8),
                (&stored(progress.followed), Type::INT8),
            ],
        )?;
        Ok(heads(&rows)?.map(|head| head.last))
    }

    fn offer(&mut self, epoch: LogEpoch) -> Result<bool, LogError> {
        let statement =
            "UPDATE flashsale_replication.logs SET holder = '', acknowledged = lsn, beat = beat + 1
             WHERE log = $1 AND identity = $2 AND epoch = $3 RETURNING 1";
        let offered = self.session.ask(
            statement,
            &[
                (&self.name, Type::TEXT),
                (&epoch.log.to_stored(), Type::INT8),
                (&number(epoch.epoch), Type::INT8),
            ],
        )?;
        Ok(!offered.is_empty())
    }

    fn read(
        &mut self,
        log: LogIdentity,
        after: Lsn,
        bytes_max: usize,
    ) -> Result<Vec<LogFrame>, LogError> {
        // All that are up to the limit, and the first in any case.
        let statement = "SELECT first_lsn, last_lsn, chain, payload FROM (
                 SELECT first_lsn, last_lsn, chain, payload, sum(length(payload)) OVER (ORDER BY last_lsn) - length(payload) AS before
                 FROM (SELECT * FROM flashsale_replication.frames WHERE identity = $1 AND last_lsn > $2 ORDER BY last_lsn LIMIT $4) AS next
             ) AS summed WHERE before < $3 ORDER BY last_lsn";
        let rows = self.session.look_further(
            statement,
            &[
                (&log.to_stored(), Type::INT8),
                (&stored(after), Type::INT8),
                (&(bytes_max as i64), Type::INT8),
                (&limits::POSTGRES_PAGE_FRAMES_MAX, Type::INT8),
            ],
        )?;
        let frames: Result<Vec<_>, _> = rows.iter().map(frame_of).collect();
        holding_next(frames.map_err(refused)?, after)
    }

    fn trim(&mut self, log: LogIdentity, through: Lsn) -> Result<(), LogError> {
        if through == Lsn::ZERO {
            return Ok(());
        }
        // A piece at a time, because appends wait for it.
        let pieces = limits::POSTGRES_TRIM_FRAMES;
        let statement = "DELETE FROM flashsale_replication.frames WHERE identity = $1 AND last_lsn IN (
             SELECT last_lsn FROM flashsale_replication.frames WHERE identity = $1 AND last_lsn <= $2 ORDER BY last_lsn LIMIT $3)";
        let asked = self.session.ask(
            statement,
            &[
                (&log.to_stored(), Type::INT8),
                (&stored(through), Type::INT8),
                (&pieces, Type::INT8),
            ],
        );
        asked.map(drop)
    }
}
