//! The journal of the server that starts.

use std::process;
use std::sync::Arc;

use super::replication::Membership;
use super::{AppError, EXIT_JOURNAL_FAILED, logging};
use crate::config::Config;
use crate::env::{Clock, OsEntropy, RealDisk};
use crate::journal::{JournalError, Opening, Options, Tools};
use crate::sale::{Engine, EngineOptions, FollowingState, Recovered};

/// An engine that goes on from where the journal ends.
pub(super) struct Opened {
    pub(super) engine: Arc<Engine>,
    /// The log that it follows, where there is one, with its other half.
    pub(super) following: Option<(Membership, FollowingState)>,
}

/// Recovers the journal, and begins to write behind it. Where a log is replicated, the journal is brought to a place there first, and
/// takes nothing that is not from there.
///
/// # Errors
/// Another process has the journal, it is damaged or does not fit the log, or the disk does not do.
pub(super) fn open_engine(config: &Config, clock: &Arc<dyn Clock>) -> Result<Opened, AppError> {
    let started_us = clock.monotonic_us();
    let dir = &config.journal.dir;
    let opening = Opening::lock(Arc::new(RealDisk), dir)?;
    let replication = config.replication.as_ref();
    let membership = replication
        .map(|settings| Membership::join(config, settings, &RealDisk, dir))
        .transpose()?;
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
    journal.hold_back(membership.is_some());
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
        record_openings: config.tells_shops(),
    };
    let (shown, followed) = match &membership {
        None => (state, None),
        Some(_) => (state.share(), Some(state)),
    };
    let engine = Arc::new(Engine::new(
        shown,
        Arc::new(journal),
        Arc::clone(clock),
        Arc::new(OsEntropy),
        options,
    ));
    let following = followed.map(|state| FollowingState::new(Arc::clone(&engine), state));
    Ok(Opened {
        engine,
        following: membership.zip(following),
    })
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
