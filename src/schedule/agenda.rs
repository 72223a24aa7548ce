//! The agenda: runs the actions that are due by the clock.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::calendar::{Calendar, CalendarEvent};
use super::jump::JumpWatch;
use super::rotation::Rotation;
use crate::sale::{CreateError, Engine, Sale, SaleStatus};
use crate::types::{ItemIndex, Lsn, SaleId, Timestamp};

/// The longest time between two readings of the clocks, one of which may jump.
const CHECK_INTERVAL_MAX: Duration = Duration::from_millis(200);
/// The shortest time between two readings, so that nothing turns into a busy loop.
const CHECK_INTERVAL_MIN: Duration = Duration::from_millis(1);

/// Runs the actions that are due: opens, closes and rotates sales, expires reservations.
pub struct Agenda {
    engine: Arc<Engine>,
    rotation: Rotation,
    calendar: Calendar,
    /// The engine's count of changes when the calendar was made.
    changes: u64,
    /// The time, by the wall clock, up to which events were collected.
    checked_until: Timestamp,
    jumps: JumpWatch,
    /// Actions that are due and not done yet.
    pending: Pending,
    /// The active sales whose opening was logged.
    logged_open: BTreeSet<SaleId>,
    failing: bool,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    close: bool,
    rotate: bool,
    log_opened: bool,
}

impl Pending {
    const ALL: Self = Self {
        close: true,
        rotate: true,
        log_opened: true,
    };
}

impl Agenda {
    /// Creates the agenda of an engine, on which nothing is done yet.
    #[must_use]
    pub fn new(engine: Arc<Engine>, rotation: Rotation) -> Self {
        let (changes, now) = (engine.changes(), engine.clock().now());
        // Where nothing was recorded yet, no sale can have ended.
        let jumps = match engine.durable_lsn() {
            Lsn::ZERO => JumpWatch::default(),
            _ => watch_from_start(&engine),
        };
        engine.believe_clock(jumps.believed_ahead_us());
        Self {
            calendar: Calendar::of(&engine, &rotation, now),
            engine,
            rotation,
            changes,
            checked_until: now,
            jumps,
            pending: Pending::ALL,
            logged_open: BTreeSet::new(),
            failing: false,
        }
    }

