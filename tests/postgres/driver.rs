//! Applies records that a test has made up, as a follower would.

use std::path::{Path, PathBuf};

use flashsale::reconcile::postgres::{Encryption, PostgresOptions, PostgresSink};
use flashsale::reconcile::{Sink, SinkBatch, SinkError, Watermark};
use flashsale::record::envelope::encode;
use flashsale::record::{CatalogueKind, Entry, Items, Lines, NewItem, Record, SaleTerms};
use flashsale::types::{ItemIndex, PaymentTerms, PurchasedLine, SaleId, Timestamp};
use tokio::runtime::{Builder, Runtime};

use crate::postgres_server::{DATABASE, PASSWORD, Postgres, USER};

/// When record 0 would have been decided, in seconds since 1970: 2001-09-09 01:46:40 UTC.
pub const EPOCH: i64 = 1_000_000_000;

/// The migrations of this repository.
pub fn migrations() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations")
}

/// How to reach the server's database.
pub fn options(postgres: &Postgres) -> PostgresOptions {
    PostgresOptions {
        host: postgres.host().into(),
        port: postgres.port(),
        others: Vec::new(),
        user: USER.into(),
        password: Some(PASSWORD.into()),
        dbname: DATABASE.into(),
        schema: "public".into(),
        encryption: Encryption::Off,
        authorities: None,
        migrations: migrations(),
    }
}

/// A runtime such as a follower has.
pub fn runtime() -> Runtime {
    let builder = &mut Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

/// A sink, and where it is.
pub struct Driver {
    pub runtime: Runtime,
    pub sink: PostgresSink,
    pub watermark: Watermark,
}

impl Driver {
    pub fn open(options: PostgresOptions) -> Self {
        let mut driver = Self {
            runtime: runtime(),
            sink: PostgresSink::new(options),
            watermark: Watermark::ZERO,
        };
        driver.reopen().expect("a database");
        driver
    }

    /// Asks the database where it is, over a new connection.
    pub fn reopen(&mut self) -> Result<(), SinkError> {
        self.watermark = self.runtime.block_on(self.sink.open())?;
        Ok(())
    }

    /// Where the database is, by its own word.
    pub fn ask(&mut self) -> Result<Watermark, SinkError> {
        self.runtime.block_on(self.sink.watermark())
    }

    /// Applies the next records, in as few batches as the sink allows; how many those were.
    pub fn apply(&mut self, records: &[Record<'static>]) -> Result<usize, SinkError> {
        let mut rest = records;
        let mut batches = 0;
        while !rest.is_empty() {
            let mut batch = self.sink.batch();
            let (from, mut to) = (self.watermark, self.watermark);
            let taken = rest.iter().take_while(|record| {
                let lsn = to.lsn.next();
                let at = Timestamp::from_seconds(EPOCH + lsn.0.cast_signed());
                let mut bytes = Vec::new();
                encode(at, *record, &mut bytes);
                let entry = Entry::whole(lsn, &bytes).expect("one record");
                let taken = batch.push(&entry).expect("a record");
                if taken {
                    to = Watermark::at(&entry);
                }
                taken
            });
            let taken = taken.count();
            assert!(taken > 0, "an empty batch takes any record");
            self.runtime.block_on(self.sink.apply(batch, from, to))?;
            self.watermark = to;
            rest = &rest[taken..];
            batches += 1;
        }
        Ok(batches)
    }
}

pub fn terms(catalogue: CatalogueKind) -> SaleTerms {
    SaleTerms {
        started_at: Timestamp::from_seconds(EPOCH),
        ended_at: Timestamp::from_seconds(EPOCH + 3600),
        max_items_per_user: 10,
        hold_seconds: 0,
        payment: PaymentTerms::NONE,
        catalogue,
    }
}

/// A new sale of `item_count` generated items.
pub fn generated(sale: u32, item_count: u32) -> Record<'static> {
    let catalogue = CatalogueKind::Generated {
        seed: u64::MAX - 6,
        item_count,
    };
    Record::SaleCreated {
        sale: SaleId(sale),
        terms: terms(catalogue),
    }
}

/// A new sale of the items that were listed before.
pub fn listed(sale: u32, item_count: u32) -> Record<'static> {
    Record::SaleCreated {
        sale: SaleId(sale),
        terms: terms(CatalogueKind::Explicit { item_count }),
    }
}

pub const fn item(id: &'static str, stock: u64) -> NewItem<'static> {
    NewItem {
        id,
        name: "Ein schöner Name",
        image_url: "https://example.com/a.png",
        stock,
        max_per_user: None,
    }
}

/// A checkout of its own: `quantity` of `item`.
pub fn checkout(sale: u32, secret: u128, item: u32, quantity: u32) -> Record<'static> {
    Record::Checkout {
        sale: SaleId(sale),
        secret,
        user: "ada",
        item: ItemIndex(item),
        quantity,
        hold_until: None,
        opens: true,
        key: None,
    }
}

pub const fn line(item: u32, quantity: u32, sold: bool) -> PurchasedLine {
    PurchasedLine {
        item: ItemIndex(item),
        quantity,
        sold,
    }
}

/// A purchase with these lines, which are kept until the test ends.
pub fn purchase(sale: u32, secret: u128, lines: &[PurchasedLine]) -> Record<'static> {
    Record::Purchase {
        sale: SaleId(sale),
        secret,
        user: "ada",
        key: None,
        payment_ref: None,
        lines: Lines::Slice(lines.to_vec().leak()),
    }
}

/// Items of a sale that may come, from the one at `first` on; kept until the test ends.
pub fn announce(sale: u32, first: u32, items: &[NewItem<'static>]) -> Record<'static> {
    Record::SaleItems {
        sale: SaleId(sale),
        first: ItemIndex(first),
        items: Items::Slice(items.to_vec().leak()),
    }
}
