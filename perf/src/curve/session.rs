//! A contestant that runs, and the items of it that nobody has asked for yet.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::rates;
use super::turn::Turn;
use crate::compare::contestant::{Contestant, SALE_ITEMS};
use crate::compare::round::start_guest;
use crate::compare::running::{Running, Stock};
use crate::load::{self, Arrivals, Mode, Plan, Sale, Shape};

/// How long a contestant is asked in a closed loop before it is measured.
pub const WARM_UP: Duration = Duration::from_millis(500);
/// Seconds for which a checkout holds its item: longer than a session.
const HOLD_SECONDS: u32 = 600;
/// Arrivals that may wait for a connection.
const QUEUE_MAX: usize = 100_000;

/// The conditions that all sessions share.
pub struct Setting<'a> {
    /// Where journals are written.
    pub disk: &'a Path,
    /// Length of an answer to a checkout.
    pub body_bytes: usize,
    /// Connections to each contestant.
    pub connections: usize,
}

/// A contestant that has just been started, or is being asked.
pub struct Session<'a> {
    setting: &'a Setting<'a>,
    label: &'static str,
    running: Running,
    items: u32,
    /// Items that may have been asked for; `None` where everybody gets the same answer.
    used: Option<u32>,
    closed_per_second: u32,
}

impl<'a> Session<'a> {
    /// Starts a contestant that has `items`, as many as it may have, and asks it for some of them. In a closed loop it
    /// answers no more than `closed_per_second`.
    ///
    /// # Errors
    /// It does not start, or does not answer.
    pub fn start(
        setting: &'a Setting<'a>,
        contestant: &Contestant,
        items: u32,
        closed_per_second: u32,
    ) -> Result<Self> {
        let items = items.min(SALE_ITEMS);
        let (running, items) = match contestant {
            Contestant::Server { path, .. } => (start_server(path, setting.disk)?, SALE_ITEMS),
            guest => {
                let stock = Stock::Unique(items);
                let body_bytes = setting.body_bytes;
                let running = start_guest(guest, "checkout", body_bytes, stock, setting.disk)?;
                (running, items)
            }
        };
        let mut session = Self {
            setting,
            label: contestant.label(),
            running,
            items,
            used: contestant.is_shop().then_some(0),
            closed_per_second,
        };
        session.run(Mode::Closed, WARM_UP)?;
        Ok(session)
    }

    /// Returns how many items nobody has asked for.
    #[must_use]
    pub fn left(&self) -> u32 {
        self.items - self.used.unwrap_or(0)
    }

    /// Asks as fast as it answers, for `duration`.
    ///
    /// # Errors
    /// It does not answer.
    pub fn closed(&mut self, duration: Duration) -> Result<Turn> {
        self.run(Mode::Closed, duration)
    }

    /// Asks at `rate` for `duration`, or for as long as its items last.
    ///
    /// # Errors
    /// It does not answer.
    pub fn open(&mut self, rate: f64, duration: Duration) -> Result<Turn> {
        let duration = match self.used {
            Some(_) => rates::longest(duration, rate, self.left()),
            None => duration,
        };
        let mode = Mode::Open {
            rate,
            arrivals: Arrivals::Poisson,
            shape: Shape::Steady,
            queue: QUEUE_MAX,
        };
        self.run(mode, duration)
    }

    fn run(&mut self, mode: Mode, duration: Duration) -> Result<Turn> {
        let mut plan = Plan::new(self.running.address, duration);
        plan.mode = mode;
        plan.connections = self.setting.connections;
        // No more than are left: those before are taken.
        let lasting = f64::from(self.left()) / duration.as_secs_f64();
        plan.closed_per_second = self.closed_per_second.min(lasting as u32);
        plan.server_pid = Some(self.running.process.id());
        plan.other_pids = self.running.other_pids();
        plan.sale = Some(Sale {
            id: 1,
            total_items: self.items,
            items_sold: 0,
        });
        plan.first_item = self.used.unwrap_or(0);
        plan.items_once = self.used.is_some();
        if let Some(used) = &mut self.used {
            let asked = u32::try_from(plan.journeys_max()).unwrap_or(u32::MAX);
            *used = used.saturating_add(asked).min(self.items);
        }
        let outcome = load::run(&plan).with_context(|| format!("measuring {}", self.label))?;
        Ok(Turn::of(self.label, &outcome))
    }
}

/// Starts the server on a journal in `disk`, which it syncs before every answer.
///
/// # Errors
/// It does not start.
pub fn start_server(path: &Path, disk: &Path) -> Result<Running> {
    let settings = [
        ("JOURNAL_DURABILITY", "fsync".to_owned()),
        ("SALE_HOLD_SECONDS", HOLD_SECONDS.to_string()),
    ];
    let dir = TempDir::with_prefix_in("curve-", disk)?;
    Running::server(path, dir, &settings)
}
