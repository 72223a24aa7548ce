//! The flags of `flashsale-perf load`, and the plan that they make.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, value_parser};
use flashsale::env::resolve;

use super::LoadError;
use super::goals::Goals;
use super::plan::{Arrivals, Mode, Plan, Sale, Shape, Workload};
use super::profile::{Profile, Settings};

/// Most connections of a run.
const CONNECTIONS_MAX: usize = 16_384;
/// Most arrivals a second.
const RATE_MAX: f64 = 1e7;
/// Longest prefix of user ids, which leaves room for a number.
const PREFIX_BYTES_MAX: usize = 64;
/// Longest goal for a latency: the longest time that is told apart.
const GOAL_MS_MAX: f64 = 600_000.0;
/// Purchases a second that checkouts are prepared for in a closed loop.
const PREPARED_PER_SECOND: u64 = 20_000;

/// The format of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A summary
    Human,
    /// All figures in one line
    Json,
}

/// The text that `--help` ends with.
const EXIT_CODES: &str = "Exit codes:
  0  the run is valid, the books are right, and the goals are met
  1  there was no run: the server does not answer, or the plan cannot be carried out
  2  the flags are wrong
  3  the run is not valid: it met something else than its plan, so that its figures say nothing
  4  the books are wrong: an answer, the server's figures or the journal contradict each other
  5  a goal (--p99-ms, --p999-ms) was not met
The first of 4, 3 and 5 that applies is told.";

/// Puts load on a server, and proves its books afterwards.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct Arguments {
    /// The server, by address or name, which is resolved once
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080", value_parser = resolve, conflicts_with = "spawn")]
    address: SocketAddr,
    /// Start a server for this run, with a journal that is thrown away afterwards
    #[arg(long)]
    pub(super) spawn: bool,
    /// The binary that --spawn starts [default: flashsale, beside this one]
    #[arg(long, requires = "spawn")]
    pub(super) server: Option<PathBuf>,
    /// Items of the sale of --spawn
    #[arg(long, default_value_t = 1_000_000, requires = "spawn", value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub(super) sale_items: u32,
    /// A ready-made plan; every flag that is given goes before it
    #[arg(long, value_enum)]
    profile: Option<Profile>,
    /// The workload [default: checkout]
    #[arg(long, value_enum)]
    workload: Option<Workload>,
    /// Arrivals a second, whether or not the server keeps up; without it each connection asks again as
    /// soon as it has its answer
    #[arg(long)]
    rate: Option<f64>,
    /// No rate, whatever the profile says
    #[arg(long, conflicts_with_all = ["rate", "arrivals", "shape"])]
    closed: bool,
    /// How arrivals are spread [default: uniform]
    #[arg(long, value_enum)]
    arrivals: Option<Arrivals>,
    /// How the rate moves [default: steady]
    #[arg(long, value_enum)]
    shape: Option<Shape>,
    /// Seconds [default: 10]
    #[arg(long, value_parser = value_parser!(u32).range(1..=86_400))]
    seconds: Option<u32>,
    /// Connections [default: 64]
    #[arg(long)]
    connections: Option<usize>,
    /// Threads that send [default: one a core, at most 2]
    #[arg(long)]
    threads: Option<usize>,
    /// Arrivals that may wait for a free connection; those beyond it are not sent
    #[arg(long, default_value_t = 65_536, value_parser = value_parser!(u32).range(1..=16_777_216))]
    queue: u32,
    /// Seconds after which an answer is not waited for any more
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..=600))]
    timeout: u32,
    /// Microseconds after which a request counts as sent late by the generator's fault
    #[arg(long, default_value_t = 1000)]
    late_us: u64,
    /// Percent of requests that may be sent late; more make the run invalid
    #[arg(long, default_value_t = 1.0)]
    late_percent_max: f64,
    /// Percent of answers that may be refusals which the workload does not expect; more make the run invalid
    #[arg(long, default_value_t = 1.0)]
    max_refused_percent: f64,
    /// Percent of requests that may end in a 5xx, another error or no answer; more make the run invalid
    #[arg(long, default_value_t = 1.0)]
    max_error_percent: f64,
    /// Goal: 99 of 100 answers come within so many milliseconds; exit code 5 when they do not
    #[arg(long)]
    p99_ms: Option<f64>,
    /// Goal: 999 of 1000 answers come within so many milliseconds; exit code 5 when they do not
    #[arg(long)]
    p999_ms: Option<f64>,
    /// What user ids begin with [default: drawn by lot]
    #[arg(long)]
    prefix: Option<String>,
    /// Users of --workload many-users
    #[arg(long, default_value_t = 10_000, value_parser = value_parser!(u32).range(1..))]
    users: u32,
    /// Item from which on free ones are looked for
    #[arg(long, default_value_t = 0)]
    first_item: u32,
    /// Checkouts made for --workload purchase [default: as many as arrivals, or 20000 a second]
    #[arg(long)]
    prepare: Option<u64>,
    /// Determines what is drawn by lot, for another run with the same arrivals
    #[arg(long)]
    seed: Option<u64>,
    /// The sale, with --items, of a server that cannot be asked; its figures are not audited
    #[arg(long, requires = "items", conflicts_with = "spawn")]
    sale: Option<u32>,
    /// Items of --sale
    #[arg(long, requires = "sale", value_parser = value_parser!(u32).range(1..))]
    items: Option<u32>,
    /// Nobody else buys meanwhile, so that the server's figures must be exactly this run's
    #[arg(long)]
    pub(super) exclusive: bool,
    /// The server's journal, for the audit
    #[arg(long, conflicts_with = "spawn")]
    pub(super) journal: Option<PathBuf>,
    /// The server's process, for its CPU time
    #[arg(long, conflicts_with = "spawn")]
    pub(super) server_pid: Option<u32>,
    /// Seconds of the windows whose 99th percentiles are reported
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..))]
    window: u32,
    /// Where to write result.json, report.html, service.hgrm and service.hlog; in an open loop corrected.hgrm and
    /// corrected.hlog, too
    #[arg(long)]
    pub(super) output: Option<PathBuf>,
    /// The format of the output
    #[arg(long, value_enum, default_value = "human")]
    pub(super) format: Format,
    /// No line of progress
    #[arg(long)]
    quiet: bool,
}

