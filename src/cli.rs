//! The command line: what a person can ask of the binary.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::app;
use crate::app::listener_options::listener_options;
use crate::commands::backup::{BackupCommandError, back_up};
use crate::commands::healthcheck::healthcheck;
use crate::commands::journal::{ReportError, inspect, repair, verify};
use crate::commands::migrate as migrations;
use crate::commands::preflight::{PreflightOptions, preflight};
use crate::commands::rebuild::{RebuildError, rebuild_redis};
use crate::commands::recover::{RecoverError, recover};
use crate::commands::replication::{self, StatusFormat};
use crate::config::{
    Config, ConfigFile, ConfigSources, Overrides, SecretsNeeded, process_environment,
};
use crate::env::resolve;
use crate::telemetry::BuildInfo;

/// Exit code of a wrong configuration (`EX_CONFIG`).
const EXIT_CONFIG: u8 = 78;

/// Exit code when it could not be found out whether something is wrong.
const EXIT_UNCHECKED: u8 = 2;

/// The end of the help text.
const AFTER_HELP: &str = "\
Exit codes:
  0   all is well; the server was told to stop, and has stopped in good order
  1   the server could not be started or has not ended well, or a check has found something wrong
  2   the command line is wrong; `verify`, `replication`: something could not be found out
  74  the disk has failed: start again, and what was answered is there
  78  the configuration is wrong; every mistake is named

Signals: TERM, INT and QUIT end the server in good order, a second one without waiting for connections.
HUP reads the TLS certificate and the files of secrets again.

Secrets may come from files: ADMIN_TOKEN_FILE, SHOP_TOKEN_FILE, DB_PASSWORD_FILE, REDIS_PASSWORD_FILE, REDIS_SENTINEL_PASSWORD_FILE,
REPLICATION_PASSWORD_FILE.";

/// Sells exactly the stock, durably, to everybody at once.
#[derive(Debug, Parser)]
#[command(name = "flashsale", version = BuildInfo::TEXT, about, after_help = AFTER_HELP)]
pub struct Cli {
    /// The configuration file [default: config.json, if it is there]
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (what happens without a command, too)
    Serve {
        #[command(flatten)]
        overrides: Overrides,
    },
    /// Prove that the journal, a running server's memory, Postgres and Redis agree
    ///
    /// Replays the journal, which proves that nothing is oversold, nobody is over the limit and every
    /// code is used once; then compares everything else with it, as far as it is configured. Changes
    /// nothing. While a server uses the journal, the server is asked how far that may be read, and its
    /// memory is compared, too.
    ///
    /// Exit codes: 0 all agrees; 1 something differs or is damaged; 2 nothing differs, but something
    /// that is configured could not be checked.
    Verify {
        /// The journal's directory [default: as configured]
        #[arg(long)]
        dir: Option<PathBuf>,
        /// The running server by address or name, when it is not where the configuration says
        #[arg(long, value_name = "HOST:PORT")]
        server: Option<String>,
    },
    /// Build a lost journal again from what Postgres has of it
    ///
    /// Writes a journal with the same records, numbers and times into a directory that holds none, and
    /// checks it. What was acknowledged after the database's last record is not in it.
    Recover {
        /// Where the records come from
        #[arg(long, value_enum)]
        from: Origin,
        /// The journal's directory [default: as configured]
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Empty a projection, for the server to fill it again from its journal
    #[command(subcommand)]
    Rebuild(RebuildCommand),
    /// Look at a journal, check it, copy it, or cut it at its first damage
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Bring the schema of the Postgres database up to date, or take it back
    #[command(subcommand)]
    Migrate(MigrateCommand),
    /// Say who leads where a log is replicated, or have the leadership handed over
    #[command(subcommand)]
    Replication(ReplicationCommand),
    /// Check what a machine can check before a sale: settings, disk, limits, clock, sinks, backup
    ///
    /// One line for each, with what to do. Changes nothing.
    ///
    /// Exit codes: 0 nothing failed, there may be warnings; 1 something failed; 78 the configuration is wrong.
    Preflight {
        /// Where the backups are, to tell the age of the newest
        #[arg(long, value_name = "DIR")]
        backup: Option<PathBuf>,
        /// One JSON document in place of lines
        #[arg(long)]
        json: bool,
    },
    /// Ask a running server on this machine whether it is ready; exit code 0 if so
    Healthcheck,
}

/// Whence a journal can be recovered.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Origin {
    /// The configured database
    Postgres,
}

