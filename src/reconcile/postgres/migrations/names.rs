//! Names that migrations need, and whether somebody else has them: `CREATE … IF NOT EXISTS` would take a
//! stranger's table for ours.

use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use super::MigrationError;
use super::files::Migration;
use crate::reconcile::postgres::options::seed_schema;

/// Whether there is a table of migrations that was made otherwise than by us or an earlier service.
const IS_STRANGE: &str = "
    SELECT relkind <> 'r' OR 2 <> (SELECT count(*) FROM pg_attribute
                                   WHERE attrelid = pg_class.oid AND attname IN ('name', 'applied_at'))
    FROM pg_class JOIN pg_namespace nsp ON nsp.oid = relnamespace
    WHERE nspname = $1 AND relname = 'migrations'";

/// Whether the files were run by hand, without a record of it: what the first of them makes is there.
const IS_BY_HAND: &str = "
    SELECT to_regprocedure('reset_projection()') IS NOT NULL
           AND 3 = (SELECT count(*) FROM pg_attribute
                    WHERE attrelid = to_regclass('watermark')
                      AND attname IN ('only_row', 'lsn', 'fingerprint'))";

/// What has one of the names: what it is, and as which kind of ours it could pass. Tables, views, indexes and
/// types share their names.
const TAKEN: &str = "
    SELECT CASE nspname WHEN $1 THEN '' ELSE nspname || '.' END || name, what, kind
    FROM (
        SELECT relnamespace AS namespace, relname::text AS name,
               CASE relkind WHEN 'v' THEN 'a view' WHEN 'm' THEN 'a materialized view'
                            WHEN 'i' THEN 'an index' WHEN 'I' THEN 'an index' WHEN 'S' THEN 'a sequence'
                            WHEN 'c' THEN 'a type' WHEN 'f' THEN 'a foreign table' ELSE 'a table' END AS what,
               CASE relkind WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'TABLE' WHEN 'v' THEN 'VIEW'
                            WHEN 'i' THEN 'INDEX' WHEN 'I' THEN 'INDEX' ELSE '' END AS kind,
               'relation' AS space
        FROM pg_class
        UNION ALL
        SELECT typnamespace, typname::text, 'a type', '', 'relation' FROM pg_type WHERE typrelid = 0
        UNION ALL
        SELECT pronamespace, proname::text, 'a function', 'FUNCTION', 'function' FROM pg_proc
    ) AS made
    JOIN pg_namespace ON pg_namespace.oid = namespace
    WHERE (nspname = $1 AND space = 'relation' AND (name = ANY ($3) OR name ~ $5))
       OR (nspname = $1 AND space = 'function' AND name = ANY ($4))
       OR (nspname = $2 AND space = 'relation' AND name = ANY ($6))
    ORDER BY 1";

/// Something that a migration makes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct CreatedObject {
    /// `TABLE`, `VIEW`, `INDEX`, `FUNCTION`, …
    kind: String,
    name: String,
    /// In the schema of the seed's views.
    in_views: bool,
    is_partitioned: bool,
}

/// Makes sure that the table `migrations` is ours, if there is one.
///
/// # Errors
/// [`MigrationError::Occupied`], or the database does not answer.
pub(super) async fn check_own(client: &Client, schema: &str) -> Result<(), MigrationError> {
    let row = client
        .query_typed_opt(IS_STRANGE, &[(&schema, Type::NAME)])
        .await;
    let is_strange = row.and_then(|row| row.map_or(Ok(false), |row| row.try_get(0)));
    if !is_strange.map_err(|error| MigrationError::database(&error))? {
        return Ok(());
    }
    Err(MigrationError::Occupied {
        schema: schema.to_owned(),
        names: vec!["migrations (of another form)".to_owned()],
    })
}

