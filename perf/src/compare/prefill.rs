//! A journal with many users, written before its server starts: by the engine itself, only without
//! HTTP.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use flashsale::env::{Clock, OsEntropy, RealDisk, SystemClock};
use flashsale::journal::{Durability, Journal, Opening, Options, Tools};
use flashsale::sale::{CheckoutOutcome, CheckoutRequest, Engine, EngineOptions, Recovered};
use flashsale::schedule::Rotation;
use flashsale::types::{ItemId, PaymentTerms, UserId};

use super::contestant::SALE_ITEMS;

/// How long a sale lasts: a year, so that none begins or ends meanwhile.
pub const INTERVAL_SECONDS: u32 = 31_536_000;
/// Length of the journal's segments, as the server's are by default.
const SEGMENT_BYTES: u64 = 64 << 20;
/// So many records wait for the disk together.
const BATCH_RECORDS: u32 = 10_000;

/// Writes the current sale into a journal in `dir`, and a checkout of one item by each of `users`
/// users, who are called `<prefix><number>`.
///
/// # Errors
/// The journal cannot be written.
pub fn prefill(dir: &Path, prefix: &str, users: u32) -> Result<()> {
    let clock = Arc::new(SystemClock::new());
    let engine = open(dir, clock, SEGMENT_BYTES).context("cannot write a journal beforehand")?;
    let rotation = Rotation {
        interval_seconds: INTERVAL_SECONDS,
        item_count: SALE_ITEMS,
        max_items_per_user: 1,
        hold_seconds: 0,
        payment: PaymentTerms::NONE,
        seed: 0,
    };
    let mut last = rotation.run(&engine)?.context("there is a sale already")?;
    let sale = engine.active_sale().context("the sale has not begun")?.id();
    for number in 0..users {
        let decision = engine.checkout(&CheckoutRequest {
            user: UserId::new(&format!("{prefix}{number}"))?,
            item: ItemId::new(&format!("ITM-{sale}-{}", number % SALE_ITEMS))?,
            quantity: 1,
            sale: Some(sale),
            key: None,
        });
        match (decision.outcome, decision.lsn) {
            (CheckoutOutcome::Accepted { .. }, Some(lsn)) => last = lsn,
            (outcome, _) => bail!("a checkout was refused beforehand: {outcome:?}"),
        }
        if number % BATCH_RECORDS == 0 {
            engine.journal().wait(last)?;
        }
    }
    engine.journal().wait(last)?;
    engine.journal().close();
    Ok(())
}

/// Opens an engine on a journal in `dir` with segments of `segment_bytes`, whose records have the times of `clock`.
///
/// # Errors
/// The journal cannot be written.
pub fn open(dir: &Path, clock: Arc<dyn Clock>, segment_bytes: u64) -> Result<Engine> {
    let opening = Opening::lock(Arc::new(RealDisk), dir)?;
    let recovered = Recovered::from_journal(&opening)?;
    let options = Options {
        durability: Durability::Fsync,
        segment_bytes,
    };
    let tools = Tools {
        clock: Arc::clone(&clock),
        entropy: Arc::new(OsEntropy),
        // Whoever waits for a record hears of it.
        fail_stop: Box::new(|_| ()),
    };
    let journal: Arc<Journal> = Arc::new(opening.start(&recovered.replayed, &options, tools)?);
    let options = EngineOptions::default();
    Ok(Engine::new(
        recovered.state,
        journal,
        clock,
        Arc::new(OsEntropy),
        options,
    ))
}
