//! Whether this user may change the schema at all: a server's user need not.

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::MigrationError;
use super::files::Migration;
use crate::reconcile::postgres::options::quoted;

/// Whether the schema can be used, and tables be made in it and the existing ones changed; and whose they
/// are. A schema that belongs to the database's owner, whoever that is, names nobody.
const ASK: &str = "
    SELECT has_schema_privilege(nsp.oid, 'USAGE'),
           has_schema_privilege(nsp.oid, 'CREATE')
               AND (ours.relowner IS NULL OR pg_has_role(ours.relowner, 'USAGE')),
           pg_get_userbyid(coalesce(
               ours.relowner,
               CASE pg_get_userbyid(nspowner) WHEN 'pg_database_owner' THEN datdba ELSE nspowner END))::text
    FROM pg_namespace nsp
    JOIN pg_database ON datname = current_database()
    LEFT JOIN pg_class ours ON ours.relnamespace = nsp.oid AND ours.relname = 'migrations'
    WHERE nspname = $1";
const MAY_CREATE: &str = "SELECT has_database_privilege(current_database(), 'CREATE')";

/// Makes sure that this user may apply `pending`, and that `schema` is there.
///
/// # Errors
/// They belong to somebody else's schema; or there is no schema and none can be made, or no answer.
pub(super) async fn check(
    client: &Client,
    schema: &str,
    pending: &[Migration],
) -> Result<(), MigrationError> {
    let Some(first) = pending.first() else {
        return Ok(());
    };
    let database = |error| MigrationError::database(&error);
    let row = client.query_typed_opt(ASK, &[(&schema, Type::NAME)]).await;
    let Some(row) = row.map_err(database)? else {
        return create(client, schema).await;
    };
    if !row.try_get(0).map_err(database)? {
        return Err(MigrationError::NoSchema(schema.to_owned()));
    }
    if row.try_get(1).map_err(database)? {
        return Ok(());
    }
    Err(MigrationError::NotOurs {
        pending: first.name.clone(),
        more: pending.len() - 1,
        owner: row.try_get(2).map_err(database)?,
    })
}

async fn create(client: &Client, schema: &str) -> Result<(), MigrationError> {
    let database = |error| MigrationError::database(&error);
    let row = client.query_typed_one(MAY_CREATE, &[]).await;
    if !row.and_then(|row| row.try_get(0)).map_err(database)? {
        return Err(MigrationError::NoSchema(schema.to_owned()));
    }
    let create = format!("CREATE SCHEMA {}", quoted(schema));
    client.batch_execute(&create).await.map_err(database)
}