impl Arguments {
    /// The plan for the server that is there.
    ///
    /// # Errors
    /// A flag's value is out of its range, or flags contradict each other.
    pub fn plan(&self) -> Result<Plan, LoadError> {
        let settings = self.settings()?;
        let seconds = settings.seconds;
        let plan = Plan::new(self.address, Duration::from_secs(u64::from(seconds)));
        let connections = within("--connections", settings.connections, 1, CONNECTIONS_MAX)?;
        let threads = self.threads.unwrap_or(plan.threads.min(connections));
        let Settings {
            rate,
            arrivals,
            shape,
            workload,
            ..
        } = settings;
        let mode = rate.map_or(Mode::Closed, |rate| Mode::Open {
            rate,
            arrivals,
            shape,
            queue: self.queue as usize,
        });
        let mut plan = Plan {
            mode,
            workload,
            sale: self.sale.zip(self.items).map(|(id, total_items)| Sale {
                id,
                total_items,
                items_sold: 0,
            }),
            connections,
            threads: within("--threads", threads, 1, connections)?,
            timeout: Duration::from_secs(u64::from(self.timeout)),
            prefix: self.prefix()?.unwrap_or(plan.prefix.clone()),
            users: self.users,
            first_item: self.first_item,
            seed: self.seed.unwrap_or(plan.seed),
            late: Duration::from_micros(self.late_us),
            late_percent_max: percent("--late-percent-max", self.late_percent_max)?,
            refused_percent_max: percent("--max-refused-percent", self.max_refused_percent)?,
            error_percent_max: percent("--max-error-percent", self.max_error_percent)?,
            goals: Goals {
                p99: goal("--p99-ms", self.p99_ms)?,
                p999: goal("--p999-ms", self.p999_ms)?,
            },
            server_pid: self.server_pid,
            window_seconds: self.window as usize,
            progress: !self.quiet,
            ..plan
        };
        plan.prepare = self.prepare.unwrap_or_else(|| match plan.mode {
            Mode::Open { .. } => plan.journeys_max(),
            Mode::Closed => PREPARED_PER_SECOND * u64::from(seconds),
        });
        Ok(plan)
    }

    /// The profile with the flags that are given.
    fn settings(&self) -> Result<Settings, LoadError> {
        let of_profile = Settings::of(self.profile);
        let rate = if self.closed {
            None
        } else {
            self.rate.or(of_profile.rate)
        };
        if rate.is_none() && (self.arrivals.is_some() || self.shape.is_some()) {
            let what = "--arrivals and --shape belong to an open loop: give --rate, too";
            return Err(LoadError::Plan(what.to_owned()));
        }
        if let Some(rate) = rate {
            within("--rate", rate, 0.01, RATE_MAX)?;
        }
        Ok(Settings {
            workload: self.workload.unwrap_or(of_profile.workload),
            rate,
            arrivals: self.arrivals.unwrap_or(of_profile.arrivals),
            shape: self.shape.unwrap_or(of_profile.shape),
            seconds: self.seconds.unwrap_or(of_profile.seconds),
            connections: self.connections.unwrap_or(of_profile.connections),
        })
    }

