//! The sinks that are configured, each with its follower.

use std::sync::Arc;
use std::time::Duration;

use super::AppError;
use super::sinks::{postgres_options, redis_options};
use crate::config::{Config, Durability};
use crate::env::{Clock, OsEntropy};
use crate::journal::Journal;
use crate::limits;
use crate::reconcile::postgres::PostgresSink;
use crate::reconcile::redis::RedisSink;
use crate::reconcile::{Applied, Follower, FollowerTools, Sink, SinkError, Source};
use crate::telemetry::{Registry, SinkGauge};
use crate::types::Lsn;

/// The followers of all sinks.
pub(super) struct Followers {
    database: Option<Follower>,
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
        telemetry: &Registry,
    ) -> std::io::Result<Self> {
        let syncs = config.journal.durability == Durability::Os;
        let sinks = telemetry.sinks();
        let start = Start {
            journal,
            clock,
            syncs,
        };
        let database = config.database.as_ref().map(|database| {
            let options = postgres_options(database);
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
            database: database.transpose()?,
            redis: redis.transpose()?,
        })
    }

    /// Gives the sinks a moment to say whether they fit this journal. A database that holds another
    /// journal's records, or more than this one, means that this is the wrong journal, or that its disk
    /// was lost: selling on would sell twice. A sink that does not answer is no reason not to sell.
    ///
    /// # Errors
    /// The database does not fit.
    pub(super) fn check(&self) -> Result<(), AppError> {
        let patience = Duration::from_secs(limits::SINK_FIRST_WORD_SECONDS);
        let Some(database) = &self.database else {
            return Ok(());
        };
        match database.first_word(patience) {
            Some(Err(SinkError::Refused(why))) => Err(AppError::Database(why)),
            Some(Err(error @ SinkError::Diverged(_))) => Err(AppError::Diverged(error)),
            Some(_) => Ok(()),
            None => {
                tracing::warn!("Postgres cannot be followed yet: starting without it");
                Ok(())
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
