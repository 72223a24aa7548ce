//! The rows of the tables as they are asked for: every table's in one shape, so that Postgres can put
//! them all into the order of the journal, and with its own spill files instead of our memory.

use std::error::Error;

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use crate::types::Timestamp;

/// Which record a row belongs to. The numbers are those of [`ALL_ROWS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowKind {
    Item,
    SaleCreated,
    /// Of a generated catalogue: part of the sale's creation.
    GeneratedItem,
    SaleClosed,
    CheckoutItem,
    PurchaseLine,
    Expired,
    Refused,
    Released,
    SaleChanged,
    StockChanged,
    CancelledLine,
    PaymentLine,
}

/// The kind of a refused attempt in [`ALL_ROWS`].
pub(super) const REFUSED: i32 = 7;

/// Everything that came from a record, in the order of the records; parts of one record in their own.
/// The user of a checkout stands only there; who has lost it is found by its absence.
pub(super) const ALL_ROWS: &str = "
SELECT i.lsn, CASE WHEN s.generated_seed IS NULL THEN 0 ELSE 2 END AS kind, i.item_index AS part,
       i.added_at AS at, i.sale_id AS sale, NULL::uuid AS secret, NULL::text AS user_id,
       i.id AS text_1, i.name AS text_2, i.image_url AS text_3, i.stock AS number_1,
       i.max_per_user::bigint AS number_2, NULL::boolean AS flag, NULL::timestamptz AS time_1,
       NULL::timestamptz AS time_2, NULL::bigint AS number_3, NULL::timestamptz AS time_3,
       NULL::timestamptz AS time_4
FROM items i LEFT JOIN sales s ON s.id = i.sale_id
UNION ALL
SELECT lsn, 0, item_index, added_at, sale_id, NULL, NULL, id, name, image_url, stock, max_per_user, NULL,
       NULL, NULL, NULL, NULL, NULL
FROM abandoned_items
UNION ALL
SELECT lsn, 1, item_count, created_at, id, NULL, NULL, purchase_by, payment_seconds::text, NULL, max_items_per_user,
       hold_seconds, NULL, started_at, ended_at, generated_seed, NULL, NULL
FROM sales
UNION ALL
SELECT closed_lsn, 3, 0, closed_at, id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       NULL, NULL, NULL, NULL, NULL
FROM sales WHERE closed_lsn IS NOT NULL
UNION ALL
SELECT i.lsn, 4, i.item_index, i.added_at, i.sale_id, i.secret, c.user_id, i.idempotency_key, NULL, NULL,
       i.quantity, i.items_count, c.lsn = i.lsn, c.hold_until, c.opened_at, NULL, i.sale_ends_at,
       i.held_until
FROM checkout_items i LEFT JOIN checkouts c ON c.sale_id = i.sale_id AND c.secret = i.secret
UNION ALL
SELECT p.lsn, 5, r.line, p.purchased_at, p.sale_id, p.secret, c.user_id, p.idempotency_key, p.payment_ref,
       NULL, r.quantity, r.item_index, r.sold, NULL, NULL, NULL, NULL, NULL
FROM purchases p
LEFT JOIN checkouts c ON c.sale_id = p.sale_id AND c.secret = p.secret
LEFT JOIN purchase_results r ON r.sale_id = p.sale_id AND r.secret = p.secret
UNION ALL
SELECT e.lsn, 6, 0, e.expired_at, e.sale_id, e.secret, c.user_id, NULL, NULL, NULL, NULL, NULL, NULL,
       NULL, NULL, NULL, NULL, NULL
FROM expired_checkouts e LEFT JOIN checkouts c ON c.sale_id = e.sale_id AND c.secret = e.secret
UNION ALL
SELECT lsn, 7, 0, attempted_at, sale_id, NULL, user_id, item_id, reason, NULL, NULL, NULL, NULL,
       NULL, NULL, NULL, NULL, NULL
FROM refused_attempts
UNION ALL
SELECT r.lsn, 8, r.item_index, r.released_at, r.sale_id, r.secret, c.user_id, NULL, NULL, NULL, r.quantity, NULL,
       NULL, NULL, NULL, NULL, NULL, NULL
FROM releases r LEFT JOIN checkouts c ON c.sale_id = r.sale_id AND c.secret = r.secret
UNION ALL
SELECT lsn, 9, 0, changed_at, sale_id, NULL, NULL, change, NULL, NULL, NULL, NULL, NULL, ended_at,
       NULL, NULL, NULL, NULL
