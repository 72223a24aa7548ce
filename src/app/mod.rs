//! The only place where the parts are put together.

pub mod admin_token;
pub mod authority;
pub mod configured_log;
pub mod listener_options;
pub mod log_dial;
pub mod postgres_sales;
pub mod sinks;

mod duties;
mod followers;
mod journal;
mod log_writer;
mod logging;
mod needed_records;
#[cfg(feature = "otel")]
mod otel;
mod reload;
mod replication;
mod signals;
mod start;
mod startup_phases;
mod stop;
mod systemd;
mod trace_endpoint;
mod watchdog;
mod webhooks;

use std::process::ExitCode;
use std::sync::Arc;

use self::admin_token::admin_token;
use self::authority::{AuthKeysError, authority};
use self::configured_log::OpenLogError;
use self::signals::Signals;
pub use self::signals::survive_file_size_limit;
use self::start::Service;
use self::startup_phases::StartupPhases;
use self::stop::Ended;
use crate::config::Config;
use crate::env::{Clock, SystemClock};
use crate::journal::JournalError;
use crate::reconcile::SinkError;
use crate::replication::JoinError;
use crate::runtime::{ListenerOptions, ServeError, Shutdown};
use crate::schedule::CatchUpError;
use crate::telemetry::BuildInfo;

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
    #[error("the database cannot be followed: {address}: {source}")]
    Database { address: String, source: SinkError },
    #[error(
        "the database does not fit this journal: {address}: {source}. If the journal is a restored backup or its disk was \
         lost, move the directory away and build the journal again with `flashsale recover --from postgres`; \
         otherwise set another journal.dir or database.dbname"
    )]
    Diverged { address: String, source: SinkError },
    #[error("the replicated log cannot be reached: {0}")]
    Log(#[from] OpenLogError),
    #[error("the replicated log cannot be joined: {0}")]
    Join(#[from] JoinError),
    #[error(
        "shop.token is the text of admin.token, which opens all of /admin: set another shop.token"
    )]
    SameToken,
    #[error(transparent)]
    AuthKeys(#[from] AuthKeysError),
    #[error("cannot start a thread or listen to signals: {0}")]
    Start(#[from] std::io::Error),
}

/// Runs the server until it is told to stop. Connections are accepted as `options` say.
#[must_use]
pub fn serve(config: &Config, options: ListenerOptions) -> ExitCode {
    // A process that has replaced itself is named after the link through which it did.
    let _ = rustix::thread::set_name(c"flashsale");
    let _logging = logging::start(&config.log);
    #[cfg(feature = "otel")]
    let _traces = otel::Traces::start();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let mut steps = StartupPhases::begin(&clock, "address");
    let shutdown = Shutdown::new();
    let started = start(config, options, &clock, &mut steps, &shutdown);
    let (service, signals) = match started {
        Ok(started) => started,
        Err(error) => {
            tracing::error!(step = steps.step(), "not started: {error}");
            return ExitCode::FAILURE;
        }
    };
    signals.wait();
    shutdown.begin();
    match service.stop() {
        Ok(Ended::HandedOver) => replication::restart_behind_offer(),
        Ok(Ended::Stopped) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn start(
    config: &Config,
    options: ListenerOptions,
    clock: &Arc<dyn Clock>,
    steps: &mut StartupPhases,
    shutdown: &Shutdown,
) -> Result<(Service, Signals), AppError> {
    tracing::info!(
        version = BuildInfo::CURRENT.version,
        revision = BuildInfo::CURRENT.revision,
        configuration = config.fingerprint(),
        "flashsale: {}",
        config.describe()
    );
    #[cfg(not(feature = "otel"))]
    trace_endpoint::warn_without_traces();
    for ignored in &config.ignored {
        tracing::warn!(
            variable = ignored.variable,
            "environment variable {ignored} is ignored: it is the address of a service, as Kubernetes sets it \
             for a service of that name. The port is a number"
        );
    }
    listener_options::log_certificate_dates(&options);
    let token = admin_token(config);
    let authority = authority(config)?;
    let on_hangup = reload::on_hangup(config, &token, &options, authority.as_ref());
    let signals = Signals::listen(shutdown, on_hangup)?;
    let service = Service::start(
        config,
        options,
        (token, authority),
        clock,
        steps,
        shutdown,
        &signals,
    )?;
    #[cfg(feature = "otel")]
    otel::started("start", &**clock, steps.began_us());
    tracing::info!(took_ms = steps.all_took_ms(), "started");
    Ok((service, signals))
}
