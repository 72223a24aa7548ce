//! The sinks that are configured, each with its follower.

use std::sync::Arc;
use std::time::Duration;

use super::AppError;
use super::sinks::{postgres_options, redis_options};
use super::startup_phases::StartupPhases;
use super::webhooks::{self, EventParts, FollowedWebhook};
use crate::config::Config;
use crate::env::{Clock, OsEntropy};
use crate::journal::Journal;
use crate::limits;
use crate::reconcile::postgres::PostgresSink;
use crate::reconcile::redis::RedisSink;
use crate::reconcile::webhooks::KeptForWebhook;
use crate::reconcile::{Applied, Follower, FollowerTools, RecordSource, Sink, SinkError};
use crate::telemetry::{SinkId, TelemetryRegistry};
use crate::types::{Durability, Lsn, Timestamp};

/// The followers of all sinks that are configured.
pub(super) struct Followers {
    journal: Arc<Journal>,
    telemetry: Arc<TelemetryRegistry>,
    followed: Vec<FollowedSink>,
    webhooks: Vec<FollowedWebhook>,
    clock: Arc<dyn Clock>,
    keep_for_webhooks: Duration,
}

/// A sink that is configured, and its follower.
struct FollowedSink {
    /// Where the sink is: `host:port`.
    address: String,
    fit: FitRule,
    follower: Follower,
}

/// What a start does with the first word of a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FitRule {
    /// A sink that does not fit this journal stops the start: it is the wrong journal, or its disk was lost, and
    /// selling on would sell twice. A sink that does not answer is no reason not to sell.
    Required,
    /// The follower logs what is wrong, and the sale goes on.
    Optional,
}

impl FitRule {
    /// How long a start waits for the sink's first word.
    fn patience(self) -> Duration {
        match self {
            Self::Required => Duration::from_secs(limits::SINK_FIRST_WORD_SECONDS),
            Self::Optional => Duration::from_millis(limits::REDIS_FIRST_WORD_MS),
        }
    }
}

impl Followers {
    /// Starts to follow `journal` with whatever is configured. A sink more is a folder of `reconcile`, a
    /// [`SinkId`], and a line here.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub(super) fn start(
        config: &Config,
        journal: &Arc<Journal>,
        clock: &Arc<dyn Clock>,
        telemetry: &Arc<TelemetryRegistry>,
        events: &EventParts,
        begins_behind: Option<Lsn>,
    ) -> std::io::Result<Self> {
        let start = FollowerStart {
            journal,
            clock,
            telemetry,
            syncs: config.journal.durability == Durability::Os,
        };
        let postgres = config.database.as_ref().map(postgres_options);
        let redis = config.redis.as_ref().map(redis_options);
        let followed = [
            postgres.map(|options| {
                let address = options.address();
                let make = move || PostgresSink::new(options);
                start.follow(SinkId::Postgres, FitRule::Required, address, make)
            }),
            redis.map(|options| {
                let address = options.address();
                let make = move || RedisSink::new(options, Arc::new(OsEntropy));
                start.follow(SinkId::Redis, FitRule::Optional, address, make)
            }),
        ];
        Ok(Self {
            journal: Arc::clone(journal),
            telemetry: Arc::clone(telemetry),
            followed: followed
                .into_iter()
                .flatten()
                .collect::<std::io::Result<_>>()?,
            webhooks: webhooks::start(config, events, clock, telemetry, begins_behind)?,
            clock: Arc::clone(clock),
            // Where nothing is ever removed, nothing is given up either.
            keep_for_webhooks: config
                .journal
                .retain
                .map_or(Duration::MAX, |_| config.journal.keep_for_webhooks),
        })
    }

    /// Gives the sinks a moment to say whether they fit this journal, and logs what is known of them then.
    ///
    /// # Errors
    /// The database does not fit.
    pub(super) fn check(&self, phases: &StartupPhases) -> Result<(), AppError> {
        for FollowedSink {
            address,
            fit,
            follower,
        } in &self.followed
        {
            let first_word = follower.first_word(fit.patience());
            if *fit == FitRule::Optional {
                continue;
            }
            match first_word {
                Some(Err(source @ SinkError::Behind(_))) => tracing::error!(
                    address,
                    "Postgres cannot be followed: {address}: {source}. The sale goes on without it"
                ),
                Some(Err(source)) => {
                    let address = address.clone();
                    return Err(match source {
                        SinkError::Diverged(_) => AppError::Diverged { address, source },
                        _ => AppError::Database { address, source },
                    });
                }
                None => tracing::warn!(
                    address,
                    "Postgres cannot be followed yet: {address}: starting without it; migrations are looked at when it \
                     is there"
                ),
                Some(Ok(())) => {}
            }
        }
        self.log(phases);
        Ok(())
    }

    fn log(&self, phases: &StartupPhases) {
        let (durable, took_ms) = (self.journal.durable(), phases.took_ms());
        for (sink, gauge) in self.telemetry.sinks().iter() {
            let sink = sink.name();
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
    pub(super) fn followed(&self) -> impl Fn() -> Lsn + Send + Sync + use<> {
        let followers = self.followed.iter().map(|followed| &followed.follower);
        let all: Vec<Applied> = followers.map(Follower::applied).collect();
        let keep = self.keep_for_webhooks;
        let kept = |it: &FollowedWebhook| it.kept(&self.journal, &self.clock, keep);
        let webhooks: Vec<_> = self.webhooks.iter().map(kept).collect();
        move || {
            let sinks = all.iter().map(Applied::get);
            let webhooks = webhooks.iter().map(KeptForWebhook::kept_behind);
            sinks.chain(webhooks).min().unwrap_or(Lsn(u64::MAX))
        }
    }

    /// Lets them take what is left, and ends them. The journal must be closed.
    pub(super) fn stop(self) {
        let sinks = self.followed.into_iter().map(|it| it.follower);
        let webhooks = self.webhooks.into_iter().map(|it| it.follower);
        let all: Vec<_> = sinks.chain(webhooks).collect();
        all.iter().for_each(Follower::ask_to_stop);
        all.into_iter().for_each(Follower::stop);
    }
}

/// The arguments that all followers are started with.
struct FollowerStart<'a> {
    journal: &'a Arc<Journal>,
    clock: &'a Arc<dyn Clock>,
    telemetry: &'a TelemetryRegistry,
    syncs: bool,
}

impl FollowerStart<'_> {
    fn follow<S: Sink>(
        &self,
        sink: SinkId,
        fit: FitRule,
        address: String,
        make: impl FnOnce() -> S + Send + 'static,
    ) -> std::io::Result<FollowedSink> {
        let source = RecordSource::new(Arc::clone(self.journal), self.syncs);
        let tools = FollowerTools {
            clock: Arc::clone(self.clock),
            entropy: Arc::new(OsEntropy),
            gauge: Arc::clone(self.telemetry.sinks().gauge(sink)),
        };
        Ok(FollowedSink {
            address,
            fit,
            follower: Follower::start(make, source, tools)?,
        })
    }
}
