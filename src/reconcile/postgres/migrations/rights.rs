//! Whether this user may change the schema at all: a server's user need not.

use tokio_postgres::Client;

use super::MigrationError;
use super::files::Migration;

/// Whether tables can be made here and the existing ones changed; and whose they are. A schema that
/// belongs to the database's owner, whoever that is, names nobody.
const ASK: &str = "
    SELECT has_schema_privilege(nsp.oid, 'CREATE')
               AND (ours.relowner IS NULL OR pg_has_role(ours.relowner, 'USAGE')),
           pg_get_userbyid(coalesce(
               ours.relowner,
               CASE pg_get_userbyid(nspowner) WHEN 'pg_database_owner' THEN datdba ELSE nspowner END))::text
    FROM pg_namespace nsp
    JOIN pg_database ON datname = current_database()
    LEFT JOIN pg_class ours ON ours.oid = to_regclass('migrations')
    WHERE nspname = current_schema()";

/// Makes sure that this user may apply `pending`.
///
/// # Errors
/// They belong to somebody else's schema; or there is no schema, or no answer.
pub(super) async fn check(client: &Client, pending: &[Migration]) -> Result<(), MigrationError> {
    let Some(first) = pending.first() else {
        return Ok(());
    };
    let database = |error| MigrationError::database(&error);
    let row = client.query_opt(ASK, &[]).await.map_err(database)?;
    let owner = match row {
        Some(row) if row.try_get(0).map_err(database)? => return Ok(()),
        Some(row) => row.try_get(1).map_err(database)?,
        None => return Err(MigrationError::NoSchema),
    };
    Err(MigrationError::NotOurs {
        pending: first.name.clone(),
        more: pending.len() - 1,
        owner,
    })
}
