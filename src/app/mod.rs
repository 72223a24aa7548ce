//! The only place where the parts are put together.

pub mod elsewhere;
pub mod journal_report;
pub mod migrate_report;
pub mod rebuilding;
pub mod recovery;
pub mod sinks;
pub mod verification;

mod followers;
mod logging;

use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::elsewhere::DatabaseSales;
use self::followers::Followers;
use crate::config::{self, Config};
use crate::env::{Clock, OsEntropy, RealDisk, SystemClock};
use crate::http::{Administration, Api, SaleDefaults};
use crate::journal::{CommitWaiters, Durability, JournalError, Opening, Options, Tools};
use crate::limits;
use crate::reconcile::SinkError;
use crate::runtime::{Running, ServeError, Server, Shutdown};
use crate::sale::{
    Archive, Engine, EngineOptions, Housekeeper, Housekeeping, Recovered, Retention, SaleSource,
};
use crate::schedule::feed::{Feeds, Ticker};
use crate::schedule::{Agenda, CatchUpError, Rotation, Scheduler};
use crate::telemetry::Registry;

/// Exit code when the journal has failed (`EX_IOERR`): start again, and what was answered is there.
pub const EXIT_JOURNAL_FAILED: i32 = 74;

/// Why the server did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    CatchUp(#[from] CatchUpError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("the database cannot be followed: {0}")]
    Database(String),
    #[error(
        "the database does not fit this journal: {0}. If the journal's disk was lost, build the journal \
         again with `flashsale recover --from postgres`; otherwise set another journal.dir or \
         database.dbname"
    )]
    Diverged(SinkError),
    #[error("cannot start a thread or listen to signals: {0}")]
    Start(#[from] std::io::Error),
}

/// Runs the server until it is told to stop.
#[must_use]
pub fn serve(config: &Config) -> ExitCode {
    logging::start(&config.log);
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(config: &Config) -> Result<(), AppError> {
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        "flashsale: {}",
        config.describe()
    );
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let signals = Signals::listen()?;

    let engine = open_engine(config, &clock)?;
    let telemetry = Arc::new(Registry::new());
    let followers = Followers::start(config, engine.journal(), &clock, &telemetry)?;
    followers.check()?;
    let housekeeping = Housekeeping {
        keep_ended_seconds: seconds(config.sale.keep_ended),
        followed: Box::new(followers.followed()),
        retention: config
            .journal
            .retain
            .map(|retain| retention(config, retain)),
    };
    let housekeeper = Housekeeper::start(Arc::clone(&engine), housekeeping)?;
    let mut agenda = Agenda::new(Arc::clone(&engine), rotation(config));
    agenda.catch_up()?;
    let scheduler = Scheduler::start(agenda)?;

    let shutdown = Shutdown::new();
    let feeds = Feeds::new(Arc::clone(&engine));
    let ticker = Ticker::start(Arc::clone(&feeds))?;
    let running = start_server(config, &engine, telemetry, feeds, &shutdown)?;
    announce_sale(&engine);

    signals.wait_then_begin(shutdown);
    let drained = running.join();
    ticker.stop();
    scheduler.stop();
    engine.journal().close();
    housekeeper.join();
    followers.stop();
    let report = drained?;
    let lsn = engine.journal().durable();
    tracing::info!(connections = report.open, cut = report.cut, %lsn, "drained, journal closed");
    Ok(())
}

fn open_engine(config: &Config, clock: &Arc<dyn Clock>) -> Result<Arc<Engine>, AppError> {
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
    let options = Options {
        durability: match config.journal.durability {
            config::Durability::Fsync => Durability::Fsync,
            config::Durability::Os => Durability::Os,
        },
        segment_bytes: config.journal.segment_bytes,
    };
    let tools = Tools {
        clock: Arc::clone(clock),
        entropy: Arc::new(OsEntropy),
        fail_stop: Box::new(fail_stop),
    };
    let journal = opening.start(&replayed, &options, tools)?;
    tracing::info!(
        dir = %config.journal.dir.display(),
        snapshot = snapshot_lsn.0,
        records = replayed.records,
        last = replayed.last_lsn.0,
        ms = (clock.monotonic_us() - started_us) / 1000,
        "journal recovered"
    );
    let options = EngineOptions {
        record_refused: config.journal.refused_attempts,
    };
    let entropy = Arc::new(OsEntropy);
    Ok(Arc::new(Engine::new(
        state,
        Arc::new(journal),
        Arc::clone(clock),
        entropy,
        options,
    )))
}

