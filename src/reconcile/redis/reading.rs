//! Reading the whole projection back.

use std::collections::{BTreeMap, BTreeSet};

use redis::FromRedisValue;

use super::keys::{SALES, SaleKeys};
use super::link::Link;
use super::options::RedisOptions;
use super::projection::{Items, Projection, SaleProjection};
use super::sink::parse_time;
use super::wire::Kind;
use crate::limits::{REDIS_READ_ATTEMPTS, REDIS_READ_MAX};
use crate::reconcile::{SinkError, Watermark};
use crate::types::{SaleId, Timestamp};

/// The projection in Redis and the watermark that all of it belongs to; `None` where there is none, or
/// none that is whole.
///
/// # Errors
/// Redis cannot be read, holds something else under these keys, or is written to so fast that no two
/// looks find the same watermark.
pub async fn read(options: &RedisOptions) -> Result<Option<(Watermark, Projection)>, SinkError> {
    let mut link = Link::open(options).await?;
    let mut before = link.state().await?.trusted();
    for _ in 0..REDIS_READ_ATTEMPTS {
        if before == Watermark::ZERO {
            return Ok(None);
        }
        let projection = read_all(&mut link).await;
        let after = link.state().await?.trusted();
        if before == after {
            return projection.map(|projection| Some((before, projection)));
        }
        before = after;
    }
    Err(SinkError::Unavailable(format!(
        "its watermark moved during each of {REDIS_READ_ATTEMPTS} looks"
    )))
}

async fn read_all(link: &mut Link) -> Result<Projection, SinkError> {
    let mut projection = Projection::default();
    let mut list = redis::cmd("ZRANGE");
    list.arg(SALES).arg(0).arg(-1).arg("WITHSCORES");
    let sales: Vec<(u32, String)> = link.ask(&list).await?;
    for (id, expires_at) in sales {
        let id = SaleId(id);
        // Its keys go when they expire, and its number leaves the list later.
        if let Some(sale) = read_sale(link, id, &expires_at).await? {
            projection.sales.insert(id, sale);
        }
    }
    // Read last: what has expired meanwhile has expired before this.
    let (seconds, _): (i64, i64) = link.ask(&redis::cmd("TIME")).await?;
    projection.read_at = Some(Timestamp::from_seconds(seconds));
    Ok(projection)
}

async fn read_sale(
    link: &mut Link,
    id: SaleId,
    expires_at: &str,
) -> Result<Option<SaleProjection>, SinkError> {
    let keys = SaleKeys::of(id);
    let mut command = redis::cmd("HGETALL");
    command.arg(&keys.terms);
    let fields: BTreeMap<String, String> = link.ask(&command).await?;
    if fields.is_empty() {
        return Ok(None);
    }
    let malformed = || SinkError::Refused(format!("what it says of sale {id} is malformed"));
    let text = |name: &str| fields.get(name).ok_or_else(malformed);
    let number = |name: &str| text(name)?.parse::<u64>().map_err(|_| malformed());
    let time = |name: &str| parse_time(text(name)?).ok_or_else(malformed);
    let items = match Kind::parse(text("kind")?).ok_or_else(malformed)? {
        Kind::Generated => Items::Generated(bits(link, &keys.sold_items).await?),
        Kind::Listed => {
            let mut places: BTreeMap<String, String> = hash(link, &keys.items).await?;
            places.remove("units");
            let mut ids = Vec::with_capacity(places.len());
            for index in 0..places.len() {
                ids.push(places.remove(&index.to_string()).ok_or_else(malformed)?);
            }
            let remaining = hash(link, &keys.remaining).await?;
            Items::Listed { ids, remaining }
        }
    };
    Ok(Some(SaleProjection {
        started_at: time("started_at")?,
        ended_at: time("ended_at")?,
        max_items_per_user: number("max_items_per_user")?
            .try_into()
            .map_err(|_| malformed())?,
        closed: text("state")? == "closed",
        total: number("total")?,
        sold: number("sold")?,
        remaining: number("remaining")?,
        items,
        bought: hash(link, &keys.bought).await?,
        expires_at: expires_at.parse().ok(),
    }))
}

/// A hash, a piece at a time.
async fn hash<T: FromRedisValue>(
    link: &mut Link,
    key: &str,
) -> Result<BTreeMap<String, T>, SinkError> {
    let mut found = BTreeMap::new();
    let mut cursor = 0_u64;
    loop {
        let mut command = redis::cmd("HSCAN");
        command
            .arg(key)
            .arg(cursor)
            .arg("COUNT")
            .arg(REDIS_READ_MAX);
        let (next, piece): (u64, Vec<(String, T)>) = link.ask(&command).await?;
        found.extend(piece);
        cursor = next;
        if cursor == 0 {
            return Ok(found);
        }
    }
}

/// The places of the bits that are set, a piece at a time.
async fn bits(link: &mut Link, key: &str) -> Result<BTreeSet<u32>, SinkError> {
    let mut set = BTreeSet::new();
    let mut offset = 0;
    loop {
        let mut command = redis::cmd("GETRANGE");
        command
            .arg(key)
            .arg(offset)
            .arg(offset + REDIS_READ_MAX - 1);
        let piece: Vec<u8> = link.ask(&command).await?;
        for (place, byte) in piece.iter().enumerate() {
            // The first bit is the highest one.
            let places = (0..8).filter(|bit| byte & (0x80 >> bit) != 0);
            set.extend(places.map(|bit| ((offset + place) * 8 + bit) as u32));
        }
        if piece.len() < REDIS_READ_MAX {
            return Ok(set);
        }
        offset += piece.len();
    }
}
