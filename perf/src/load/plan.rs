//! What a run is to do.

use std::net::SocketAddr;
use std::time::Duration;

use clap::ValueEnum;
use serde::{Serialize, Serializer};

/// How arrivals are spread over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Arrivals {
    /// At even distances.
    Uniform,
    /// Independent of each other, as those of a crowd are.
    Poisson,
}

/// How the rate of arrivals moves over the run.
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

/// When the next request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "loop")]
pub enum Mode {
    /// Each connection asks again as soon as it has its answer.
    Closed,
    /// Whether or not the server keeps up.
    Open {
        /// Arrivals a second, at the peak of the shape. Each is one [`Workload`] journey.
        rate: f64,
        /// How they are spread.
        arrivals: Arrivals,
        /// How the rate moves.
        shape: Shape,
        /// Arrivals that may wait for a free connection; those beyond it are not sent, which makes
        /// the run invalid.
        queue: usize,
    },
}

/// What is asked for. An arrival is a *journey* of one request or several, each of which follows the
/// answer to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// Every request a new user and any item: all are accepted
    Checkout,
    /// A new user checks the next unsold item out and purchases it
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

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// The server.
    pub address: SocketAddr,
    /// When requests are sent.
    pub mode: Mode,
    /// Which requests are sent.
    pub workload: Workload,
    /// The sale; `None` for the one that `GET /sales/active` names.
    pub sale: Option<Sale>,
    /// Connections, over all threads.
    pub connections: usize,
    /// Threads that send.
    pub threads: usize,
    /// How long requests are sent.
    #[serde(rename = "duration_seconds", serialize_with = "as_seconds")]
    pub duration: Duration,
    /// How long an answer may take; then its outcome is unknown.
    #[serde(rename = "timeout_seconds", serialize_with = "as_seconds")]
    pub timeout: Duration,
    /// What the ids of the users begin with, so that runs do not meet.
    pub prefix: String,
    /// Users of [`Workload::ManyUsers`].
    pub users: u32,
    /// Where [`Workload::Buy`] begins; `None` for behind what is sold.
    pub first_item: Option<u32>,
    /// Checkouts that are made for [`Workload::Purchase`].
    pub prepare: u64,
    /// Determines what is drawn by lot.
    pub seed: u64,
    /// From when on a request counts as sent late by the generator's fault.
    #[serde(rename = "late_seconds", serialize_with = "as_seconds")]
    pub late: Duration,
    /// Share of requests sent late, in percent, that makes a run invalid.
    pub late_percent_max: f64,
    /// The server's process, where it is on this machine.
    pub server_pid: Option<u32>,
    /// Seconds of the windows whose 99th percentiles are reported.
    pub window_seconds: usize,
    /// Whether a line of progress is shown on standard error.
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
            connections: 64,
            threads: std::thread::available_parallelism().map_or(1, |cores| cores.get().min(2)),
            duration,
            timeout: Duration::from_secs(10),
            prefix: format!("{:06x}-", fastrand::u32(..1 << 24)),
            users: 10_000,
            first_item: None,
            prepare: 20_000,
            seed: fastrand::u64(..),
            late: Duration::from_millis(1),
            late_percent_max: 1.0,
            server_pid: None,
            window_seconds: 5,
            progress: false,
        }
    }

    /// How many journeys are planned; `None` in a closed loop.
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
}
