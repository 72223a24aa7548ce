//! Reading the whole projection back.

use std::collections::{BTreeMap, BTreeSet};

use redis::FromRedisValue;

use super::keys::{SALES, SaleKeys};
use super::link::{Link, ProjectionState, StateFields};
use super::options::RedisOptions;
use super::projection::{ProjectedItems, Projection, SaleProjection};
use super::sink::parse_time;
use super::wire::SaleKind;
use crate::limits::REDIS_READ_MAX;
use crate::reconcile::{SinkError, Watermark};
use crate::types::{SaleId, Timestamp};

/// What Redis holds, each sale as it was at one record: a server that goes on moves the watermark between them.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Where Redis was when its sales were listed.
    pub watermark: Watermark,
    /// The sales.
    pub projection: Projection,
    /// Where Redis was when each of them was read.
    pub positions: BTreeMap<SaleId, Watermark>,
}

impl Reading {
    /// Where Redis was at the end.
    #[must_use]
    pub fn last(&self) -> Watermark {
        let all = self.positions.values().copied();
        all.fold(self.watermark, |last, position| {
            if position.lsn > last.lsn {
                position
            } else {
                last
            }
        })
    }
}

/// The projection in Redis; `None` where there is none, or none that is whole.
///
/// # Errors
/// Redis cannot be read, or holds something else under these keys.
pub async fn read(options: &RedisOptions) -> Result<Option<Reading>, SinkError> {
    let mut link = Link::open(options).await?;
    if link.state().await?.trusted() == Watermark::ZERO {
        return Ok(None);
    }
    let mut list = redis::cmd("ZRANGE");
    list.arg(SALES).arg(0).arg(-1).arg("WITHSCORES");
    let listing = [ProjectionState::question(), list];
    let (state, sales): (StateFields, Vec<(u32, String)>) = link.run_transaction(&listing).await?;
    let mut reading = Reading {
        watermark: ProjectionState::of(state).trusted(),
        projection: Projection::default(),
        positions: BTreeMap::new(),
    };
    if reading.watermark == Watermark::ZERO {
        return Ok(None);
    }
    for (id, expires_at) in sales {
        let id = SaleId(id);
        let keys = SaleKeys::of(id);
        let (position, contents) = match read_slowly(&mut link, &keys).await? {
            Some(read) => read,
            None => read_at_once(&mut link, &keys).await?,
        };
        if position == Watermark::ZERO {
            return Ok(None);
        }
        // Its keys go when they expire, and its number leaves the list later.
        if let Some(sale) = contents.sale(id, &expires_at)? {
            reading.projection.sales.insert(id, sale);
            reading.positions.insert(id, position);
        }
    }
    // Read last: what has expired meanwhile has expired before this.
    let (seconds, _): (i64, i64) = link.run(&redis::cmd("TIME")).await?;
    reading.projection.read_at = Some(Timestamp::from_seconds(seconds));
    Ok(Some(reading))
}

/// The keys of a sale, unchecked.
#[derive(Debug, Default)]
struct Contents {
    terms: BTreeMap<String, String>,
    sold_items: BTreeSet<u32>,
    items: BTreeMap<String, String>,
    remaining: BTreeMap<String, u64>,
    bought: BTreeMap<String, u64>,
}

/// Reads a sale in pieces, which keeps nobody waiting; `None` where the watermark moved meanwhile.
async fn read_slowly(
    link: &mut Link,
    keys: &SaleKeys,
) -> Result<Option<(Watermark, Contents)>, SinkError> {
    let before = link.state().await?.trusted();
    let contents = Contents {
        terms: hash(link, &keys.terms).await?,
        sold_items: bits(link, &keys.sold_items).await?,
        items: hash(link, &keys.items).await?,
        remaining: hash(link, &keys.remaining).await?,
        bought: hash(link, &keys.bought).await?,
    };
    let after = link.state().await?.trusted();
    Ok((before == after).then_some((before, contents)))
}

/// Reads a sale as a whole, between two batches.
async fn read_at_once(
    link: &mut Link,
    keys: &SaleKeys,
) -> Result<(Watermark, Contents), SinkError> {
    let hash = |key: &str| {
        let mut command = redis::cmd("HGETALL");
        command.arg(key);
        command
    };
    let mut bits = redis::cmd("GETRANGE");
    bits.arg(&keys.sold_items).arg(0).arg(-1);
    let all = [
        ProjectionState::question(),
        hash(&keys.terms),
        bits,
        hash(&keys.items),
        hash(&keys.remaining),
        hash(&keys.bought),
    ];
    type Answers = (
        StateFields,
        BTreeMap<String, String>,
        Vec<u8>,
        BTreeMap<String, String>,
        BTreeMap<String, u64>,
        BTreeMap<String, u64>,
    );
    let (state, terms, sold_items, items, remaining, bought): Answers =
        link.run_transaction(&all).await?;
    let contents = Contents {
        terms,
        sold_items: places_of(&sold_items, 0).collect(),
        items,
        remaining,
        bought,
    };
    Ok((ProjectionState::of(state).trusted(), contents))
}

impl Contents {
    /// The sale that they make; `None` where there is none any more.
    fn sale(mut self, id: SaleId, expires_at: &str) -> Result<Option<SaleProjection>, SinkError> {
        let fields = &self.terms;
        if fields.is_empty() {
            return Ok(None);
        }
        let malformed = || SinkError::Refused(format!("what it says of sale {id} is malformed"));
        let text = |name: &str| fields.get(name).ok_or_else(malformed);
        let number = |name: &str| text(name)?.parse::<u64>().map_err(|_| malformed());
        let time = |name: &str| parse_time(text(name)?).ok_or_else(malformed);
        let items = match SaleKind::parse(text("kind")?).ok_or_else(malformed)? {
            SaleKind::Generated => ProjectedItems::Generated(self.sold_items),
            SaleKind::Listed => {
                self.items.remove("units");
                let mut ids = Vec::with_capacity(self.items.len());
                for index in 0..self.items.len() {
                    let id = self.items.remove(&index.to_string());
                    ids.push(id.ok_or_else(malformed)?);
                }
                let remaining = self.remaining;
                ProjectedItems::Listed { ids, remaining }
            }
        };
        Ok(Some(SaleProjection {
            started_at: time("started_at")?,
            ended_at: time("ended_at")?,
            max_items_per_user: number("max_items_per_user")?
                .try_into()
                .map_err(|_| malformed())?,
            paused: text("state")? == "paused",
            closed: text("state")? == "closed",
            total: number("total")?,
            sold: number("sold")?,
            remaining: number("remaining")?,
            items,
            bought: self.bought,
            expires_at: expires_at.parse().ok(),
        }))
    }
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
        let (next, piece): (u64, Vec<(String, T)>) = link.run(&command).await?;
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
        let piece: Vec<u8> = link.run(&command).await?;
        set.extend(places_of(&piece, offset));
        if piece.len() < REDIS_READ_MAX {
            return Ok(set);
        }
        offset += piece.len();
    }
}

/// The places of the bits that are set in `bytes`, which begin at byte `offset`.
fn places_of(bytes: &[u8], offset: usize) -> impl Iterator<Item = u32> + '_ {
    (offset..).zip(bytes).flat_map(|(place, byte)| {
        // The first bit is the highest one.
        let bits = (0..8).filter(move |bit| byte & (0x80 >> bit) != 0);
        bits.map(move |bit| (place * 8 + bit) as u32)
    })
}
