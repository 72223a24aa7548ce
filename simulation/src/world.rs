//! The world of a run: one machine, its server, the databases, the buyers, and what goes wrong.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flashsale::env::{Clock, ManualClock, SimulatedDisk, fix_hash_seed};
use flashsale::journal;
use flashsale::live::Update;
use flashsale::record::NewItem;
use flashsale::sale::{NewCatalogue, NewSale};
use flashsale::types::{Lsn, Timestamp};
use tokio::sync::watch;
use tokio::task::{LocalSet, yield_now};

use crate::buyers;
use crate::checker::{self, Followers};
use crate::dice::Dice;
use crate::faults;
use crate::history::History;
use crate::plan::{Cuts, Plan};
use crate::server::{DIR, Server};
use crate::sink::Database;
use crate::tape::Tape;
use crate::trace::{Counts, Trace};

/// The time at which every run begins.
const BEGIN: Timestamp = Timestamp(1_800_000_000_000_000);
/// A run that went well.
#[derive(Clone, Debug)]
pub struct Report {
    /// The hash of all that happened.
    pub hash: u64,
    /// Steps.
    pub steps: u64,
    /// How often each thing has happened.
    pub counts: Counts,
}

/// A run that did not go well.
#[derive(Clone, Debug, thiserror::Error)]
#[error("seed {seed}: {what}")]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// Says what went wrong.
    pub what: String,
}

/// Runs the whole server from `seed`, but for what `cuts` leave out; `prints` a line for each step.
///
/// # Errors
/// Something happened that must never happen.
pub fn run(seed: u64, cuts: &Cuts, prints: bool) -> Result<Report, Failure> {
    let trace = Trace::new(prints);
    fix_hash_seed(seed);
    let traced = trace.clone();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .map_err(|error| error.to_string())?;
        LocalSet::new().block_on(&runtime, World::new(seed, cuts, traced).live())
    }));
    let what = match ended {
        Ok(Ok(())) => {
            return Ok(Report {
                hash: trace.hash(),
                steps: trace.steps(),
                counts: trace.counts(),
            });
        }
        Ok(Err(what)) => what,
        Err(panic) => format!("a panic: {}", panic_text(&*panic)),
    };
    Err(Failure { seed, what })
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
    text.unwrap_or_default()
}

/// A viewer of a sale.
pub(crate) struct Viewer {
    updates: watch::Receiver<Update>,
    seen: u64,
}

/// The world.
pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) plan: Plan,
    pub(crate) clock: Arc<ManualClock>,
    /// How far the timers of tasks are, in microseconds of the monotonic clock.
    timers_us: u64,
    pub(crate) databases: Vec<Database>,
    pub(crate) history: History,
    pub(crate) trace: Trace,
    pub(crate) server: Option<Server>,
    pub(crate) viewers: Vec<Viewer>,
    pub(crate) tape: Tape,
    /// The last record that a process which lived has told to be durable.
    pub(crate) acknowledged: Lsn,
    asked: u64,
    listed: u64,
    /// The disk was made to fail, so that a start may fail.
    pub(crate) is_disk_disturbed: bool,
}

impl World {
    fn new(seed: u64, cuts: &Cuts, trace: Trace) -> Self {
        let mut dice = Dice::new(seed);
        let plan = Plan::draw(&mut dice).cut(cuts);
        let databases = plan.sinks.iter().map(|kind| Database::new(*kind)).collect();
        let clock = Arc::new(ManualClock::at(BEGIN));
        Self {
            dice,
            plan,
            timers_us: clock.monotonic_us(),
            clock,
            databases,
            history: History::default(),
            trace,
            server: None,
            viewers: Vec::new(),
            tape: Tape::default(),
            acknowledged: Lsn::ZERO,
            asked: 0,
            listed: 0,
            is_disk_disturbed: false,
        }
    }

    /// Runs from the first start to the last check.
    async fn live(mut self) -> Result<(), String> {
        self.trace.step(format_args!("{:?}", self.plan));
        self.start(SimulatedDisk::new()).await?;
        while self.asked < self.plan.requests {
            self.step().await?;
        }
        self.heal().await?;
        self.rush().await?;
        self.come_to_rest().await?;
        self.finish().await
    }

    pub(crate) fn server(&self) -> &Server {
        self.server
            .as_ref()
            .expect("a process runs between two steps")
    }

