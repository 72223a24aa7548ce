//! What is to be done by the clock, and the doing of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::calendar::{Calendar, Event};
use super::jump::JumpWatch;
use super::rotation::Rotation;
use crate::sale::{CreateError, Engine, Sale, SaleStatus};
use crate::types::{ItemIndex, Lsn, SaleId, Timestamp};

/// The longest time between two looks at the clocks, one of which may jump.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The shortest, so that nothing turns into a busy loop.
const LOOK_EVERY_MIN: Duration = Duration::from_millis(1);
/// How long it may take to read both clocks, in microseconds.
const READ_US_MAX: i64 = 100_000;

/// Everything that is due some time.
pub struct Agenda {
    engine: Arc<Engine>,
    rotation: Rotation,
    calendar: Calendar,
    /// The engine's count of changes that the calendar knows of.
    changes: u64,
    /// Up to when, by the wall clock, the calendar was looked at.
    looked_until: Timestamp,
    jumps: JumpWatch,
    /// What was due and has not been done yet.
    pending: Pending,
    /// The open sales that were announced.
    announced: BTreeSet<SaleId>,
    failing: bool,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    close: bool,
    rotate: bool,
    announce: bool,
}

impl Pending {
    const ALL: Self = Self {
        close: true,
        rotate: true,
        announce: true,
    };
}

