//! What a database is and lets its user do, for who wants to know before a server is started.

use tokio_postgres::Row;

use super::connection::{PostgresDial, Purpose};
use super::failure::explain;
use super::options::PostgresOptions;
use crate::reconcile::{SinkError, Watermark};
use crate::types::Lsn;

/// A database, as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresSurvey {
    /// The server's version, as `150018`.
    pub version: i32,
    /// Whether this connection is encrypted.
    pub is_encrypted: bool,
    /// Whether the user is above all privileges.
    pub is_superuser: bool,
    /// Whether it is a standby, to which nobody can write.
    pub is_standby: bool,
    /// Whether the user may make tables, which migrations need.
    pub may_create: bool,
    /// What a server must do and this user may not, such as `add to sales`.
    pub denied: Vec<String>,
    /// How far it has followed a journal; `None` without tables.
    pub watermark: Option<Watermark>,
    /// The size of the database, in bytes.
    pub bytes: i64,
}

const ASK: &str = "
    SELECT current_setting('server_version_num')::int,
           COALESCE((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false),
           (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
           pg_is_in_recovery(),
           has_schema_privilege(current_schema(), 'CREATE'),
           pg_database_size(current_database()),
           to_regclass('watermark') IS NOT NULL,
           -- As the migration of the roles grants it. What is set aside goes through a function.
           ARRAY(SELECT denied.what
                 FROM pg_class
                 CROSS JOIN LATERAL (VALUES
                     ('read ' || relname, has_table_privilege(oid, 'SELECT')),
                     ('add to ' || relname, relname IN ('migrations', 'watermark', 'abandoned_items')
                                            OR has_table_privilege(oid, 'INSERT')),
                     ('change ' || relname, relname NOT IN ('watermark', 'sales', 'pools')
                                            OR has_any_column_privilege(oid, 'UPDATE'))
                 ) AS denied (what, is_allowed)
                 WHERE relkind IN ('r', 'p') AND relnamespace = quote_ident(current_schema())::regnamespace
                   AND relname IN ('migrations', 'watermark', 'sales', 'items', 'abandoned_items', 'pools',
                                   'checkouts', 'checkout_items', 'expired_checkouts', 'refused_attempts',
                                   'purchases', 'purchase_results', 'releases', 'sale_changes', 'payments',
                                   'stock_changes', 'cancellations')
                   AND NOT denied.is_allowed
                 UNION ALL
                 SELECT 'call ' || proname
                 FROM pg_proc
                 WHERE pronamespace = quote_ident(current_schema())::regnamespace
                   AND proname IN ('ensure_partitions', 'abandon_sale')
                   AND NOT has_function_privilege(oid, 'EXECUTE')
                 ORDER BY 1)";

impl PostgresSurvey {
    /// Connects and asks. Changes nothing.
    ///
    /// # Errors
    /// It cannot be reached, or lets nobody in.
    pub async fn read(options: &PostgresOptions) -> Result<Self, SinkError> {
        let connection = PostgresDial::new(options)?.connect(Purpose::Read).await?;
        let client = connection.client();
        connection.begin().await?;
        let row = client.query_typed_one(ASK, &[]).await;
        let row = row.map_err(|error| explain(&error))?;
        let (mut survey, has_watermark) = Self::of(&row).map_err(|error| explain(&error))?;
        if has_watermark && !survey.denied.iter().any(|it| it == "read watermark") {
            let row = client
                .query_typed_opt("SELECT lsn, fingerprint FROM watermark", &[])
                .await;
            let row = row.map_err(|error| explain(&error))?;
            let watermark = row.as_ref().map(watermark_of).transpose();
            survey.watermark = watermark.map_err(|error| explain(&error))?;
        }
        connection.commit().await?;
        Ok(survey)
    }

    fn of(row: &Row) -> Result<(Self, bool), tokio_postgres::Error> {
        let survey = Self {
            version: row.try_get(0)?,
            is_encrypted: row.try_get(1)?,
            is_superuser: row.try_get(2)?,
            is_standby: row.try_get(3)?,
            may_create: row.try_get::<_, Option<bool>>(4)?.unwrap_or(false),
            bytes: row.try_get(5)?,
            denied: row.try_get(7)?,
            watermark: None,
        };
        Ok((survey, row.try_get(6)?))
    }
}

fn watermark_of(row: &Row) -> Result<Watermark, tokio_postgres::Error> {
    let (lsn, fingerprint): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    Ok(Watermark {
        lsn: Lsn(lsn.cast_unsigned()),
        fingerprint: u32::try_from(fingerprint).unwrap_or_default(),
    })
}