    pub(crate) fn server_mut(&mut self) -> &mut Server {
        self.server
            .as_mut()
            .expect("a process runs between two steps")
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Takes one step of the plan.
    async fn step(&mut self) -> Result<(), String> {
        let weights = self.plan.weights;
        let kinds = [
            weights.request,
            weights.commit,
            weights.prepare,
            weights.schedule,
            weights.time,
            weights.tidy,
            weights.load,
            weights.view,
            weights.administer,
            weights.clock,
            weights.kill,
            weights.stop,
            weights.power,
            weights.disk,
            weights.sink,
        ];
        match self.dice.weighted(&kinds) {
            0 => self.request(),
            1 => self.server().engine.journal().step_commit(),
            2 => self.server().engine.journal().step_preparation(),
            3 => self.server_mut().agenda.run_due(),
            4 => {
                let micros = self.draw_time_us();
                self.advance_us(micros).await;
            }
            5 => self.tidy()?,
            6 => {
                self.server_mut().loader.load_next();
            }
            7 => self.view()?,
            8 => self.administer(),
            9 => {
                let now = self.now();
                let disk = self.server().disk.clone();
                let what = faults::disturb_clock(&self.clock, &disk, &mut self.dice, now);
                self.note(what);
            }
            10 => {
                self.note("the process is killed");
                self.server().vitals.end();
            }
            11 => self.stop().await?,
            12 => {
                self.note("the power will fail");
                let (operations, seed) = (self.dice.below(40), self.dice.bits());
                self.server().disk.fail_power_after(operations, seed);
            }
            13 => {
                self.is_disk_disturbed = true;
                let disk = self.server().disk.clone();
                let what = faults::disturb_disk(&disk, &mut self.dice, &self.plan);
                self.note(what);
            }
            _ => {
                if !self.databases.is_empty() {
                    self.disturb_database();
                }
            }
        }
        if self.is_disk_disturbed && self.dice.chance(20) {
            faults::make_room(&self.server().disk);
        }
        for _ in 0..self.dice.below(3) {
            yield_now().await;
        }
        self.attend().await
    }

    /// Draws the time that passes: mostly little, and sometimes just so much that a sale ends.
    fn draw_time_us(&mut self) -> i64 {
        if self.dice.chance(50)
            && let Some(sale) = self.server().engine.active_sale()
        {
            return (sale.terms().ended_at.0 - self.now().0).max(0);
        }
        let most = *self
            .dice
            .pick(&[5_000, 5_000, 200_000, 2_000_000, 10_000_000]);
        self.dice.below(most) as i64
    }

    pub(crate) fn note(&self, what: &str) {
        self.trace.count(what);
        self.trace.step(format_args!("{what}"));
    }

    fn request(&mut self) {
        if self.server().open_requests() >= self.plan.open_max {
            return;
        }
        if self.server().open_requests() > 0 && self.dice.chance(self.plan.given_up) {
            let open = self.server().open_requests() as u64;
            let number = self.dice.below(open) as usize;
            self.note("a client gives up");
            self.server_mut().give_up(number);
        }
        let engine = Arc::clone(&self.server().engine);
        let ask = buyers::next_ask(&mut self.dice, &self.plan, &engine, &self.history);
        self.trace.step(format_args!("{ask:?}"));
        self.asked += 1;
        self.server_mut().ask(ask);
    }

    fn disturb_database(&mut self) {
        let database = self.dice.pick(&self.databases).clone();
        if self.dice.chance(100) {
            self.note("a second follower comes");
            let (clock, seed) = (Arc::clone(&self.clock), self.dice.bits());
            self.server_mut().rival(&database, &clock, seed);
            return;
        }
        let what = database.disturb(&mut self.dice);
        self.note(what);
    }

    fn tidy(&mut self) -> Result<(), String> {
        if self.plan.trims {
            let server = self.server.as_ref().expect("a process runs");
            let durable = server.durable();
            self.tape.read_on(&server.disk, Path::new(DIR), durable)?;
        }
        // As if so much had been sealed that a snapshot is due.
        let sealed = if self.dice.chance(300) { u64::MAX } else { 0 };
        self.server_mut().keeper.tidy(sealed);
        Ok(())
    }

    fn view(&mut self) -> Result<(), String> {
        self.server().feeds.tick();
        for viewer in &mut self.viewers {
            let number = viewer.updates.borrow_and_update().number;
            if number < viewer.seen {
                return Err(format!("a viewer is shown {number} behind {}", viewer.seen));
            }
            viewer.seen = number;
        }
        match (self.dice.chance(300), self.server().engine.active_sale()) {
            (true, Some(sale)) => {
                let updates = self.server().feeds.subscribe(&sale);
                self.viewers.push(Viewer { updates, seen: 0 });
            }
            _ if self.viewers.len() > 3 => drop(self.viewers.swap_remove(0)),
            _ => {}
        }
        Ok(())
    }

    fn administer(&mut self) {
        let engine = Arc::clone(&self.server().engine);
        let open = engine.open_sales();
        if !open.is_empty() && self.dice.chance(300) {
            let sale = self.dice.pick(&open).id();
            self.note("a sale is closed");
            engine.close_sale(sale);
            return;
        }
        self.listed += 1;
        let dice = &mut self.dice;
        let ids: Vec<_> = (0..dice.between(1, 60))
            .map(|place| format!("LST{}-{place}", self.listed))
            .collect();
        let is_large = dice.chance(200);
        let items = ids.iter().map(|id| NewItem {
            id,
            name: "a thing",
            image_url: "",
            stock: if is_large {
                dice.between(1000, 1300)
            } else {
                dice.between(1, 9)
            },
        });
        let items = items.collect();
        let started_at = Timestamp(self.clock.now().0 - 1_000_000);
        let sale = NewSale {
            started_at,
            ended_at: started_at.plus_seconds(dice.between(2, 60) as u32),
            max_items_per_user: if is_large {
                400
            } else {
                dice.between(1, 10) as u32
            },
            hold_seconds: *dice.pick(&[0, 0, 5]),
            catalogue: NewCatalogue::Explicit(items),
        };
        self.note("a sale is created");
        let _ = engine.create_sale(&sale);
    }

    /// Lets time pass.
    pub(crate) async fn advance_us(&mut self, micros: i64) {
        self.clock.advance_us(micros);
        self.advance_timers().await;
    }

    /// Lets the timers catch up with the clock.
    pub(crate) async fn advance_timers(&mut self) {
        let awake_us = self.clock.monotonic_us();
        let passed_us = awake_us - self.timers_us;
        self.timers_us = awake_us;
        tokio::time::advance(Duration::from_micros(passed_us)).await;
    }

    /// Lets every thread have a turn, and what they woke.
    pub(crate) async fn turn(&mut self) -> Result<(), String> {
        for _ in 0..3 {
            yield_now().await;
            self.server_mut().serve_waiting();
            self.advance_timers().await;
        }
        let server = self.server_mut();
        server.agenda.run_due();
        server.keeper.tidy(0);
        server.reap()?;
        match server.vitals.is_alive() {
            true => Ok(()),
            false => Err("the process ends although everything works".into()),
        }
    }

    /// Returns the first record that the journal holds, or will.
    pub(crate) fn first_lsn(&self) -> Result<Lsn, String> {
        let first = journal::first_lsn(&self.server().disk, Path::new(DIR));
        let first = first.map_err(|error| error.to_string())?;
        Ok(first.unwrap_or(Lsn(1)))
    }

    pub(crate) fn read_tape(&mut self) -> Result<(), String> {
        let server = self.server.as_ref().expect("a process runs");
        self.tape
            .read(&server.disk, Path::new(DIR), server.durable())
    }

    /// Stops the last process, and checks everything.
    async fn finish(&mut self) -> Result<(), String> {
        self.server().engine.journal().close();
        self.read_tape()?;
        let server = self.server();
        checker::recovers(&server.engine, &server.disk)?;
        let databases = Followers {
            all: &self.databases,
            first: self.first_lsn()?,
        };
        let weights = &self.plan.weights;
        let runs_evenly = weights.clock == 0 && weights.administer == 0;
        let (tape, history) = (&self.tape, &self.history);
        checker::check(tape, history, &databases, &server.engine, runs_evenly)?;
        self.verify().await?;
        let disk = self.server().disk.after_kill();
        self.acknowledged = self.tape.last();
        self.rot(&disk)?;
        self.note_outcome();
        self.bury().await;
        Ok(())
    }

    /// Adds to the trace what was told and what is written.
    fn note_outcome(&self) {
        for _ in 0..self.databases.iter().map(Database::refilled).sum() {
            self.trace.count("is filled from a snapshot");
        }
        self.tape
            .bytes()
            .for_each(|record| self.trace.bytes(record));
        self.history.with(|events| {
            for event in events {
                let told = event.told.as_ref();
                self.trace.bytes(told.map_or(&[][..], |told| &told.body));
                self.trace.count(&match told {
                    None => format!("{}: not answered", event.ask.name()),
                    Some(told) => format!("{}: {}", event.ask.name(), told.outcome()),
                });
            }
        });
    }
}