FROM sale_changes
UNION ALL
SELECT lsn, 10, item_index, changed_at, sale_id, NULL, NULL, reference, NULL, NULL, units, NULL, NULL, NULL,
       NULL, NULL, NULL, NULL
FROM stock_changes
UNION ALL
SELECT x.lsn, 11, x.line, x.cancelled_at, x.sale_id, x.secret, c.user_id, x.reference, NULL, NULL, x.quantity,
       x.item_index, x.restock, NULL, NULL, NULL, NULL, NULL
FROM cancellations x LEFT JOIN checkouts c ON c.sale_id = x.sale_id AND c.secret = x.secret
UNION ALL
SELECT p.lsn, 12, p.line, p.begun_at, p.sale_id, p.secret, c.user_id, NULL, NULL, NULL, p.quantity, p.item_index,
       p.reserved, p.hold_until, p.held_until, NULL, NULL, NULL
FROM payments p LEFT JOIN checkouts c ON c.sale_id = p.sale_id AND c.secret = p.secret
ORDER BY 1, 2, 5, 6, 3";

/// What no record tells of, but must hold: one line of text for each breach.
pub(super) const BREACHES: &str = "
SELECT 'sale ' || sale_id || ': ' || what FROM violations
UNION ALL
SELECT 'sale ' || c.sale_id || ': record ' || c.lsn || ', a checkout: the item that opened it is missing'
FROM checkouts c
WHERE NOT EXISTS (SELECT FROM checkout_items i
                  WHERE i.sale_id = c.sale_id AND i.secret = c.secret AND i.lsn = c.lsn)
UNION ALL
SELECT 'sale ' || r.sale_id || ': ' || count(*) || ' results belong to no purchase'
FROM purchase_results r
WHERE NOT EXISTS (SELECT FROM purchases p WHERE p.sale_id = r.sale_id AND p.secret = r.secret)
GROUP BY r.sale_id
UNION ALL
SELECT 'sale ' || s.id || ': ' || count(*) || ' results say wrongly whether their item exists once'
FROM purchase_results r JOIN sales s ON s.id = r.sale_id
WHERE r.is_single <> (s.generated_seed IS NOT NULL)
GROUP BY s.id
UNION ALL
SELECT 'sale ' || i.sale_id || ': user ' || c.user_id || ': bought ' || sum(r.quantity - coalesce(x.gone, 0)) || ' of item '
       || i.id || ', of which one user may buy ' || i.max_per_user
FROM items i
JOIN purchase_results r ON r.sale_id = i.sale_id AND r.item_index = i.item_index AND r.sold
JOIN checkouts c ON c.sale_id = r.sale_id AND c.secret = r.secret
LEFT JOIN (SELECT sale_id, secret, item_index, sum(quantity) AS gone FROM cancellations
           GROUP BY sale_id, secret, item_index) x
     ON x.sale_id = r.sale_id AND x.secret = r.secret AND x.item_index = r.item_index
WHERE i.max_per_user IS NOT NULL
GROUP BY i.sale_id, i.item_index, i.id, i.max_per_user, c.user_id
HAVING sum(r.quantity - coalesce(x.gone, 0)) > i.max_per_user
UNION ALL
SELECT 'sale ' || coalesce(p.sale_id, i.sale_id) || ': item ' || coalesce(p.item_index, i.item_index)
       || ': in pools ' || coalesce(p.sold || ' sold of ' || p.stock, 'missing')
       || ', by the rows ' || coalesce(coalesce(r.sold, 0) - coalesce(x.units, 0) || ' sold of '
                                       || i.stock + coalesce(c.units, 0) - coalesce(x.gone, 0), 'no such item')
FROM pools p
FULL JOIN (SELECT i.* FROM items i JOIN sales s ON s.id = i.sale_id AND s.generated_seed IS NULL) i
     ON i.sale_id = p.sale_id AND i.item_index = p.item_index
LEFT JOIN (SELECT sale_id, item_index, sum(quantity) AS sold FROM purchase_results
           WHERE sold AND NOT is_single GROUP BY sale_id, item_index) r
     ON r.sale_id = p.sale_id AND r.item_index = p.item_index
LEFT JOIN (SELECT sale_id, item_index, sum(units) AS units FROM stock_changes
           GROUP BY sale_id, item_index) c
     ON c.sale_id = p.sale_id AND c.item_index = p.item_index
LEFT JOIN (SELECT sale_id, item_index, sum(quantity) AS units, sum(quantity) FILTER (WHERE NOT restock) AS gone
           FROM cancellations GROUP BY sale_id, item_index) x
     ON x.sale_id = p.sale_id AND x.item_index = p.item_index
