//! The start of the server, in the order in which its parts need each other.

use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::AppError;
use super::admin_token::load_drawn;
use super::duties::{Duties, DutyParts, FollowedRecord};
use super::journal::{Opened, open_engine};
use super::postgres_sales::DatabaseSales;
use super::replication::{Membership, ReplicationThread};
use super::signals::Signals;
use super::startup_phases::StartupPhases;
use super::systemd::{Notifier, WatchedServer};
use super::webhooks::EventParts;
use crate::auth::Authority;
use crate::config::Config;
use crate::env::{Clock, OsEntropy, RealDisk, Secret};
use crate::events::{EventFeed, EventReader, EventSource};
use crate::http::{Administration, Api, CrossOrigin};
use crate::limiter::Limiter;
use crate::limits;
use crate::live::{Feeds, Ticker};
use crate::operations::{FigureSources, Observer, Replica};
use crate::runtime::{ListenerOptions, RunningServer, Server, Shutdown};
use crate::sale::{Archive, Engine, Housekeeper, Housekeeping, Retention, SaleSource};
use crate::schedule::Rotation;
use crate::telemetry::TelemetryRegistry;
use crate::types::{Durability, Lsn};

/// When this server sells.
pub(super) enum Selling {
    /// From its start to its end.
    Always(Duties),
    /// When its turn has come.
    InTurn(ReplicationThread),
}

/// A server that serves.
pub(super) struct Service {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) engine: Arc<Engine>,
    pub(super) telemetry: Arc<TelemetryRegistry>,
    pub(super) selling: Selling,
    pub(super) housekeeper: Housekeeper,
    pub(super) ticker: Ticker,
    pub(super) observer: Arc<Observer>,
    pub(super) feed: Arc<EventFeed>,
    pub(super) running: RunningServer,
    pub(super) notifier: Option<Notifier>,
}

impl Service {
    /// Does everything up to the first request. Nothing is written before the address is ours, and nobody
    /// can connect before everything is there that an answer takes.
    ///
    /// # Errors
    /// See [`AppError`]; `steps` knows in which step that was.
    pub(super) fn start(
        config: &Config,
        options: ListenerOptions,
        (admin_token, authority): (Secret, Option<Arc<Authority>>),
        clock: &Arc<dyn Clock>,
        steps: &mut StartupPhases,
        shutdown: &Shutdown,
        signals: &Signals,
    ) -> Result<Self, AppError> {
        let server = Server::bind(config.server.address(), workers(config))?;
        let (address, took_ms) = (server.address(), steps.took_ms());
        tracing::info!(%address, took_ms, "address bound");

        steps.next("journal");
        let Opened { engine, following } = open_engine(config, clock)?;
        let telemetry = Arc::new(TelemetryRegistry::new());
        let status = following.as_ref().map(|(log, _)| Arc::clone(log.status()));
        let replica = status.map(Replica::new);

        let membership = following.as_ref().map(|(membership, _)| membership);
        let events = EventParts {
            source: event_source(config, membership),
            engine: Arc::clone(&engine),
            archive: Arc::new(start_archive(config, &engine)?),
        };
        let duties = DutyParts {
            config: config.clone(),
            engine: Arc::clone(&engine),
            clock: Arc::clone(clock),
            telemetry: Arc::clone(&telemetry),
            followed: FollowedRecord::default(),
            events: events.clone(),
        };
        let housekeeping = housekeeping(config, &duties.followed, membership);
        let mut prepared = None;
        if membership.is_none() {
            steps.next("sinks");
            let duties = prepared.insert(duties.prepare(None)?);
            duties.check(steps)?;
        }
        let housekeeper = Housekeeper::start(Arc::clone(&engine), housekeeping)?;
        if let Some(duties) = &mut prepared {
            steps.next("scheduler");
            duties.catch_up(steps)?;
        }

        steps.next("listeners");
        let feeds = Feeds::new(Arc::clone(&engine));
        let ticker = Ticker::start(Arc::clone(&feeds))?;
        let archive = Arc::clone(&events.archive);
        let observer = Observer::start(FigureSources {
            engine: Arc::clone(&engine),
            archive: Arc::clone(&archive),
            feeds: Arc::clone(&feeds),
            registry: Arc::clone(&telemetry),
            rotation: rotation(config),
            configuration: config.fingerprint(),
            replica: replica.clone(),
            started_us: steps.began_us(),
        })?;
        let feed = Arc::new(start_feed(config, &events, clock, &telemetry)?);
        let parts = ApiParts {
            admin_token,
            engine: Arc::clone(&engine),
            archive,
            telemetry: Arc::clone(&telemetry),
            feeds,
            observer: Arc::clone(&observer),
            feed: Arc::clone(&feed),
            replica,
            authority,
        };
        signals.serve();
        let scheme = options.scheme();
        let running = start_server(config, server, options, parts, shutdown)?;
        let (workers, took_ms) = (workers(config), steps.took_ms());
        tracing::info!(workers, took_ms, "listening on {scheme}://{address}");

        let selling = match (prepared, following) {
            (Some(prepared), _) => Selling::Always(prepared.begin()?),
            (None, Some((membership, state))) => {
                let thread = ReplicationThread::start(membership, state, duties, shutdown)?;
                Selling::InTurn(thread)
            }
            (None, None) => unreachable!("what is not in turn was prepared"),
        };
        let notifier = Notifier::start(WatchedServer {
            engine: Arc::clone(&engine),
            telemetry: Arc::clone(&telemetry),
            shutdown: shutdown.clone(),
        })?;
        Ok(Self {
            clock: Arc::clone(clock),
            engine,
            telemetry,
            selling,
            housekeeper,
            ticker,
            observer,
            feed,
            running,
            notifier,
        })
    }
}