/// Ends the process, because memory is no longer what is on the disk.
fn fail_stop(error: &JournalError) {
    tracing::error!("{error}; stopping, nothing is confirmed any more");
    std::process::exit(EXIT_JOURNAL_FAILED);
}

fn rotation(config: &Config) -> Rotation {
    Rotation {
        interval_seconds: seconds(config.sale.interval),
        item_count: config.sale.total_items,
        max_items_per_user: config.sale.max_items_per_user,
        hold_seconds: config.sale.hold.map_or(0, seconds),
        seed: config.sale.seed,
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

fn start_server(
    config: &Config,
    engine: &Arc<Engine>,
    telemetry: Arc<Registry>,
    feeds: Arc<Feeds>,
    shutdown: &Shutdown,
) -> Result<Running, AppError> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let workers = config
        .server
        .workers
        .map_or(cores, usize::from)
        .min(limits::WORKERS_MAX);
    let server = Server::bind(config.server.address(), workers)?;
    let address = server.address();
    let started_us = engine.clock().monotonic_us();
    let engine = Arc::clone(engine);
    let administration = Arc::new(administration(config));
    let database = config
        .database
        .as_ref()
        .map(DatabaseSales::new)
        .transpose()?;
    let elsewhere = database.map(|database| Box::new(database) as Box<dyn SaleSource>);
    let archive = Arc::new(Archive::start(Arc::clone(&engine), elsewhere)?);
    let make_api = move |_worker| {
        let waiters = CommitWaiters::new(Arc::clone(engine.journal()));
        Rc::new(Api::new(
            Arc::clone(&engine),
            Arc::clone(&archive),
            waiters,
            Arc::clone(&telemetry),
            Arc::clone(&feeds),
            Arc::clone(&administration),
            started_us,
        ))
    };
    let running = server.start(make_api, shutdown)?;
    tracing::info!(workers, "listening on http://{address}");
    Ok(running)
}

fn administration(config: &Config) -> Administration {
    let token = config.admin.token.as_ref();
    let defaults = SaleDefaults {
        interval_seconds: seconds(config.sale.interval),
        max_items_per_user: config.sale.max_items_per_user,
        hold_seconds: config.sale.hold.map_or(0, seconds),
        seed: config.sale.seed,
    };
    Administration::new(token.map(ExposeSecret::expose_secret), defaults)
}

fn announce_sale(engine: &Engine) {
    if let Some(sale) = engine.active_sale() {
        let (id, until) = (sale.id(), sale.ended_at());
        let items = sale.item_count();
        tracing::info!("sale {id} is open until {until}: {items} items, ITM-{id}-0 and on");
    }
}

/// The signals that stop the server, and the one that does not.
struct Signals {
    runtime: tokio::runtime::Runtime,
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let _inside = runtime.enter();
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        let hangup = signal(SignalKind::hangup())?;
        drop(_inside);
        Ok(Self {
            runtime,
            terminate,
            interrupt,
            hangup,
        })
    }

    /// Waits for SIGTERM, SIGINT, or a worker that could not go on. A hang-up is ignored, so that
    /// closing a terminal does not end a sale.
    fn wait_then_begin(mut self, shutdown: Shutdown) {
        self.runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = self.terminate.recv() => break tracing::info!("SIGTERM: draining"),
                    _ = self.interrupt.recv() => break tracing::info!("SIGINT: draining"),
                    _ = self.hangup.recv() => tracing::info!("SIGHUP is ignored"),
                    () = shutdown.begun() => break,
                }
            }
        });
        shutdown.begin();
    }
}
