//! A usual design: hyper in front, and Postgres decides, by a conditional `UPDATE` of the item's row. A checkout and a
//! purchase are one prepared statement each, which is one transaction and one round trip, over a pool of connections.
//!
//! Tried: of 2, 4, 8, 16 and 32 connections of each worker 16 do as many checkouts of items that exist once as 32, at a
//! lower CPU time, and as many of one hot item as 8, where with 32 more backends wait for the same row.

use std::process::ExitCode;

use anyhow::{Context, Result};
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use flashsale::types::CheckoutCode;
use tokio::runtime::Builder;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, NoTls};

use super::front::{self, CheckoutDecision, PurchaseDecision, ShopDatabase, StockArguments};
use super::workers::Listen;

const SCHEMA: &str = include_str!("schema.sql");

/// Takes a unit, counts it and keeps the order, or does nothing. A user over the limit breaks the constraint of
/// `buyers`, which undoes the statement: to count the user's rows beforehand would let two requests at once pass.
const CHECKOUT: &str = "
  WITH taken AS (
    UPDATE items SET stock = stock - 1 WHERE id = $1 AND stock > 0 RETURNING id
  ), counted AS (
    INSERT INTO buyers (user_id, units) SELECT $2, 1 FROM taken
    ON CONFLICT (user_id) DO UPDATE SET units = buyers.units + 1
  ), ordered AS (
    INSERT INTO orders (code, user_id, item_id) SELECT $3, $2, id FROM taken RETURNING 1
  )
  SELECT EXISTS (SELECT FROM ordered), EXISTS (SELECT FROM items WHERE id = $1)";

/// Sells what a code holds, once.
const PURCHASE: &str = "
  WITH sold AS (
    UPDATE orders SET sold_at = now() WHERE code = $1 AND sold_at IS NULL RETURNING item_id
  )
  SELECT EXISTS (SELECT FROM sold),
    coalesce((SELECT item_id FROM sold), (SELECT item_id FROM orders WHERE code = $1))";

/// Sells by rows in Postgres.
#[derive(Clone, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    listen: Listen,
    /// The database, in which tables are created: `host=/run/postgresql user=… dbname=…`
    #[arg(long, value_name = "PARAMETERS")]
    postgres: Config,
    /// Connections of each worker
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=256))]
    connections: u32,
    #[command(flatten)]
    stock: StockArguments,
}

/// Fills the database, and serves until SIGTERM; says where, on standard output.
#[must_use]
pub fn command(arguments: &Arguments) -> ExitCode {
    if let Err(error) = fill(&arguments.postgres, &arguments.stock) {
        eprintln!("error: cannot fill the database: {error:#}");
        return ExitCode::FAILURE;
    }
    let (postgres, connections) = (arguments.postgres.clone(), arguments.connections);
    front::command("postgres-row", arguments.listen, async move || {
        let pool = pool(&postgres, connections as usize)?;
        warm_up(&pool).await?;
        Ok(PostgresShop { pool })
    })
}

fn pool(postgres: &Config, connections: usize) -> Result<Pool> {
    let config = ManagerConfig {
        // A connection that has ended is noticed without a query.
        recycling_method: RecyclingMethod::Fast,
    };
    let manager = Manager::from_config(postgres.clone(), NoTls, config);
    Ok(Pool::builder(manager).max_size(connections).build()?)
}

/// Opens all connections and prepares both statements on each.
async fn warm_up(pool: &Pool) -> Result<()> {
    let mut all = Vec::new();
    for _ in 0..pool.status().max_size {
        let client = pool.get().await.context("cannot connect to Postgres")?;
        for statement in [CHECKOUT, PURCHASE] {
            client.prepare_cached(statement).await?;
        }
        all.push(client);
    }
    Ok(())
}

fn fill(postgres: &Config, stock: &StockArguments) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let pool = pool(postgres, 1)?;
        let client = pool.get().await.context("cannot connect to Postgres")?;
        let schema = SCHEMA.replace(":limit", &stock.limit.to_string());
        client.batch_execute(&schema).await?;
        let insert = "INSERT INTO items SELECT * FROM unnest($1::text[], $2::integer[])";
        let (ids, units): (Vec<_>, Vec<_>) = stock
            .all()
            .map(|(id, units)| (id, i32::try_from(units).unwrap_or(i32::MAX)))
            .unzip();
        client.execute(insert, &[&ids, &units]).await?;
        // Neither statistics nor a checkpoint of what was filled in fall into the first requests.
        client.batch_execute("VACUUM ANALYZE").await?;
        client.batch_execute("CHECKPOINT").await?;
        Ok(())
    })
}

struct PostgresShop {
    pool: Pool,
}

impl ShopDatabase for PostgresShop {
    async fn checkout(
        &self,
        user: &str,
        item: &str,
        code: CheckoutCode,
    ) -> Result<CheckoutDecision> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(CHECKOUT).await?;
        let secret = code.secret.to_be_bytes();
        let decided = client
            .query_one(&statement, &[&item, &user, &&secret[..]])
            .await;
        let row = match decided {
            Ok(row) => row,
            Err(error) if error.code() == Some(&SqlState::CHECK_VIOLATION) => {
                return Ok(CheckoutDecision::UserLimitExceeded);
            }
            Err(error) => return Err(error.into()),
        };
        Ok(match (row.get(0), row.get(1)) {
            (true, _) => CheckoutDecision::Accepted,
            (false, true) => CheckoutDecision::ItemSoldOut,
            (false, false) => CheckoutDecision::ItemNotFound,
        })
    }

    async fn purchase(&self, code: CheckoutCode) -> Result<PurchaseDecision> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(PURCHASE).await?;
        let secret = code.secret.to_be_bytes();
        let row = client.query_one(&statement, &[&&secret[..]]).await?;
        let (sold, item): (bool, Option<String>) = (row.get(0), row.get(1));
        Ok(match item {
            Some(item) if sold => PurchaseDecision::Sold(item),
            Some(item) => PurchaseDecision::AlreadyProcessed(item),
            None => PurchaseDecision::CheckoutNotFound,
        })
    }
}