/// Makes sure that nobody else has a name that the migrations behind the first `applied` ones need.
///
/// # Errors
/// [`MigrationError::Occupied`] with all of them, or the database does not answer.
pub(super) async fn check(
    client: &Client,
    schema: &str,
    all: &[Migration],
    applied: usize,
) -> Result<(), MigrationError> {
    let (ours, pending) = all.split_at(applied);
    // Some replace what earlier ones have made.
    let ours: Vec<_> = ours.iter().flat_map(|it| made_by(&it.up)).collect();
    let is_new = |made: &CreatedObject| {
        ours.iter()
            .all(|it| (&it.name, it.in_views) != (&made.name, made.in_views))
    };
    let wanted: Vec<_> = pending
        .iter()
        .flat_map(|it| made_by(&it.up))
        .filter(is_new)
        .collect();
    let found = query(client, schema, &wanted).await;
    let mut found = found.map_err(|error| MigrationError::database(&error))?;
    if applied == 0 && !found.is_empty() {
        let row = client.query_typed_one(IS_BY_HAND, &[]).await;
        let by_hand = row.and_then(|row| row.try_get(0));
        if by_hand.map_err(|error| MigrationError::database(&error))? {
            found.retain(|it| !it.is_one_of(&wanted));
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    Err(MigrationError::Occupied {
        schema: schema.to_owned(),
        names: found
            .iter()
            .map(|it| format!("{} ({})", it.name, it.what))
            .collect(),
    })
}

/// Something that is there.
struct FoundObjects {
    name: String,
    what: String,
    kind: String,
}

impl FoundObjects {
    /// Whether it is what the migrations would make.
    fn is_one_of(&self, wanted: &[CreatedObject]) -> bool {
        let name = self.name.rsplit('.').next().unwrap_or_default();
        let is_it = |made: &CreatedObject| {
            let is_partition = made.is_partitioned && name.starts_with(&format!("{}_", made.name));
            made.kind == self.kind && (made.name == name || is_partition)
        };
        wanted.iter().any(is_it)
    }
}

async fn query(
    client: &Client,
    schema: &str,
    wanted: &[CreatedObject],
) -> Result<Vec<FoundObjects>, tokio_postgres::Error> {
    let names = |is_wanted: fn(&CreatedObject) -> bool| -> Vec<&str> {
        let wanted = wanted.iter().filter(|made| is_wanted(made));
        wanted.map(|made| &*made.name).collect()
    };
    let views = seed_schema(schema);
    let relations = names(|made| !made.in_views && made.kind != "FUNCTION");
    let functions = names(|made| !made.in_views && made.kind == "FUNCTION");
    let partitioned = names(|made| made.is_partitioned);
    let seed = names(|made| made.in_views);
    // As ensure_partitions names them.
    let partitions = format!("^({})_(0|[1-9][0-9]*000)$", partitioned.join("|"));
    let values: [(&(dyn ToSql + Sync), Type); 6] = [
        (&schema, Type::NAME),
        (&views, Type::NAME),
        (&relations, Type::TEXT_ARRAY),
        (&functions, Type::TEXT_ARRAY),
        (&partitions, Type::TEXT),
        (&seed, Type::TEXT_ARRAY),
    ];
    let rows = client.query_typed(TAKEN, &values).await?;
    let found = rows.iter().map(|row| {
        Ok(FoundObjects {
            name: row.try_get(0)?,
            what: row.try_get(1)?,
            kind: row.try_get(2)?,
        })
    });
    found.collect()
}

/// Returns the objects that the statements in `sql` create by name. A name behind `%I.` is that of a view of the
/// seed.
fn made_by(sql: &str) -> Vec<CreatedObject> {
    let lines = sql
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default());
    let words: Vec<_> = lines.flat_map(str::split_ascii_whitespace).collect();
    let is = |word: &str, keyword: &str| word.eq_ignore_ascii_case(keyword);
    let mut all: Vec<CreatedObject> = Vec::new();
    for (place, word) in words.iter().enumerate() {
        if is(word, "PARTITION") && words.get(place + 1).is_some_and(|next| is(next, "BY")) {
            all.last_mut()
                .into_iter()
                .for_each(|made| made.is_partitioned = true);
        }
        if !is(word, "CREATE") {
            continue;
        }
        let before = ["OR", "REPLACE", "UNIQUE", "MATERIALIZED"];
        let behind = ["CONCURRENTLY", "IF", "NOT", "EXISTS"];
        let mut rest = words[place + 1..]
            .iter()
            .skip_while(|word| before.iter().any(|it| is(word, it)));
        let kind = rest
            .next()
            .map(|kind| kind.to_ascii_uppercase())
            .unwrap_or_default();
        let name = rest.find(|word| !behind.iter().any(|it| is(word, it)));
        let name = name.and_then(|name| name.split(['(', ';']).next());
        let (Some(name), "TABLE" | "VIEW" | "INDEX" | "FUNCTION" | "TYPE" | "SEQUENCE") =
            (name, &*kind)
        else {
            continue;
        };
        let in_views = name.strip_prefix("%I.");
        let name = in_views.unwrap_or(name);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if !name.is_empty() && name.bytes().all(is_plain) {
            all.push(CreatedObject {
                name: name.to_ascii_lowercase(),
                kind,
                in_views: in_views.is_some(),
                is_partitioned: false,
            });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_migration_makes_is_read_from_it() {
        let sql = "-- CREATE TABLE no ();
            CREATE TABLE IF NOT EXISTS a (id int) PARTITION BY RANGE (id);
            create unique index b ON a (id); CREATE OR REPLACE VIEW c AS SELECT 1;
            CREATE FUNCTION d(sale integer) RETURNS void AS $$ EXECUTE format('CREATE TABLE %I', e) $$;
            CREATE VIEW %I.f AS SELECT 1; CREATE SCHEMA g;";
        let found: Vec<_> = made_by(sql)
            .into_iter()
            .map(|it| (it.kind, it.name, it.in_views, it.is_partitioned))
            .collect();
        let expected = [
            ("TABLE", "a", false, true),
            ("INDEX", "b", false, false),
            ("VIEW", "c", false, false),
            ("FUNCTION", "d", false, false),
            ("VIEW", "f", true, false),
        ];
        let expected = expected.map(|(kind, name, in_views, is_partitioned)| {
            (kind.to_owned(), name.to_owned(), in_views, is_partitioned)
        });
        assert_eq!(found, expected);
    }
}