impl Agenda {
    /// The agenda of an engine, of which nothing has been done yet.
    #[must_use]
    pub fn new(engine: Arc<Engine>, rotation: Rotation) -> Self {
        let (changes, now) = (engine.changes(), engine.clock().now());
        // Where nothing was recorded yet, nothing can be ended.
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
            looked_until: now,
            jumps,
            pending: Pending::ALL,
            announced: BTreeSet::new(),
            failing: false,
        }
    }

    /// Works off what was missed while there was no server: holds that have run out and sales that have
    /// ended, in the order of their times, and opens the sale of this interval. All of it is durable when
    /// this returns, but for a sale that cannot be recorded at the moment. Sales are closed only when the clock
    /// has proved steady.
    ///
    /// # Errors
    /// The configuration makes no possible sale, or the journal has failed.
    pub fn catch_up(&mut self) -> Result<(), CatchUpError> {
        loop {
            let done = match self.look_once() {
                Ok(done) => done,
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
            if done == Done::Wholly {
                return Ok(());
            }
        }
    }

    /// Does what is due, and says which sales have opened. A failure is logged once until it is over.
    pub fn look(&mut self) {
        match self.look_once() {
            Ok(_) => self.failing = false,
            Err(error) if !self.failing => {
                self.failing = true;
                tracing::error!("no new sale: {error}; trying again");
            }
            Err(_) => {}
        }
        if self.pending.announce {
            self.pending.announce = false;
            self.announce_opened();
        }
    }

    /// When the next sale begins to sell.
    #[must_use]
    pub fn next_opening(&self) -> Timestamp {
        let now = self.engine.clock().now();
        let open = self.engine.open_sales();
        let starts = open.iter().map(|sale| sale.terms().started_at);
        let scheduled = starts.filter(|&start| start > now).min();
        let due = self.rotation.due(&self.engine, now);
        scheduled.map_or(due, |start| start.min(due))
    }

    /// How long nothing is due.
    #[must_use]
    pub fn rest(&self) -> Duration {
        let clock = self.engine.clock();
        if !self.engine.is_writable() {
            return LOOK_EVERY;
        }
        let left_us = |at: Option<Timestamp>, now: Timestamp| {
            at.map_or(i64::MAX, |at| at.0.saturating_sub(now.0)).max(0)
        };
        let events_us = left_us(self.calendar.next(), clock.now());
        let holds_us = left_us(self.engine.next_expiry(), clock.steady());
        let rest = Duration::from_micros(events_us.min(holds_us).cast_unsigned());
        rest.clamp(LOOK_EVERY_MIN, LOOK_EVERY)
    }

    fn look_once(&mut self) -> Result<Done, CreateError> {
        self.read_calendar();
        if self.pending.close && !self.jumps.is_in_doubt() {
            self.engine.close_ended();
            self.pending.close = self.has_ended_sales();
        }
        self.engine.release_expired();
        let done = self.how_far();
        if self.pending.rotate {
            match self.rotation.run(&self.engine) {
                Ok(_) => self.pending.rotate = false,
                // What was missed comes first, and may have filled the queue.
                Err(CreateError::Unavailable(_)) if done == Done::Partly => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Notes what has become due by the wall clock.
    fn read_calendar(&mut self) {
        let clock = self.engine.clock();
        let (steady, now, after) = (clock.steady(), clock.now(), clock.steady());
        // A thread that is stopped between two clocks must not take the time for a jump.
        let together = after.0 - steady.0 < READ_US_MAX;
        let jump_us = together.then(|| self.jumps.look(now, steady)).flatten();
        if let Some(jump_us) = jump_us {
            let seconds = jump_us / 1_000_000;
            tracing::warn!(jump_seconds = seconds, %now, "the wall clock has jumped; no sale is closed until it goes on evenly");
            self.looked_until = self.looked_until.min(now);
            self.pending = Pending::ALL;
        }
        let changes = self.engine.changes();
        if jump_us.is_some() || changes != self.changes {
            self.changes = changes;
            self.pending.announce = true;
            self.calendar = Calendar::of(&self.engine, &self.rotation, self.looked_until);
        }
        while let Some(event) = self.calendar.next_due_event(now) {
            match event {
                Event::Opens => self.pending.announce = true,
                Event::Closes => self.pending.close = true,
                Event::Rotates => {
                    self.pending.rotate = true;
                    let next = self.rotation.next_turn(now);
                    self.calendar.add(next, Event::Rotates);
                }
            }
        }
        self.looked_until = now;
        self.engine.believe_clock(self.jumps.believed_ahead_us());
    }

    /// Says of each sale that sells, once, that it does: also of one that was found selling, because it
    /// was created for at once or the server was not there when it opened.
    fn announce_opened(&mut self) {
        let now = self.engine.clock().now();
        let mut open = self.engine.open_sales();
        open.retain(|sale| sale.status(now) == SaleStatus::Active);
        open.reverse();
        for sale in &open {
            if !self.announced.contains(&sale.id()) {
                announce(sale);
            }
        }
        self.announced = open.iter().map(|sale| sale.id()).collect();
    }

    fn has_ended_sales(&self) -> bool {
        ended_sale(&self.engine).is_some()
    }

    fn how_far(&self) -> Done {
        let steady = self.engine.clock().steady();
        let is_due = self.engine.next_expiry().is_some_and(|next| next <= steady);
        if is_due || self.pending.close && !self.jumps.is_in_doubt() {
            Done::Partly
        } else {
            Done::Wholly
        }
    }
}

/// A sale that has ended by the wall clock, and is not closed yet.
fn ended_sale(engine: &Engine) -> Option<Arc<Sale>> {
    let now = engine.clock().now();
    let mut open = engine.open_sales().into_iter();
    open.find(|sale| sale.terms().ended_at <= now)
}

/// Doubts the clock of a start. What it says has ended may not have.
fn watch_from_start(engine: &Engine) -> JumpWatch {
    let ended = ended_sale(engine);
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

/// Says that a sale is open, and what the first of its items is called, so that one can be bought.
fn announce(sale: &Sale) {
    let (until, items) = (sale.ended_at(), sale.item_count());
    let mut first_item = Vec::new();
    sale.write_item_id(ItemIndex(0), &mut first_item);
    let first_item = String::from_utf8_lossy(&first_item);
    tracing::info!(sale = %sale.id(), %until, items, %first_item, "sale is open");
}

/// Whether all was done that was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    Wholly,
    Partly,
}

/// Why what was missed was not worked off.
#[derive(Debug, thiserror::Error)]
pub enum CatchUpError {
    /// There can be no sale of this interval.
    #[error("the first sale could not be created: {0}")]
    Sale(#[from] CreateError),
    /// The journal.
    #[error("the journal failed while it was worked off what was missed")]
    Journal,
}