    /// It goes into request lines as it is.
    fn prefix(&self) -> Result<Option<String>, LoadError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        match &self.prefix {
            Some(prefix)
                if prefix.is_empty()
                    || prefix.len() > PREFIX_BYTES_MAX
                    || !prefix.bytes().all(plain) =>
            {
                Err(LoadError::Plan(format!(
                    "--prefix is {prefix:?}; it must be 1 to {PREFIX_BYTES_MAX} letters, digits, \"-\", \"_\" or \".\""
                )))
            }
            prefix => Ok(prefix.clone()),
        }
    }
}

fn within<T: PartialOrd + std::fmt::Display>(
    flag: &str,
    value: T,
    min: T,
    max: T,
) -> Result<T, LoadError> {
    if value >= min && value <= max {
        Ok(value)
    } else {
        Err(LoadError::Plan(format!(
            "{flag} is {value}; it must be {min} to {max}"
        )))
    }
}

fn percent(flag: &str, value: f64) -> Result<f64, LoadError> {
    within(flag, value, 0.0, 100.0)
}

/// A goal in milliseconds.
fn goal(flag: &str, value: Option<f64>) -> Result<Option<Duration>, LoadError> {
    let value = value.map(|ms| within(flag, ms, 0.001, GOAL_MS_MAX));
    Ok(value
        .transpose()?
        .map(|ms| Duration::from_secs_f64(ms / 1e3)))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Whole {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn plan_of(flags: &str) -> Result<Plan, String> {
        let flags = std::iter::once("load").chain(flags.split_whitespace());
        let parsed = Whole::try_parse_from(flags).map_err(|error| error.to_string())?;
        parsed.arguments.plan().map_err(|error| error.to_string())
    }

    #[test]
    fn flags_go_before_the_profile() {
        let plan = plan_of("--profile heavy").expect("a plan");
        assert_eq!((plan.connections, plan.workload), (256, Workload::Buy));
        assert!(matches!(plan.mode, Mode::Open { rate: 5000.0, .. }));
        let plan =
            plan_of("--profile heavy --rate 7 --connections 3 --workload active").expect("a plan");
        assert_eq!((plan.connections, plan.workload), (3, Workload::Active));
        assert!(matches!(
            plan.mode,
            Mode::Open {
                rate: 7.0,
                arrivals: Arrivals::Poisson,
                ..
            }
        ));
        assert_eq!(
            plan_of("--profile heavy --closed").expect("a plan").mode,
            Mode::Closed
        );
        assert_eq!(plan_of("").expect("a plan").mode, Mode::Closed);
    }

    #[test]
    fn the_server_may_be_given_by_its_name() {
        let plan = plan_of("--address localhost:8080").expect("a plan");
        assert_eq!(plan.address, ([127, 0, 0, 1], 8080).into());
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_allowed() {
        for (flags, expected) in [
            ("--rate 0", "--rate is 0; it must be 0.01 to 10000000"),
            ("--rate NaN", "--rate is NaN"),
            (
                "--connections 0",
                "--connections is 0; it must be 1 to 16384",
            ),
            (
                "--threads 9 --connections 4",
                "--threads is 9; it must be 1 to 4",
            ),
            ("--shape ramp", "give --rate"),
            ("--prefix a&b", "--prefix is \"a&b\""),
            ("--late-percent-max 101", "it must be 0 to 100"),
            ("--max-refused-percent -1", "unexpected argument"),
            (
                "--max-error-percent 101",
                "--max-error-percent is 101; it must be 0 to 100",
            ),
            ("--p99-ms 0", "--p99-ms is 0; it must be 0.001 to 600000"),
            ("--p999-ms NaN", "--p999-ms is NaN"),
            ("--seconds 0", "--seconds"),
            ("--workload nothing", "possible values: checkout, buy"),
            ("--spawn --journal x", "cannot be used with"),
            ("--sale 1", "--items"),
            (
                "--address localhost",
                "invalid value 'localhost' for '--address <HOST:PORT>': \"localhost\" must be HOST:PORT",
            ),
            (
                "--address a..b:80",
                "'--address <HOST:PORT>': \"a..b:80\": ",
            ),
        ] {
            let error = plan_of(flags).expect_err(flags);
            assert!(error.contains(expected), "{flags}: {error}");
        }
    }
}