    /// Runs the actions that became due while no server ran: expires reservations and closes ended sales, in the order
    /// of their times, and opens the sale of this interval. All of it is durable when this returns, except for a
    /// sale that cannot be recorded at the moment. Sales are closed only once the clock has proved steady.
    ///
    /// # Errors
    /// The configuration makes no possible sale, or the journal has failed.
    pub fn catch_up(&mut self) -> Result<(), CatchUpError> {
        loop {
            let backlog = match self.run_due_once() {
                Ok(backlog) => backlog,
                Err(error @ (CreateError::Unavailable(_) | CreateError::TooManyOpen)) => {
                    tracing::error!("{error}: starting without a new sale");
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            };
            if !self.engine.is_writable() {
                return Ok(());
            }
            // More may be due than may wait for the disk at once.
            self.engine.flush().map_err(|_| CatchUpError::Journal)?;
            if backlog == Backlog::Empty {
                return Ok(());
            }
        }
    }

    /// Runs the actions that are due, and logs which sales have opened. Logs a failure once until it is over.
    pub fn run_due(&mut self) {
        match self.run_due_once() {
            Ok(_) => self.failing = false,
            Err(error) if !self.failing => {
                self.failing = true;
                tracing::error!("no new sale could be created: {error}; trying again");
            }
            Err(_) => {}
        }
        if self.pending.log_opened {
            self.pending.log_opened = false;
            self.log_opened();
        }
    }

    /// Returns when the next sale begins.
    #[must_use]
    pub fn next_opening(&self) -> Timestamp {
        let now = self.engine.clock().now();
        let open = self.engine.open_sales();
        let starts = open.iter().map(|sale| sale.terms().started_at);
        let scheduled = starts.filter(|&start| start > now).min();
        let due = self.rotation.due(&self.engine, now);
        scheduled.map_or(due, |start| start.min(due))
    }

    /// Returns the time until the next action is due.
    #[must_use]
    pub fn idle_time(&self) -> Duration {
        let clock = self.engine.clock();
        if !self.engine.is_writable() {
            return CHECK_INTERVAL_MAX;
        }
        let left_us = |at: Option<Timestamp>, now: Timestamp| {
            at.map_or(i64::MAX, |at| at.0.saturating_sub(now.0)).max(0)
        };
        let events_us = left_us(self.calendar.next(), clock.now());
        let holds_us = left_us(self.engine.next_expiry(), clock.steady());
        let rest = Duration::from_micros(events_us.min(holds_us).cast_unsigned());
        rest.clamp(CHECK_INTERVAL_MIN, CHECK_INTERVAL_MAX)
    }

    fn run_due_once(&mut self) -> Result<Backlog, CreateError> {
        self.collect_due_events();
        if self.pending.close && !self.jumps.is_in_doubt() {
            self.engine.close_ended();
            self.pending.close = self.has_ended_sales();
        }
        self.engine.release_expired();
        // What cannot be undone is not done by a clock that is in doubt. Before the rotation, which may fail.
        if !self.jumps.is_in_doubt() {
            self.engine.record_openings();
        }
        let backlog = self.backlog();
        if self.pending.rotate {
            match self.rotation.run(&self.engine) {
                Ok(_) => self.pending.rotate = false,
                // Missed actions come first, and may have filled the queue.
                Err(CreateError::Unavailable(_)) if backlog == Backlog::Remaining => {}
                Err(error) => return Err(error),
            }
        }
        Ok(backlog)
    }

    /// Marks the actions that have become due by the wall clock as pending.
    fn collect_due_events(&mut self) {
        let (now, jump_us) = self.jumps.read(self.engine.clock());
        if let Some(jump_us) = jump_us {
            let seconds = jump_us / 1_000_000;
            tracing::warn!(jump_seconds = seconds, %now, "the wall clock has jumped; no sale is closed until it goes on evenly");
            self.checked_until = self.checked_until.min(now);
            self.pending = Pending::ALL;
        }
        let changes = self.engine.changes();
        if jump_us.is_some() || changes != self.changes {
            self.changes = changes;
            self.pending.log_opened = true;
            self.calendar = Calendar::of(&self.engine, &self.rotation, self.checked_until);
        }
        while let Some(event) = self.calendar.next_due_event(now) {
            match event {
                CalendarEvent::Opens => self.pending.log_opened = true,
                CalendarEvent::Closes => self.pending.close = true,
                CalendarEvent::Rotates => {
                    self.pending.rotate = true;
                    let next = self.rotation.next_turn(now);
                    self.calendar.add(next, CalendarEvent::Rotates);
                }
            }
        }
        self.checked_until = now;
        self.engine.believe_clock(self.jumps.believed_ahead_us());
    }

    /// Logs each active sale once: also one that began before the server started, or that was created with a start in
    /// the past.
    fn log_opened(&mut self) {
        let now = self.engine.clock().now();
        let mut open = self.engine.open_sales();
        open.retain(|sale| sale.status(now) == SaleStatus::Active);
        open.reverse();
        for sale in &open {
            if !self.logged_open.contains(&sale.id()) {
                log_open(sale);
            }
        }
        self.logged_open = open.iter().map(|sale| sale.id()).collect();
    }

    fn has_ended_sales(&self) -> bool {
        ended_sales(&self.engine).next().is_some()
    }

    fn backlog(&self) -> Backlog {
        let steady = self.engine.clock().steady();
        let is_due = self.engine.next_expiry().is_some_and(|next| next <= steady);
        let is_closable = || {
            !self.jumps.is_in_doubt()
                && ended_sales(&self.engine).any(|it| !it.waits_for_payments())
        };
        if is_due || self.pending.close && is_closable() {
            Backlog::Remaining
        } else {
            Backlog::Empty
        }
    }
}

/// Returns the sales that have ended by the wall clock and are not closed yet.
fn ended_sales(engine: &Engine) -> impl Iterator<Item = Arc<Sale>> {
    let now = engine.clock().now();
    let open = engine.open_sales().into_iter();
    open.filter(move |sale| sale.terms().ended_at <= now)
}

/// Creates the jump watch of a start, which doubts the clock: a sale that has ended by this clock may not have.
fn watch_from_start(engine: &Engine) -> JumpWatch {
    let ended = ended_sales(engine).next();
    if let Some(sale) = &ended {
        let (now, ended_at) = (engine.clock().now(), sale.terms().ended_at);
        tracing::warn!(
            sale = %sale.id(), %ended_at, %now,
            "a sale has ended while there was no server, if the clock is right: it sells nothing, and is \
             closed when the clock has gone on evenly for a while"
        );
    }
    JumpWatch::from_start(engine.clock().steady(), ended.is_some())
}

/// Logs that a sale is open, with the id of its first item, so that a reader of the log can buy one.
fn log_open(sale: &Sale) {
    let (until, items) = (sale.ended_at(), sale.item_count());
    let mut first_item = Vec::new();
    sale.write_item_id(ItemIndex(0), &mut first_item);
    let first_item = String::from_utf8_lossy(&first_item);
    tracing::info!(sale = %sale.id(), %until, items, %first_item, "sale is open");
}

/// Whether due actions remain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backlog {
    Empty,
    Remaining,
}

/// The reason why the missed actions were not run.
#[derive(Debug, thiserror::Error)]
pub enum CatchUpError {
    /// The sale of this interval cannot be created.
    #[error("the first sale could not be created: {0}")]
    Sale(#[from] CreateError),
    /// The journal failed.
    #[error("the journal failed while missed actions were run")]
    Journal,
}
