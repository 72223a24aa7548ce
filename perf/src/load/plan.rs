//! The plan of a run.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::ValueEnum;
use flashsale::telemetry::Outcome;
use serde::{Serialize, Serializer};

use super::answer::{Class, class};
use super::goals::Goals;

/// Journeys a second that a closed loop has free items for, unless a plan says more.
const CLOSED_PER_SECOND: u32 = 100_000;

/// The distribution of arrivals over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Arrivals {
    /// At even distances.
    Uniform,
    /// Independent of each other, as those of a crowd are.
    Poisson,
}

/// The course of the rate of arrivals over the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// The rate, all the time.
    Steady,
    /// From nothing up to the rate, in a straight line.
    Ramp,
    /// The rate in the first fifth of the run, a tenth of it afterwards: a sale that opens.
    Spike,
}

/// The pacing of requests.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "loop")]
pub enum Mode {
    /// Each connection asks again as soon as it has its answer.
    Closed,
    /// At a rate, whether or not the server keeps up.
    Open {
        /// Arrivals a second, at the peak of the shape. Each is one [`Workload`] journey.
        rate: f64,
        /// The distribution of the arrivals.
        arrivals: Arrivals,
        /// The course of the rate.
        shape: Shape,
        /// Arrivals that may wait for a free connection; those beyond it are not sent, which makes
        /// the run invalid.
        queue: usize,
    },
}

/// The workload. An arrival is a *journey* of one request or several, each of which follows the
/// answer to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// Every request a new user and any free item: all are accepted
    Checkout,
    /// A new user checks the next free item out and purchases it
    Buy,
    /// Purchases only, of checkouts that were made before the measurement
    Purchase,
    /// Everybody asks for an item that was sold before the measurement
    SoldOut,
    /// All want the same few items
    HotItem,
    /// One user hammers
    OneUser,
    /// Users of a crowd come again and again
    ManyUsers,
    /// GET /sales/active
    Active,
    /// Looks at the sale and its items
    Browse,
    /// 10 % aggressive buyers, 60 % normal ones, 30 % who only look; most want the popular items
    Realistic,
}

impl Workload {
    /// Returns whether a refusal or an answer that succeeds is what this workload is about.
    #[must_use]
    pub fn expects(self, outcome: Outcome) -> bool {
        use Outcome as O;
        match self {
            Self::Checkout | Self::Buy | Self::Purchase | Self::Active | Self::Browse => {
                class(Some(outcome)) == Class::Ok
            }
            Self::SoldOut => outcome == O::ItemSoldOut,
            Self::HotItem | Self::OneUser | Self::ManyUsers | Self::Realistic => {
                let competing = [
                    O::UserLimitExceeded,
                    O::ItemAlreadyInCheckout,
                    O::ItemSoldOut,
                    O::ItemHeld,
                    O::AllItemsSold,
                    O::CheckoutExpired,
                ];
                class(Some(outcome)) == Class::Ok || competing.contains(&outcome)
            }
        }
    }

    /// Returns what a run can use up.
    #[must_use]
    pub fn supply(self) -> &'static str {
        match self {
            Self::Purchase => "checkouts that were prepared",
            _ => "items that were free",
        }
    }

    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// The sale that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sale {
    /// Its id.
    pub id: u32,
    /// Units of it, which are as many items with the ids `ITM-<id>-<n>`.
    pub total_items: u32,
    /// Units sold before the run.
    pub items_sold: u32,
}