WHERE (i.sale_id IS NOT NULL OR p.sold > 0)
  AND (p.sold, p.stock) IS DISTINCT FROM (coalesce(r.sold, 0) - coalesce(x.units, 0),
                                          i.stock + coalesce(c.units, 0) - coalesce(x.gone, 0))
UNION ALL
SELECT 'sale ' || r.sale_id || ': ' || count(*) || ' results say wrongly whether what exists once was cancelled'
FROM purchase_results r
WHERE r.cancelled <> (r.is_single AND EXISTS (SELECT FROM cancellations x
                      WHERE x.sale_id = r.sale_id AND x.secret = r.secret AND x.item_index = r.item_index))
GROUP BY r.sale_id
UNION ALL
SELECT 'sale ' || c.sale_id || ': record ' || c.lsn || ' changes the stock of what is no pool'
FROM stock_changes c
WHERE NOT EXISTS (SELECT FROM pools p WHERE p.sale_id = c.sale_id AND p.item_index = c.item_index)";

/// A row of [`ALL_ROWS`], unchecked.
pub(super) struct AnyRow {
    pub(super) lsn: i64,
    pub(super) kind: RowKind,
    /// `None` where a purchase has no results, or all of a checkout is given back.
    pub(super) part: Option<i32>,
    pub(super) at: Timestamp,
    pub(super) sale: i32,
    pub(super) secret: Option<u128>,
    pub(super) user: Option<String>,
    pub(super) texts: [Option<String>; 3],
    pub(super) numbers: [Option<i64>; 3],
    pub(super) flag: Option<bool>,
    pub(super) times: [Option<Timestamp>; 4],
}

impl AnyRow {
    /// Reads the columns.
    ///
    /// # Errors
    /// A column is not of the type that the schema gives it.
    pub(super) fn read(row: &Row) -> Result<Self, tokio_postgres::Error> {
        let kind = match row.try_get::<_, i32>(1)? {
            0 => RowKind::Item,
            1 => RowKind::SaleCreated,
            2 => RowKind::GeneratedItem,
            3 => RowKind::SaleClosed,
            4 => RowKind::CheckoutItem,
            5 => RowKind::PurchaseLine,
            6 => RowKind::Expired,
            7 => RowKind::Refused,
            8 => RowKind::Released,
            9 => RowKind::SaleChanged,
            10 => RowKind::StockChanged,
            11 => RowKind::CancelledLine,
            _ => RowKind::PaymentLine,
        };
        let time = |column| -> Result<_, tokio_postgres::Error> {
            Ok(row
                .try_get::<_, Option<Micros>>(column)?
                .map(|micros| micros.0))
        };
        Ok(Self {
            lsn: row.try_get(0)?,
            kind,
            part: row.try_get(2)?,
            at: row.try_get::<_, Micros>(3)?.0,
            sale: row.try_get(4)?,
            secret: row.try_get::<_, Option<Uuid>>(5)?.map(|uuid| uuid.0),
            user: row.try_get(6)?,
            texts: [row.try_get(7)?, row.try_get(8)?, row.try_get(9)?],
            numbers: [row.try_get(10)?, row.try_get(11)?, row.try_get(15)?],
            flag: row.try_get(12)?,
            times: [time(13)?, time(14)?, time(16)?, time(17)?],
        })
    }

    /// Whether both rows are parts of one record.
    pub(super) fn continues(&self, before: &Self) -> bool {
        let many = matches!(
            self.kind,
            RowKind::Item | RowKind::PurchaseLine | RowKind::CancelledLine | RowKind::PaymentLine
        );
        let same = |row: &Self| (row.lsn, row.kind, row.sale, row.secret);
        many && same(self) == same(before)
    }
}

/// A time, to the microsecond: `SystemTime` would have to be converted back and forth.
struct Micros(Timestamp);

/// From 1970 to 2000, where Postgres begins to count.
const EPOCH_US: i64 = 946_684_800_000_000;

impl<'a> FromSql<'a> for Micros {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let since_2000 = i64::from_be_bytes(raw.try_into()?);
        Ok(Self(Timestamp(since_2000.saturating_add(EPOCH_US))))
    }

    fn accepts(wanted: &Type) -> bool {
        *wanted == Type::TIMESTAMPTZ
    }
}

/// 128 bits.
struct Uuid(u128);

impl<'a> FromSql<'a> for Uuid {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(u128::from_be_bytes(raw.try_into()?)))
    }

    fn accepts(wanted: &Type) -> bool {
        *wanted == Type::UUID
    }
}