fn workers(config: &Config) -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let workers = config.server.workers.map_or(cores, usize::from);
    workers.min(limits::WORKERS_MAX)
}

pub(super) fn rotation(config: &Config) -> Rotation {
    Rotation {
        interval_seconds: seconds(config.sale.interval),
        item_count: config.sale.total_items,
        max_items_per_user: config.sale.max_items_per_user,
        hold_seconds: config.sale.hold.map_or(0, seconds),
        payment: config.sale.payment,
        seed: config.sale.seed,
    }
}

fn housekeeping(
    config: &Config,
    followed: &FollowedRecord,
    membership: Option<&Membership>,
) -> Housekeeping {
    let followed = followed.clone();
    let needed = membership.map(Membership::needed);
    let followed = move || match &needed {
        None => followed.get().unwrap_or(Lsn::ZERO),
        Some(needed) => needed.kept_behind(followed.get()),
    };
    Housekeeping {
        keep_ended_seconds: seconds(config.sale.keep_ended),
        followed: Box::new(followed),
        retention: config
            .journal
            .retain
            .map(|retain| retention(config, retain)),
    }
}

/// The files of ended sales may go where a database has what is in them; not as long as Redis shows the
/// sale, which may have to be filled again from them.
fn retention(config: &Config, retain: Duration) -> Retention {
    let segment_seconds = seconds(retain);
    let shown_seconds = config
        .redis
        .as_ref()
        .map_or(0, |_| limits::REDIS_SALE_SECONDS);
    let sale_seconds = segment_seconds.max(shown_seconds);
    Retention {
        segment_seconds,
        sale_seconds: config.database.as_ref().map(|_| sale_seconds),
    }
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).expect("the configuration bounds durations")
}

fn start_archive(config: &Config, engine: &Arc<Engine>) -> Result<Archive, AppError> {
    let database = config
        .database
        .as_ref()
        .map(DatabaseSales::new)
        .transpose()?;
    let elsewhere = database.map(|database| Box::new(database) as Box<dyn SaleSource>);
    Ok(Archive::start(Arc::clone(engine), elsewhere)?)
}

/// Returns the name of the journal in its events: that of the log, where one is replicated.
fn event_source(config: &Config, membership: Option<&Membership>) -> EventSource {
    if let Some(membership) = membership {
        return EventSource::of_log(membership.identity());
    }
    let source = EventSource::of_dir(&RealDisk, &OsEntropy, &config.journal.dir);
    source.unwrap_or_else(|error| {
        tracing::error!("events have another source until the next start: {error}");
        EventSource::passing(&OsEntropy)
    })
}

fn start_feed(
    config: &Config,
    events: &EventParts,
    clock: &Arc<dyn Clock>,
    telemetry: &TelemetryRegistry,
) -> Result<EventFeed, AppError> {
    let journal = Arc::clone(events.engine.journal());
    let syncs = config.journal.durability == Durability::Os;
    let reader = EventReader::new(journal, events.writer(), syncs);
    let gauge = Arc::clone(telemetry.events());
    Ok(EventFeed::start(reader, Arc::clone(clock), gauge)?)
}

/// What every worker's interface is made of.
struct ApiParts {
    admin_token: Secret,
    engine: Arc<Engine>,
    archive: Arc<Archive>,
    telemetry: Arc<TelemetryRegistry>,
    feeds: Arc<Feeds>,
    observer: Arc<Observer>,
    feed: Arc<EventFeed>,
    replica: Option<Replica>,
    authority: Option<Arc<Authority>>,
}

fn start_server(
    config: &Config,
    server: Server,
    options: ListenerOptions,
    parts: ApiParts,
    shutdown: &Shutdown,
) -> Result<RunningServer, AppError> {
    let administration = Arc::new(administration(config, parts.admin_token)?);
    let scheme = options.scheme();
    let cross_origin = CrossOrigin::new(&config.server.cors_origins);
    let client_address = Arc::clone(&options.client_address);
    let rates = &config.limits;
    let limiter = Limiter::new(rates.address, rates.user, &OsEntropy).map(Arc::new);
    let payment_page: Option<Arc<str>> = config.sale.payment_page.as_deref().map(Into::into);
    let telemetry: Vec<_> = (0..workers(config))
        .map(|_| parts.telemetry.add_worker())
        .collect();
    let make_api = move |worker: usize| {
        let api = Api::new(
            Arc::clone(&parts.engine),
            Arc::clone(&parts.archive),
            Arc::clone(&telemetry[worker]),
            Arc::clone(&parts.feeds),
            Arc::clone(&administration),
            Arc::clone(&parts.observer),
        );
        let cross_origin = cross_origin.clone();
        let api = api.with_scheme(scheme).with_cross_origin(cross_origin);
        let api = api.with_client_address(Arc::clone(&client_address));
        let api = api.with_limiter(limiter.clone());
        let api = api.with_events(Arc::clone(&parts.feed));
        let api = api.with_payment_page(payment_page.clone());
        let api = api.with_authority(parts.authority.clone());
        Rc::new(api.with_replica(parts.replica.clone()))
    };
    Ok(server.start(options, make_api, shutdown)?)
}

fn administration(config: &Config, admin_token: Secret) -> Result<Administration, AppError> {
    load_drawn(&admin_token, config);
    let shop_token = config.shop.token.clone();
    // The configuration was checked before a drawn token was known.
    if shop_token
        .as_ref()
        .is_some_and(|it| it.is_same_text(&admin_token))
    {
        return Err(AppError::SameToken);
    }
    Ok(Administration::new(admin_token, rotation(config)).with_shop_token(shop_token))
}
