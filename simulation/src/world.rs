//! The world of a run: one machine, its server, the databases, the buyers, and what goes wrong.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flashsale::env::{Clock, ManualClock, fix_hash_seed};
use flashsale::journal;
use flashsale::types::{Lsn, Timestamp};
use tokio::task::{LocalSet, yield_now};

use crate::buyers;
use crate::cancelled;
use crate::checker::{self, Followers};
use crate::dice::Dice;
use crate::faults;
use crate::history::History;
use crate::machine::{Machine, Viewer};
use crate::pair::Pair;
use crate::plan::{Cuts, Plan, delay_dice, order_dice, pair_dice, payment_dice, stock_dice};
use crate::restocked;
use crate::server::{DIR, Server};
use crate::sink::Database;
use crate::tape::Tape;
use crate::trace::{Counts, Trace};

/// The time at which every run begins.
const BEGIN: Timestamp = Timestamp(1_800_000_000_000_000);
/// The kinds of steps that need no process which works.
const REQUEST: usize = 0;
const TIME: usize = 4;
const LOG: usize = 16;
const PAUSE: usize = 17;

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

/// The world.
pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) order_dice: Dice,
    stock_dice: Dice,
    payment_dice: Dice,
    pub(crate) plan: Plan,
    pub(crate) machines: Vec<Machine>,
    /// The machine on which the next step happens.
    pub(crate) at: usize,
    /// The log that they replicate, where there are two.
    pub(crate) pair: Option<Pair>,
    /// Nothing fails any more.
    pub(crate) is_healed: bool,
    pub(crate) databases: Vec<Database>,
    pub(crate) history: History,
    pub(crate) trace: Trace,
    pub(crate) tape: Tape,
    asked: u64,
    /// Sales that administrators have created.
    pub(crate) listed: u64,
}

impl World {
    fn new(seed: u64, cuts: &Cuts, trace: Trace) -> Self {
        let mut dice = Dice::new(seed);
        let plan = Plan::draw(&mut dice).delayed(&mut delay_dice(seed));
        let plan = plan.paired(&mut pair_dice(seed));
        let mut order_dice = order_dice(seed);
        let mut stock_dice = stock_dice(seed);
        let mut payment_dice = payment_dice(seed);
        let plan = plan.with_orders(&mut order_dice);
        let plan = plan.with_payments(&mut payment_dice);
        let plan = plan.with_stock_changes(&mut stock_dice).cut(cuts);
        let databases = plan.sinks.iter().map(|kind| Database::new(*kind)).collect();
        let clock = Arc::new(ManualClock::at(BEGIN));
        let pair = plan.pair.map(|it| Pair::new(it, &clock, seed));
        Self {
            dice,
            order_dice,
            stock_dice,
            payment_dice,
            machines: match &pair {
                None => vec![Machine::new(clock, None)],
                Some(pair) => pair.machines(),
            },
            plan,
            at: 0,
            pair,
            is_healed: false,
            databases,
            history: History::default(),
            trace,
            tape: Tape::default(),
            asked: 0,
            listed: 0,
        }
    }

    /// Runs from the first start to the last check.
    async fn live(mut self) -> Result<(), String> {
        self.trace.step(format_args!("{:?}", self.plan));
        self.attend().await?;
        while self.asked < self.plan.requests {
            self.step().await?;
        }
        self.heal().await?;
        self.rush().await?;
        self.come_to_rest().await?;
        self.finish().await
    }

    pub(crate) fn machine(&self) -> &Machine {
        &self.machines[self.at]
    }

    pub(crate) fn machine_mut(&mut self) -> &mut Machine {
        &mut self.machines[self.at]
    }

    pub(crate) fn server(&self) -> &Server {
        let server = self.machine().server.as_ref();
        server.expect("a process runs between two steps")
    }

