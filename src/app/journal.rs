//! The journal of the server that starts.

use std::process;
use std::sync::Arc;

use super::{AppError, EXIT_JOURNAL_FAILED, logging};
use crate::config::Config;
use crate::env::{Clock, OsEntropy, RealDisk};
use crate::journal::{JournalError, Opening, Options, Tools};
use crate::sale::{Engine, EngineOptions, Recovered};

/// Recovers the journal, and begins to write behind it.
///
/// # Errors
/// Another process has the journal, it is damaged, or the disk does not do.
pub(super) fn open_engine(
    config: &Config,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<Engine>, AppError> {
    let started_us = clock.monotonic_us();
    let opening = Opening::lock(Arc::new(RealDisk), &config.journal.dir)?;
    let Recovered {
        state,
        snapshot_lsn,
        replayed,
    } = Recovered::from_journal(&opening)?;
    if replayed.torn {
        tracing::warn!(
            "the last batch was not written whole: cut off, nobody was answered from it"
        );
    }
    let tools = Tools {
        clock: Arc::clone(clock),
        entropy: Arc::new(OsEntropy),
        fail_stop: Box::new(fail_stop),
    };
    let journal = opening.start(&replayed, &options(config), tools)?;
    journal.set_stall_threshold(config.journal.stall);
    tracing::info!(
        dir = %config.journal.dir.display(),
        snapshot_lsn = snapshot_lsn.0,
        records = replayed.records,
        last_lsn = replayed.last_lsn.0,
        took_ms = (clock.monotonic_us() - started_us) / 1000,
        "journal recovered"
    );
    #[cfg(feature = "otel")]
    super::otel::started("recover the journal", &**clock, started_us);
    let options = EngineOptions {
        record_refused: config.journal.refused_attempts,
    };
    Ok(Arc::new(Engine::new(
        state,
        Arc::new(journal),
        Arc::clone(clock),
        Arc::new(OsEntropy),
        options,
    )))
}

fn options(config: &Config) -> Options {
    Options {
        durability: config.journal.durability,
        segment_bytes: config.journal.segment_bytes,
    }
}

/// Ends the process, because memory is no longer what is on the disk.
fn fail_stop(error: &JournalError) {
    tracing::error!("{error}; stopping, nothing is confirmed any more");
    logging::flush();
    process::exit(EXIT_JOURNAL_FAILED);
}