/// Returns the address of this machine at a place of those that connections are opened from: one address has only so many ports.
#[must_use]
pub fn loopback_source(place: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, place.saturating_add(2)).into()
}

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// The server.
    pub address: SocketAddr,
    /// The pacing of requests.
    pub mode: Mode,
    /// Which requests are sent.
    pub workload: Workload,
    /// The sale; `None` for the one that `GET /sales/active` names.
    pub sale: Option<Sale>,
    /// The listed item that all checkouts ask for; `None` for generated ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listed_item: Option<String>,
    /// Connections, over all threads.
    pub connections: usize,
    /// Addresses of this machine, from 127.0.0.2 on, from which the connections are opened in turn; 0 for the one that the
    /// system chooses.
    pub sources: u8,
    /// Threads that send.
    pub threads: usize,
    /// The time for which requests are sent.
    #[serde(rename = "duration_seconds", serialize_with = "as_seconds")]
    pub duration: Duration,
    /// The time that an answer may take; then its outcome is unknown.
    #[serde(rename = "timeout_seconds", serialize_with = "as_seconds")]
    pub timeout: Duration,
    /// The prefix of the users' ids, so that runs do not meet.
    pub prefix: String,
    /// Users of [`Workload::ManyUsers`].
    pub users: u32,
    /// From where on free items are looked for.
    pub first_item: u32,
    /// Journeys a second that a closed loop has free items for.
    #[serde(skip)]
    pub closed_per_second: u32,
    /// Whether [`Workload::Checkout`] asks for each free item once, and ends when none is left, instead of beginning again.
    #[serde(skip)]
    pub items_once: bool,
    /// Checkouts that are made for [`Workload::Purchase`].
    pub prepare: u64,
    /// Determines what is drawn by lot.
    pub seed: u64,
    /// From when on a request counts as sent late by the generator's fault.
    #[serde(rename = "late_seconds", serialize_with = "as_seconds")]
    pub late: Duration,
    /// Share of requests sent late, in percent, that makes a run invalid.
    pub late_percent_max: f64,
    /// Share of answers, in percent, that may be refusals which the workload does not expect; more make a
    /// run invalid.
    pub refused_percent_max: f64,
    /// Share of requests, in percent, that may end in an error or without an answer; more make a run
    /// invalid.
    pub error_percent_max: f64,
    /// Bounds of the latencies.
    pub goals: Goals,
    /// The server's process, where it is on this machine.
    pub server_pid: Option<u32>,
    /// Other processes that work for the server, such as its database.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_pids: Vec<u32>,
    /// Seconds of the windows whose 99th percentiles are reported.
    pub window_seconds: usize,
    /// A line of progress is shown on standard error.
    pub progress: bool,
}

fn as_seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

impl Plan {
    /// A closed loop of checkouts on `address` for `duration`, for callers that change what they need.
    #[must_use]
    pub fn new(address: SocketAddr, duration: Duration) -> Self {
        Self {
            address,
            mode: Mode::Closed,
            workload: Workload::Checkout,
            sale: None,
            listed_item: None,
            connections: 64,
            sources: 0,
            threads: std::thread::available_parallelism().map_or(1, |cores| cores.get().min(2)),
            duration,
            timeout: Duration::from_secs(10),
            prefix: format!("{:06x}-", fastrand::u32(..1 << 24)),
            users: 10_000,
            first_item: 0,
            closed_per_second: CLOSED_PER_SECOND,
            items_once: false,
            prepare: 20_000,
            seed: fastrand::u64(..),
            late: Duration::from_millis(1),
            late_percent_max: 1.0,
            refused_percent_max: 1.0,
            error_percent_max: 1.0,
            goals: Goals::default(),
            server_pid: None,
            other_pids: Vec::new(),
            window_seconds: 5,
            progress: false,
        }
    }

    /// Returns all processes of the server.
    pub(super) fn pids(&self) -> impl Iterator<Item = u32> {
        let others = self.other_pids.iter().copied();
        self.server_pid.into_iter().chain(others)
    }

    /// Returns the address that a connection is opened from, where it is a certain one.
    pub(super) fn source(&self, connection: usize) -> Option<IpAddr> {
        let place = connection.checked_rem(usize::from(self.sources))?;
        Some(loopback_source(place as u8))
    }

    /// Returns how many journeys are planned; `None` in a closed loop.
    #[must_use]
    pub fn planned(&self) -> Option<f64> {
        let Mode::Open { rate, shape, .. } = self.mode else {
            return None;
        };
        let seconds = self.duration.as_secs_f64();
        Some(super::schedule::expected_until(
            shape, rate, seconds, seconds,
        ))
    }

    /// Returns how many journeys may be begun at most: arrivals by chance may be some more than planned.
    #[must_use]
    pub fn journeys_max(&self) -> u64 {
        match self.planned() {
            Some(planned) => (planned + 8.0 * planned.sqrt()).ceil() as u64 + self.threads as u64,
            None => (f64::from(self.closed_per_second) * self.duration.as_secs_f64()).ceil() as u64,
        }
    }
}