#[derive(Debug, Subcommand)]
enum RebuildCommand {
    /// Redis: when it follows another journal, or what it holds is not trusted
    Redis {
        /// Really do it
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
enum MigrateCommand {
    /// Apply the migrations that are pending (the server does so, too, when it connects)
    Up,
    /// Take the last migrations back; drops their tables with all they hold
    Down {
        /// How many
        #[arg(long, default_value_t = 1)]
        steps: usize,
        /// Really do it
        #[arg(long)]
        yes: bool,
    },
    /// List the migrations: when each was applied, which are pending, which were changed
    Status,
}

#[derive(Debug, Subcommand)]
enum ReplicationCommand {
    /// Say who leads, by what the log says, and what the server on this machine does
    ///
    /// Looks at the log until the leader gives a sign, for up to replication.takeover_ms. Changes nothing.
    ///
    /// Exit codes: 0 a leader gives signs; 1 none does; 2 that could not be found out.
    Status {
        /// One JSON document in place of lines
        #[arg(long)]
        json: bool,
    },
    /// Have the server on this machine hand its leadership over, and wait for the one that takes it
    ///
    /// The server answers who is in the middle of a request, has everything in the log, offers the leadership, and starts
    /// again as a standby. Where no other server follows the log, it takes the leadership again itself once it has
    /// started, and until then nobody sells.
    ///
    /// Exit codes: 0 another server leads; 1 none does, or the server has refused; 2 that could not be found out.
    HandOver {
        /// Seconds to wait for the one that takes it
        #[arg(long, value_name = "SECONDS", default_value_t = 30)]
        wait: u32,
    },
}

#[derive(Debug, Subcommand)]
enum JournalCommand {
    /// List segments, snapshots and, on demand, records
    Inspect {
        /// The journal's directory [default: as configured]
        #[arg(long)]
        dir: Option<PathBuf>,
        /// Print every record, too
        #[arg(long)]
        records: bool,
    },
    /// Replay a journal and check everything that can be checked
    Verify {
        /// The journal's directory [default: as configured]
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Copy a journal that may be in use, and check the copy
    ///
    /// Everything that was answered before the copying began is in it, and it is a journal as any other: to
    /// restore it, stop the server, put it in the place of journal.dir, and start. Takes no lock and only
    /// reads; what is unfinished has a name that ends with .copying.
    Backup {
        /// Where the copy is to be: a directory that is empty or missing, in one that is there
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// The journal's directory [default: as configured]
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Cut a damaged journal at its first damage and set the rest aside; records behind it are lost
    Repair {
        /// The journal's directory [default: as configured]
        #[arg(long)]
        dir: Option<PathBuf>,
    },
}

/// Parses the command line and does what it says.
#[must_use]
pub fn run() -> ExitCode {
    if let Err(error) = app::survive_file_size_limit() {
        return complain(&error, ExitCode::FAILURE);
    }
    let matches = Cli::command().get_matches();
    let mut cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    // `serve` takes the same flags as the command line without it; given twice, the later one wins.
    if let Some(("serve", of_serve)) = matches.subcommand() {
        let updated = cli.overrides.update_from_arg_matches(of_serve);
        updated.unwrap_or_else(|error| error.exit());
    }
    let sources = ConfigSources {
        file: ConfigFile::from_flag(cli.config),
        environment: &process_environment,
        overrides: cli.overrides,
        secrets: secrets_needed(cli.command.as_ref()),
    };
    match Config::load(&sources) {
        Ok(config) => dispatch(cli.command, &config),
        Err(error) => complain(&error, ExitCode::from(EXIT_CONFIG)),
    }
}

/// Returns the secrets that the command uses: all of them for the server, and for the check of its configuration.
fn secrets_needed(command: Option<&Command>) -> SecretsNeeded {
    match command {
        None
        | Some(
            Command::Serve { .. }
            | Command::Preflight { .. }
            | Command::Replication(ReplicationCommand::HandOver { .. }),
        ) => SecretsNeeded::All,
        Some(
            Command::Verify { .. }
            | Command::Recover { .. }
            | Command::Rebuild(_)
            | Command::Replication(ReplicationCommand::Status { .. })
            | Command::Migrate(_),
        ) => SecretsNeeded::OfSinks,
        Some(Command::Journal(_) | Command::Healthcheck) => SecretsNeeded::None,
    }
}

fn complain(error: &dyn std::error::Error, code: ExitCode) -> ExitCode {
    eprintln!("{error}");
    code
}

fn dispatch(command: Option<Command>, config: &Config) -> ExitCode {
    let dir_or = |dir: Option<PathBuf>| dir.unwrap_or_else(|| config.journal.dir.clone());
    match command {
        None | Some(Command::Serve { .. }) => match listener_options(config) {
            Ok(options) => app::serve(config, options),
            // The files may be about to be replaced, so that another try can help.
            Err(error) => complain(&error, ExitCode::FAILURE),
        },
        Some(Command::Preflight { backup, json }) => {
            let backups = backup.as_deref();
            let checked = preflight(
                config,
                PreflightOptions { backups, json },
                &mut std::io::stdout().lock(),
            );
            checked.map_or(ExitCode::FAILURE, ExitCode::from)
        }
        Some(Command::Healthcheck) => healthcheck(&config.server),
        Some(Command::Verify { dir, server }) => {
            verify_all(config, &dir_or(dir), server.as_deref())
        }
        Some(Command::Recover {
            from: Origin::Postgres,
            dir,
        }) => print(RecoverError::is_broken_pipe, |out| {
            recover(config, &dir_or(dir), out)
        }),
        Some(Command::Journal(JournalCommand::Inspect { dir, records })) => {
            report(&dir_or(dir), |dir, out| inspect(dir, records, out))
        }
        Some(Command::Journal(JournalCommand::Verify { dir })) => report(&dir_or(dir), verify),
        Some(Command::Journal(JournalCommand::Backup { to, dir })) => {
            print(BackupCommandError::is_broken_pipe, |out| {
                back_up(&dir_or(dir), &to, out)
            })
        }
        Some(Command::Journal(JournalCommand::Repair { dir })) => report(&dir_or(dir), repair),
        Some(Command::Rebuild(RebuildCommand::Redis { yes })) => {
            print(RebuildError::is_broken_pipe, |out| {
                rebuild_redis(config, yes, out)
            })
        }
        Some(Command::Migrate(command)) => migrate(&command, config),
        Some(Command::Replication(command)) => replicate(&command, config),
    }
}

fn replicate(command: &ReplicationCommand, config: &Config) -> ExitCode {
    let out = &mut std::io::stdout().lock();
    let code = match *command {
        ReplicationCommand::Status { json } => {
            let format = match json {
                true => StatusFormat::Json,
                false => StatusFormat::Text,
            };
            replication::status(config, format, out)
        }
        ReplicationCommand::HandOver { wait } => {
            replication::hand_over(config, Duration::from_secs(wait.into()), out)
        }
    };
    match code {
        Ok(code) => ExitCode::from(code),
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => complain(&error, ExitCode::from(EXIT_UNCHECKED)),
    }
}

fn verify_all(config: &Config, dir: &Path, server: Option<&str>) -> ExitCode {
    let server = match server.map(resolve).transpose() {
        Ok(server) => server,
        Err(why) => {
            eprintln!("--server: {why}");
            return ExitCode::from(EXIT_UNCHECKED);
        }
    };
    match crate::commands::verify::verify(config, dir, server, &mut std::io::stdout().lock()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("cannot write the report: {error}");
            ExitCode::from(EXIT_UNCHECKED)
        }
    }
}

fn migrate(command: &MigrateCommand, config: &Config) -> ExitCode {
    print(
        migrations::MigrateError::is_broken_pipe,
        |out| match *command {
            MigrateCommand::Up => migrations::up(config, out),
            MigrateCommand::Down { steps, yes } => migrations::down(config, steps, yes, out),
            MigrateCommand::Status => migrations::status(config, out),
        },
    )
}

fn report(
    dir: &Path,
    write: impl FnOnce(&Path, &mut dyn Write) -> Result<(), ReportError>,
) -> ExitCode {
    print(ReportError::is_broken_pipe, |out| write(dir, out))
}

/// Writes a report to standard output; a reader that has seen enough is no error.
fn print<E: std::fmt::Display>(
    is_broken_pipe: fn(&E) -> bool,
    write: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> ExitCode {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let written = write(&mut out);
    let _ = out.flush();
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
