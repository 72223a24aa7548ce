//! A usual design: hyper in front, and Redis decides. Stock, limit and code are one function call (`shop.lua`), sent over
//! multiplexed connections, so that the calls of many requests share a write. What a 200 is worth is up to
//! `appendfsync` of the Redis.
//!
//! Tried: with `appendfsync always` two connections of each worker do more requests a second than one, four hardly more
//! and at a higher CPU time; the Unix socket costs a little less than TCP on the loopback device.

use std::cell::Cell;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use flashsale::types::CheckoutCode;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisResult, cmd, pipe};
use tokio::runtime::Builder;

use super::front::{self, CheckoutDecision, PurchaseDecision, ShopDatabase, StockArguments};
use super::workers::Listen;

/// The function that decides.
const SHOP: &str = include_str!("shop.lua");
/// The key of the list of orders.
const ORDERS: &str = "orders";
/// Items that are stocked by one command.
const ITEMS_PER_COMMAND: usize = 10_000;

/// Sells by a function in Redis.
#[derive(Clone, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    listen: Listen,
    /// The Redis, which is filled: `redis://127.0.0.1:6379` or `redis+unix:///path/to/socket`
    #[arg(long, value_name = "URL", value_parser = client)]
    redis: Client,
    /// Connections of each worker
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    connections: u32,
    #[command(flatten)]
    stock: StockArguments,
}

/// Fills the Redis, and serves until SIGTERM; says where, on standard output.
#[must_use]
pub fn command(arguments: &Arguments) -> ExitCode {
    if let Err(error) = fill(&arguments.redis, &arguments.stock) {
        eprintln!("error: cannot fill the Redis: {error:#}");
        return ExitCode::FAILURE;
    }
    let Arguments { redis, stock, .. } = arguments.clone();
    let connections = arguments.connections;
    front::command("redis-lua", arguments.listen, async move || {
        let mut all = Vec::new();
        for _ in 0..connections {
            all.push(connect(&redis).await?);
        }
        let next = Cell::new(0);
        Ok(RedisShop {
            connections: all,
            next,
            limit: stock.limit,
        })
    })
}

fn client(url: &str) -> RedisResult<Client> {
    Client::open(url)
}

async fn connect(redis: &Client) -> Result<MultiplexedConnection> {
    // A timer for each call would cost this contestant something that its design does not need.
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let connected = redis.get_multiplexed_async_connection_with_config(&config);
    connected.await.context("cannot connect to Redis")
}

fn fill(redis: &Client, stock: &StockArguments) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = connect(redis).await?;
        let mut load = cmd("FUNCTION");
        load.arg("LOAD").arg("REPLACE").arg(SHOP);
        load.exec_async(&mut connection).await?;
        let items: Vec<_> = stock.all().collect();
        for items in items.chunks(ITEMS_PER_COMMAND) {
            let mut fill = pipe();
            let keyed = items.iter().map(|(item, units)| (stock_key(item), *units));
            fill.mset(&keyed.collect::<Vec<_>>());
            fill.exec_async(&mut connection).await?;
        }
        Ok(())
    })
}

fn stock_key(item: &str) -> String {
    format!("stock:{item}")
}

fn checkout_key(code: CheckoutCode) -> String {
    format!("checkout:{code}")
}

struct RedisShop {
    connections: Vec<MultiplexedConnection>,
    next: Cell<usize>,
    limit: u32,
}

impl RedisShop {
    /// Returns a connection, of several one after the other.
    fn connection(&self) -> MultiplexedConnection {
        let next = self.next.get();
        self.next.set((next + 1) % self.connections.len());
        self.connections[next].clone()
    }
}

impl ShopDatabase for RedisShop {
    async fn checkout(
        &self,
        user: &str,
        item: &str,
        code: CheckoutCode,
    ) -> Result<CheckoutDecision> {
        let mut call = cmd("FCALL");
        call.arg("checkout").arg(3);
        call.arg(stock_key(item))
            .arg(format!("user:{user}"))
            .arg(checkout_key(code));
        call.arg(user).arg(item).arg(self.limit);
        Ok(match call.query_async(&mut self.connection()).await? {
            0 => CheckoutDecision::Accepted,
            1 => CheckoutDecision::ItemNotFound,
            2 => CheckoutDecision::UserLimitExceeded,
            3 => CheckoutDecision::ItemSoldOut,
            other => bail!("the function checkout has answered {other}"),
        })
    }

    async fn purchase(&self, code: CheckoutCode) -> Result<PurchaseDecision> {
        let mut call = cmd("FCALL");
        call.arg("purchase").arg(2);
        call.arg(checkout_key(code)).arg(ORDERS);
        call.arg(code.to_string());
        let (decided, item): (i64, String) = call.query_async(&mut self.connection()).await?;
        Ok(match decided {
            0 => PurchaseDecision::Sold(item),
            1 => PurchaseDecision::CheckoutNotFound,
            2 => PurchaseDecision::AlreadyProcessed(item),
            other => bail!("the function purchase has answered {other}"),
        })
    }
}