    pub(crate) fn server_mut(&mut self) -> &mut Server {
        let server = self.machine_mut().server.as_mut();
        server.expect("a process runs between two steps")
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.machine().clock.now()
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
            weights.replicate,
            weights.log,
            weights.pause,
            weights.hand_over,
        ];
        let kind = self.dice.weighted(&kinds);
        let is_awake = self.choose_machine();
        if is_awake || matches!(kind, TIME | LOG | PAUSE) || kind == REQUEST && self.is_up() {
            self.take_step(kind).await?;
        }
        for _ in 0..self.dice.below(3) {
            yield_now().await;
        }
        self.attend().await
    }

    async fn take_step(&mut self, kind: usize) -> Result<(), String> {
        match kind {
            REQUEST => self.request(),
            1 => self.server().engine.journal().step_commit(),
            2 => self.server().engine.journal().step_preparation(),
            3 => self.server_mut().run_due(),
            TIME => {
                let micros = self.draw_time_us();
                self.pass_some_us(micros).await?;
            }
            5 => self.tidy()?,
            6 => {
                self.server_mut().loader.load_next();
            }
            7 => self.view()?,
            8 => self.administer(),
            9 => {
                let now = self.now();
                let (clock, disk) = (
                    Arc::clone(&self.machine().clock),
                    self.server().disk.clone(),
                );
                let what = faults::disturb_clock(&clock, &disk, &mut self.dice, now);
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
                self.machine_mut().is_disk_disturbed = true;
                let disk = self.server().disk.clone();
                let what = faults::disturb_disk(&disk, &mut self.dice, &self.plan);
                self.note(what);
            }
            14 => {
                if !self.databases.is_empty() {
                    self.disturb_database();
                }
            }
            15 => self.replicate().await?,
            LOG => self.disturb_log().await?,
            PAUSE => self.pause_or_wake(),
            _ => {
                self.note("a leader is asked to hand over");
                self.server().ask_hand_over();
            }
        }
        if self.machine().is_disk_disturbed
            && self.dice.chance(20)
            && let Some(server) = &self.machine().server
        {
            faults::make_room(&server.disk);
        }
        Ok(())
    }

    /// Draws the time that passes: mostly little, and sometimes just so much that a sale ends.
    fn draw_time_us(&mut self) -> i64 {
        if self.dice.chance(50)
            && let Some(server) = &self.machine().server
            && let Some(sale) = server.engine.active_sale()
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

    /// Returns whether there is a process, which may be paused.
    fn is_up(&self) -> bool {
        let server = self.machine().server.as_ref();
        server.is_some_and(|server| server.vitals.is_alive())
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
        if self.order_dice.chance(self.plan.changed) {
            self.change_a_sale();
        }
        let engine = Arc::clone(&self.server().engine);
        let change =
            restocked::next_change(&mut self.stock_dice, &self.plan, &engine, &self.history);
        if let Some(ask) = change.filter(|_| self.server().sells()) {
            self.trace.step(format_args!("{ask:?}"));
            self.server_mut().ask(ask);
        }
        let cancelled =
            cancelled::next_cancellation(&mut self.stock_dice, &self.plan, &self.history);
        if let Some(ask) = cancelled {
            self.trace.step(format_args!("{ask:?}"));
            self.server_mut().ask(ask);
        }
        let given_back = buyers::give_back(&mut self.order_dice, &self.plan, &self.history);
        if let Some(ask) = given_back {
            self.trace.step(format_args!("{ask:?}"));
            self.server_mut().ask(ask);
        }
        if let Some(ask) = buyers::pay(&mut self.payment_dice, &self.plan, &self.history) {
            self.trace.step(format_args!("{ask:?}"));
            self.server_mut().ask(ask);
        }
        let ask = buyers::next_ask(&mut self.dice, &self.plan, &engine, &self.history);
        self.trace.step(format_args!("{ask:?}"));
        self.asked += 1;
        self.server_mut().ask(ask);
    }

    fn disturb_database(&mut self) {
        let database = self.dice.pick(&self.databases).clone();
        if self.dice.chance(100) {
            let seed = self.dice.bits();
            if self.server().agenda.is_some() {
                self.note("a second follower comes");
                self.server_mut().rival(&database, seed);
            }
            return;
        }
        let what = database.disturb(&mut self.dice);
        self.note(what);
    }

    fn tidy(&mut self) -> Result<(), String> {
        if self.plan.trims && self.pair.is_none() {
            let disk = self.server().disk.clone();
            let durable = self.server().durable();
            self.tape.read_on(&disk, Path::new(DIR), durable)?;
        }
        // As if so much had been sealed that a snapshot is due.
        let sealed = if self.dice.chance(300) { u64::MAX } else { 0 };
        self.server_mut().keeper.tidy(sealed);
        Ok(())
    }

    fn view(&mut self) -> Result<(), String> {
        self.server().feeds.tick();
        for viewer in &mut self.machine_mut().viewers {
            let number = viewer.updates.borrow_and_update().number;
            if number < viewer.seen {
                return Err(format!("a viewer is shown {number} behind {}", viewer.seen));
            }
            viewer.seen = number;
        }
        match (self.dice.chance(300), self.server().engine.active_sale()) {
            (true, Some(sale)) => {
                let updates = self.server().feeds.subscribe(&sale);
                let viewer = Viewer { updates, seen: 0 };
                self.machine_mut().viewers.push(viewer);
            }
            _ if self.machine().viewers.len() > 3 => {
                drop(self.machine_mut().viewers.swap_remove(0));
            }
            _ => {}
        }
        Ok(())
    }

    /// Lets time pass, and nothing happen.
    pub(crate) async fn advance_us(&mut self, micros: i64) {
        for (place, machine) in self.machines.iter().enumerate() {
            let is_shared = place > 0 && Arc::ptr_eq(&machine.clock, &self.machines[0].clock);
            if !is_shared {
                machine.clock.advance_us(micros * machine.speed / 1000);
            }
        }
        self.advance_timers().await;
    }

    /// Lets the timers catch up with the clocks.
    pub(crate) async fn advance_timers(&mut self) {
        let passed_us = self.machines.iter_mut().map(Machine::passed_us).max();
        tokio::time::advance(Duration::from_micros(passed_us.unwrap_or(0))).await;
    }

    /// Lets every thread have a turn, and what they woke.
    pub(crate) async fn turn(&mut self) -> Result<(), String> {
        if self.pair.is_some() {
            return self.turn_both().await;
        }
        for _ in 0..3 {
            yield_now().await;
            self.server_mut().serve_waiting();
            self.advance_timers().await;
        }
        let server = self.server_mut();
        server.run_due();
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

    /// Compares the journal with what it has held, or reads on there.
    pub(crate) fn read_tape(&mut self) -> Result<(), String> {
        let (disk, durable) = (self.server().disk.clone(), self.server().durable());
        if self.pair.is_some() {
            return self.compare_with_log(&disk, durable);
        }
        self.tape.read(&disk, Path::new(DIR), durable)
    }

    /// Stops the last process, and checks everything.
    async fn finish(&mut self) -> Result<(), String> {
        self.end_pair().await?;
        self.server().engine.journal().close();
        self.read_tape()?;
        let server = self.server();
        checker::recovers(&server.engine, &server.disk)?;
        let databases = Followers {
            all: &self.databases,
            first: self.first_lsn()?,
        };
        let weights = &self.plan.weights;
        let has_one_clock = self.plan.pair.is_none_or(|it| it.clock_speed.is_none());
        let runs_evenly = weights.clock == 0 && weights.administer == 0 && has_one_clock;
        let (tape, history) = (&self.tape, &self.history);
        checker::check(tape, history, &databases, &server.engine, runs_evenly)?;
        self.verify().await?;
        let disk = self.server().disk.after_kill();
        self.machine_mut().acknowledged = self.tape.last();
        self.rot(&disk)?;
        self.note_outcome();
        for place in 0..self.machines.len() {
            self.at = place;
            self.bury().await;
        }
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
