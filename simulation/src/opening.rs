//! The opening of a process's journal, and where a log is replicated, its place there.

use std::path::Path;
use std::sync::Arc;

use flashsale::env::{Clock, Disk, SeededEntropy, SimulatedDisk};
use flashsale::journal::{Durability, JournalError, Opening, Options, Tools};
use flashsale::replication::{
    JoinError, Participant, ReplicationStatus, SimulatedLog, StandbyParts, join,
};
use flashsale::sale::{Engine, EngineOptions, FollowingState, Recovered};

use crate::log_watch::LogWatch;
use crate::server::{DIR, Surroundings};
use crate::vitals::Vitals;

/// The name of the replicated log.
const LOG: &str = "flashsale";
/// Milliseconds without a sign after which a standby takes over.
const TAKEOVER_MS: u32 = 3000;

/// The place of a machine that replicates a log.
#[derive(Clone)]
pub struct LogPlace {
    /// The number of the machine.
    pub machine: usize,
    /// The number of the process.
    pub process: u64,
    /// Its way to the log.
    pub way: SimulatedLog,
    /// Its judge.
    pub watch: LogWatch,
    /// The process before it has handed the leadership over.
    pub has_offered: bool,
}

/// The reason why a process did not start.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    /// It cannot read or write its journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// It cannot join the log.
    #[error(transparent)]
    Join(#[from] JoinError),
}

impl NotStarted {
    /// Returns whether a later attempt may succeed.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Join(error) if error.may_pass())
    }
}

/// The part of a process in a replication.
pub struct ReplicaPart {
    /// Its turns.
    pub participant: Participant,
    /// Its figures.
    pub status: Arc<ReplicationStatus>,
    /// Its machine's place.
    pub place: LogPlace,
}

/// Returns the engine of a process on `disk`, and its part in the replication: as the start of the real one does.
///
/// # Errors
/// Those that end the start of the real one, too.
pub fn open_engine(
    disk: &SimulatedDisk,
    vitals: &Vitals,
    around: &Surroundings<'_>,
) -> Result<(Arc<Engine>, Option<ReplicaPart>), NotStarted> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let opening = Opening::lock(shared, Path::new(DIR))?;
    let place = around.place.clone();
    let joined = place.as_ref().map(|place| {
        let mut way = place.way.clone();
        join(
            &mut way,
            LOG,
            disk,
            Path::new(DIR),
            &SeededEntropy::new(around.seed),
        )
    });
    let joined = joined.transpose()?;
    let Recovered {
        state, replayed, ..
    } = Recovered::from_journal(&opening)?;
    let ending = vitals.clone();
    let tools = Tools {
        clock: Arc::clone(around.clock) as Arc<dyn Clock>,
        entropy: Arc::new(SeededEntropy::new(around.seed)),
        fail_stop: Box::new(move |_| ending.fail()),
    };
    let options = Options {
        durability: Durability::Fsync,
        segment_bytes: around.plan.segment_bytes,
    };
    let journal = opening.start_stepped(&replayed, &options, tools)?;
    journal.hold_back(joined.is_some());
    let options = EngineOptions {
        record_refused: around.plan.records_refused,
        record_openings: around.plan.records_openings,
    };
    let (shown, followed) = match &joined {
        None => (state, None),
        Some(_) => (state.share(), Some(state)),
    };
    let engine = Arc::new(Engine::new(
        shown,
        Arc::new(journal),
        Arc::clone(around.clock) as Arc<dyn Clock>,
        Arc::new(SeededEntropy::new(!around.seed)),
        options,
    ));
    let following = followed.map(|state| FollowingState::new(Arc::clone(&engine), state));
    let replica = place.zip(joined).zip(following);
    let replica = replica.map(|((place, joined), following)| {
        let status = Arc::<ReplicationStatus>::default();
        let participant = Participant::new(StandbyParts {
            log: Box::new(place.way.clone()),
            journal: Arc::clone(engine.journal()),
            fold: Box::new(following),
            clock: Arc::clone(around.clock) as Arc<dyn Clock>,
            status: Arc::clone(&status),
            name: place.machine.to_string(),
            mark: joined.mark,
            at: joined.at,
            takeover_ms: TAKEOVER_MS,
            has_offered: place.has_offered,
        });
        ReplicaPart {
            participant,
            status,
            place,
        }
    });
    Ok((engine, replica))
}
