//! A journal from before the server's start: sales with many users, in short segments which become old enough to be removed
//! one after the other while the server runs.

use std::path::Path;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use flashsale::env::{Clock, ManualClock, SystemClock};
use flashsale::sale::{CheckoutOutcome, CheckoutRequest, Engine, NewCatalogue, NewSale};
use flashsale::schedule::Rotation;
use flashsale::types::{ItemId, PaymentTerms, SaleId, Timestamp, UserId};

use super::RETAIN_HOURS;
use crate::compare::contestant::SALE_ITEMS;
use crate::compare::prefill::{INTERVAL_SECONDS, open};

/// Length of the segments: so short that several of them are removed.
const SEGMENT_BYTES: u64 = 8 << 20;
/// Seconds that the sales would last which are closed before.
const SALE_SECONDS: u32 = 86_400;
/// So many records wait for the disk together.
const BATCH_RECORDS: u32 = 10_000;
/// The time that the next segment may take.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// The sales of the journal.
pub struct Past {
    /// The sale of the rotation, which goes on.
    pub lasting: SaleId,
    /// The sales to close, each with a checkout of every user.
    pub ending: [SaleId; 2],
}

impl Past {
    /// Writes a journal into `dir` for a run of `seconds`, with `users` in each sale that is to end.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn write(dir: &Path, users: u32, seconds: u32) -> Result<Self> {
        let now = SystemClock::new().now();
        let begin = Timestamp::from_seconds(now.seconds() - i64::from(RETAIN_HOURS) * 3600);
        let clock = Arc::new(ManualClock::at(begin));
        let engine =
            open(dir, clock.clone(), SEGMENT_BYTES).context("cannot write a journal beforehand")?;
        let rotation = Rotation {
            interval_seconds: INTERVAL_SECONDS,
            item_count: SALE_ITEMS,
            max_items_per_user: 10,
            hold_seconds: 0,
            payment: PaymentTerms::NONE,
            seed: 0,
        };
        rotation.run(&engine)?.context("there is a sale already")?;
        let lasting = engine.active_sale().context("the sale has not begun")?.id();
        let ending = [create(&engine)?, create(&engine)?];
        let all = users * ending.len() as u32;
        for number in 0..all {
            // Each segment gets a time of its own.
            let passed = u64::from(number) * u64::from(seconds) / u64::from(all);
            clock.set(begin.plus_seconds(passed as u32));
            let place = (number / users) as usize;
            check_out(&engine, ending[place], number % users)?;
        }
        engine.journal().close();
        Ok(Self { lasting, ending })
    }
}

fn create(engine: &Engine) -> Result<SaleId> {
    let now = engine.clock().now();
    let created = engine.create_sale(&NewSale {
        started_at: now,
        ended_at: now.plus_seconds(SALE_SECONDS),
        max_items_per_user: 10,
        hold_seconds: 0,
        payment: PaymentTerms::NONE,
        catalogue: NewCatalogue::Generated {
            item_count: SALE_ITEMS,
            seed: 0,
        },
    })?;
    Ok(created.outcome.id())
}

/// Checks an item out, and waits for the disk now and then, and for the next segment where it is not ready.
fn check_out(engine: &Engine, sale: SaleId, user: u32) -> Result<()> {
    let (user_id, item) = (format!("past-{user}"), user % SALE_ITEMS);
    let item_id = format!("ITM-{sale}-{item}");
    let request = CheckoutRequest {
        user: UserId::new(&user_id)?,
        item: ItemId::new(&item_id)?,
        quantity: 1,
        sale: Some(sale),
        key: None,
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        let decision = engine.checkout(&request);
        match (decision.outcome, decision.lsn) {
            (CheckoutOutcome::Accepted { .. }, Some(lsn)) => {
                if user.is_multiple_of(BATCH_RECORDS) {
                    engine.journal().wait(lsn)?;
                }
                return Ok(());
            }
            (CheckoutOutcome::Unavailable(_), _) if Instant::now() < deadline => {
                sleep(LOOK_EVERY);
            }
            (outcome, _) => bail!("a checkout was refused beforehand: {outcome:?}"),
        }
    }
}
