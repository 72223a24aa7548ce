//! The sinks that are configured, each with its follower.

use std::sync::Arc;
use std::time::Duration;

use super::AppError;
use super::sinks::{postgres_options, redis_options};
use super::steps::Steps;
use crate::config::{Config, Durability};
use crate::env::{Clock, OsEntropy};
use crate::journal::Journal;
use crate::limits;
use crate::reconcile::postgres::PostgresSink;
use crate::reconcile::redis::RedisSink;
use crate::reconcile::{Applied, Follower, FollowerTools, Sink, SinkError, Source};
use crate::telemetry::{Registry, SinkGauge, Sinks};
use crate::types::{Lsn, Timestamp};

/// The followers of all sinks.
pub(super) struct Followers {
    journal: Arc<Journal>,
    telemetry: Arc<Registry>,
    database: Option<Follower>,
    /// Where the database is; empty when there is none.
    database_address: String,
    redis: Option<Follower>,
}

impl Followers {
    /// Starts to follow `journal` with whatever is configured.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub(super) fn start(
        config: &Config,
        journal: &Arc<Journal>,
        clock: &Arc<dyn Clock>,
        telemetry: &Arc<Registry>,
    ) -> std::io::Result<Self> {
        let syncs = config.journal.durability == Durability::Os;
        let sinks = telemetry.sinks();
        let start = Start {
            journal,
            clock,
            syncs,
        };
        let mut database_address = String::new();
        let database = config.database.as_ref().map(|database| {
            let options = postgres_options(database);
            database_address = options.address();
            start.follower(move || PostgresSink::new(options), &sinks.database)
        });
        let redis = config.redis.as_ref().map(|redis| {
            let options = redis_options(redis);
            start.follower(
                move || RedisSink::new(options, Arc::new(OsEntropy)),
                &sinks.redis,
            )
        });
        Ok(Self {
            journal: Arc::clone(journal),
            telemetry: Arc::clone(telemetry),
            database: database.transpose()?,
            database_address,
            redis: redis.transpose()?,
        })
    }

    /// Gives the sinks a moment to say whether they fit this journal, and says what is known of them then.
    /// A database that holds another journal's records, or more than this one, means that this is the
    /// wrong journal, or that its disk was lost: selling on would sell twice. A sink that does not answer
    /// is no reason not to sell.
    ///
    /// # Errors
    /// The database does not fit.
    pub(super) fn check(&self, steps: &Steps) -> Result<(), AppError> {
        let patience = Duration::from_secs(limits::SINK_FIRST_WORD_SECONDS);
        let database = self.database.as_ref();
        let address = self.database_address.clone();
        match database.map(|database| database.first_word(patience)) {
            Some(Some(Err(source @ SinkError::Diverged(_)))) => {
                return Err(AppError::Diverged { address, source });
            }
            Some(Some(Err(source))) => return Err(AppError::Database { address, source }),
            Some(None) => tracing::warn!(
                address,
                "Postgres cannot be followed yet: {address}: starting without it; migrations are looked at when it \
                 is there"
            ),
            Some(Some(Ok(()))) | None => {}
        }
        if let Some(redis) = &self.redis {
            // Whatever it says is told by its follower, and no reason not to sell.
            let patience = Duration::from_millis(limits::REDIS_FIRST_WORD_MS);
            let _ = redis.first_word(patience);
        }
        self.tell(steps);
        Ok(())
    }

    fn tell(&self, steps: &Steps) {
        let sinks: &Sinks = self.telemetry.sinks();
        let (durable, took_ms) = (self.journal.durable(), steps.took_ms());
        for (sink, gauge) in sinks.named() {
            let figures = gauge.figures(durable, Timestamp::default());
            match (gauge.is_configured(), figures.applied_lsn) {
                (false, _) => tracing::info!(sink, "{sink} is off"),
                (true, None) => tracing::info!(sink, took_ms, "{sink} is not connected yet"),
                (true, Some(lsn)) => {
                    let behind = figures.lag_records;
                    tracing::info!(sink, lsn, behind, took_ms, "{sink} is connected");
                }
            }
        }
    }

    /// The last record that all of them have.
    pub(super) fn followed(&self) -> impl Fn() -> Lsn + Send + use<> {
        let all: Vec<Applied> = self.all().map(Follower::applied).collect();
        move || all.iter().map(Applied::get).min().unwrap_or(Lsn(u64::MAX))
    }

    /// Lets them take what is left, and ends them. The journal must be closed.
    pub(super) fn stop(self) {
        for follower in self.all() {
            follower.ask_to_stop();
        }
        for follower in self.database.into_iter().chain(self.redis) {
            follower.stop();
        }
    }

    fn all(&self) -> impl Iterator<Item = &Follower> {
        self.database.iter().chain(&self.redis)
    }
}

/// What all followers are started with.
struct Start<'a> {
    journal: &'a Arc<Journal>,
    clock: &'a Arc<dyn Clock>,
    syncs: bool,
}

impl Start<'_> {
    fn follower<S: Sink>(
        &self,
        make: impl FnOnce() -> S + Send + 'static,
        gauge: &Arc<SinkGauge>,
    ) -> std::io::Result<Follower> {
        let source = Source::new(Arc::clone(self.journal), self.syncs);
        let tools = FollowerTools {
            clock: Arc::clone(self.clock),
            entropy: Arc::new(OsEntropy),
            gauge: Arc::clone(gauge),
        };
        Follower::start(make, source, tools)
    }
}
