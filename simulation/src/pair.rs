//! Two machines whose servers replicate one log: what happens to them, and to the log, beside what happens to one alone.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flashsale::env::{Clock, ManualClock, SimulatedDisk};
use flashsale::replication::{Demand, LogOutcome, RestartCause, SimulatedLog};
use flashsale::types::Lsn;
use tokio::task::yield_now;

use crate::checker;
use crate::dice::Dice;
use crate::log_watch::LogWatch;
use crate::machine::Machine;
use crate::opening::LogPlace;
use crate::plan::PairPlan;
use crate::server::DIR;
use crate::world::World;

/// The time that passes at once while every thread has its turns, in microseconds.
const PIECE_US: i64 = 700_000;
/// Turns that a part in the replication has in a row at most.
const TURNS_MAX: u32 = 8;

/// The log that two machines replicate.
pub(crate) struct Pair {
    /// A way to it that is never cut.
    pub(crate) log: SimulatedLog,
    watch: LogWatch,
    plan: PairPlan,
    /// Questions per mille that are not answered as they should be.
    trouble: Arc<AtomicU64>,
    clocks: [Arc<ManualClock>; 2],
    /// Processes so far.
    processes: u64,
}

impl Pair {
    /// Creates an empty log for two machines; the first one has `clock`.
    pub(crate) fn new(plan: PairPlan, clock: &Arc<ManualClock>, seed: u64) -> Self {
        let trouble = Arc::new(AtomicU64::new(plan.trouble));
        let (per_mille, mut lots) = (Arc::clone(&trouble), Dice::new(seed.rotate_left(32)));
        let log = SimulatedLog::new(move || {
            if !lots.chance(per_mille.load(Ordering::Relaxed)) {
                return LogOutcome::Answered;
            }
            *lots.pick(&[
                LogOutcome::Lost,
                LogOutcome::AnswerLost,
                LogOutcome::Unreplicated,
                LogOutcome::Late,
            ])
        });
        let second = match plan.clock_speed {
            None => Arc::clone(clock),
            Some(_) => Arc::new(ManualClock::at(clock.now())),
        };
        let clocks = [Arc::clone(clock), second];
        Self {
            watch: LogWatch::new(log.clone(), clocks.to_vec()),
            log,
            plan,
            trouble,
            clocks,
            processes: 0,
        }
    }

    /// Returns the machines.
    pub(crate) fn machines(&self) -> Vec<Machine> {
        let machine = |clock: &Arc<ManualClock>| {
            let way = self.log.another_way();
            Machine::new(Arc::clone(clock), Some(way))
        };
        let mut machines: Vec<_> = self.clocks.iter().map(machine).collect();
        machines[1].speed = self.plan.clock_speed.unwrap_or(1000);
        machines
    }
}

impl World {
    /// Chooses the machine on which the next step happens. Returns whether a process works there.
    pub(crate) fn choose_machine(&mut self) -> bool {
        if self.pair.is_none() {
            return true;
        }
        self.at = match self.selling() {
            Some(leader) if self.dice.chance(500) => leader,
            _ => self.dice.below(2) as usize,
        };
        self.machine().is_awake()
    }

    /// Returns the machine whose server sells, as far as that knows.
    fn selling(&self) -> Option<usize> {
        let sells = |it: &Machine| it.is_awake() && it.server.as_ref().is_some_and(|it| it.sells());
        self.machines.iter().position(sells)
    }

    /// Returns whether nothing keeps the machine's server from answering everybody before it ends.
    pub(crate) fn is_calm(&self) -> bool {
        let weights = &self.plan.weights;
        self.plan.pair.is_none_or(|plan| {
            let is_undisturbed = plan.trouble == 0 && weights.log == 0 && weights.clock == 0;
            is_undisturbed && plan.clock_speed.is_none() && self.server().sells()
        })
    }

    /// Returns the place in the log of the process that starts next on this machine.
    pub(crate) fn next_place(&mut self) -> Option<LogPlace> {
        let (machine, has_offered) = (self.at, self.machine().has_offered);
        let way = self.machine().way.clone();
        let pair = self.pair.as_mut()?;
        pair.processes += 1;
        Some(LogPlace {
            machine,
            process: pair.processes,
            way: way?,
            watch: pair.watch.clone(),
            has_offered,
        })
    }

    /// Lets a turn of the machine's part in the replication happen.
    pub(crate) async fn replicate(&mut self) -> Result<(), String> {
        if self.turn_of_part()? == Some(Demand::HandOver) {
            self.note("a leader hands over");
            self.stop().await?;
            self.machine_mut().has_offered = true;
        }
        Ok(())
    }

    /// Gives the machine's part in the replication a turn, and returns what else that demands.
    pub(crate) fn turn_of_part(&mut self) -> Result<Option<Demand>, String> {
        let demand = self.server_mut().replicate();
        self.watch_log()?;
        match demand {
            Some(Demand::TakeUpDuties) => self.note("a takeover"),
            Some(Demand::StartAnew(RestartCause::Fenced)) => self.note("a leader is fenced"),
            Some(Demand::StartAnew(RestartCause::Fault)) => {
                self.note("a server starts anew");
                let has_power = !self.server().disk.has_crashed();
                if has_power && !self.machine().is_disk_disturbed {
                    return Err("a server starts anew although its disk works".into());
                }
            }
            _ => {}
        }
        Ok(demand)
    }

    /// Reads on in the log, and looks who leads.
    pub(crate) fn watch_log(&mut self) -> Result<(), String> {
        let Some(pair) = &self.pair else {
            return Ok(());
        };
        pair.watch.look();
        self.tape.follow(&pair.log)
    }

    /// Holds the journal on `disk`, which is durable up to `durable`, against the log.
    pub(crate) fn compare_with_log(
        &self,
        disk: &SimulatedDisk,
        durable: Lsn,
    ) -> Result<(), String> {
        if durable > self.tape.last() {
            return Err(format!(
                "record {durable} is told to be durable, and the log has {}",
                self.tape.last()
            ));
        }
        let compared = self.tape.compare(disk, Path::new(DIR), durable)?;
        compared.map_err(|error| format!("the journal cannot be read: {error}"))
    }

    /// Does something to the log, or to the ways to it, that databases and networks do.
    pub(crate) async fn disturb_log(&mut self) -> Result<(), String> {
        let pair = self.pair.as_ref().expect("only a pair has a log");
        let what = match self.dice.below(11) {
            0 => {
                pair.log.fail_over();
                "the log fails over"
            }
            1 => {
                pair.log.deliver_late();
                "what was late arrives at the log"
            }
            2 => {
                pair.log.replicate();
                "what was open is replicated"
            }
            3 | 4 => {
                self.set_reachable(self.at, false);
                "a server does not reach the log"
            }
            5 => {
                self.set_reachable(0, false);
                self.set_reachable(1, false);
                "nobody reaches the log"
            }
            6 | 7 if pair.plan.restores => return self.lose_suffix().await,
            _ => {
                self.set_reachable(0, true);
                self.set_reachable(1, true);
                "everybody reaches the log"
            }
        };
        self.note(what);
        self.watch_log()
    }

    fn set_reachable(&self, machine: usize, is_reachable: bool) {
        if let Some(way) = &self.machines[machine].way {
            way.set_reachable(is_reachable);
        }
    }

    /// The log comes back older than it was, while a leader runs that has everything: it has to give the log what that lacks.
    async fn lose_suffix(&mut self) -> Result<(), String> {
        let weights = &self.plan.weights;
        let may_fail = weights.power > 0 || weights.disk > 0 || self.plan.trims;
        let (Some(leader), false) = (self.selling(), may_fail) else {
            return Ok(());
        };
        self.heal_log()?;
        let pair = self.pair.as_ref().expect("only a pair has a log");
        let last = self.tape.last();
        self.at = leader;
        if self.server().durable() != last || pair.log.head().is_none_or(|it| it.last.lsn != last) {
            return Ok(());
        }
        let earlier = last.0.saturating_sub(self.dice.between(1, 12));
        pair.log.restore_to(Lsn(earlier));
        self.note("the log loses what it had");
        for _ in 0..50 {
            self.advance_us(100_000).await;
            self.at = self.dice.below(2) as usize;
            if self.machine().is_awake() {
                self.turn_of_part()?;
            }
            let pair = self.pair.as_ref().expect("only a pair has a log");
            let head = pair.log.head();
            if head.is_some_and(|head| head.last.lsn >= last) {
                self.disturb_again();
                return Ok(());
            }
        }
        Err("the leader does not give the log what it has lost".into())
    }

    /// Lets everybody reach the log, and the log answer.
    fn heal_log(&mut self) -> Result<(), String> {
        let Some(pair) = &self.pair else {
            return Ok(());
        };
        self.set_reachable(0, true);
        self.set_reachable(1, true);
        pair.trouble.store(0, Ordering::Relaxed);
        pair.log.deliver_late();
        pair.log.replicate();
        self.watch_log()
    }

    fn disturb_again(&self) {
        if let Some(pair) = &self.pair {
            pair.trouble.store(pair.plan.trouble, Ordering::Relaxed);
        }
    }

    /// Ends all that was done to the log and to the processes.
    pub(crate) fn heal_pair(&mut self) -> Result<(), String> {
        if let Some(pair) = &self.pair {
            pair.log.fail_over();
        }
        // A sale that one has created begins when the other one thinks so, too.
        let latest = self.machines.iter().map(|it| it.clock.now()).max();
        for machine in self.machines.iter_mut().filter(|it| it.way.is_some()) {
            machine.speed = 1000;
            latest.inspect(|latest| machine.clock.jump_to(*latest));
            if let Some(server) = &machine.server {
                server.vitals.set_paused(false);
            }
        }
        self.heal_log()
    }

    /// Stops the machine's process for some time, or lets it go on.
    pub(crate) fn pause_or_wake(&mut self) {
        let Some(server) = &self.machine().server else {
            return;
        };
        let is_paused = server.vitals.is_paused();
        server.vitals.set_paused(!is_paused);
        self.note(match is_paused {
            true => "a process goes on",
            false => "a process is paused",
        });
    }

    /// Lets so much time pass, mostly in such pieces that every thread has its turns.
    pub(crate) async fn pass_some_us(&mut self, micros: i64) -> Result<(), String> {
        if self.pair.is_none() || micros < PIECE_US || self.dice.chance(200) {
            self.advance_us(micros).await;
            return Ok(());
        }
        let at = self.at;
        let mut left = micros;
        while left > 0 {
            let piece = left.min(PIECE_US);
            left -= piece;
            self.advance_us(piece).await;
            self.work_all().await?;
        }
        self.at = at;
        Ok(())
    }

    /// Lets time pass in which every thread has its turns, where there are two machines.
    pub(crate) async fn pass_us(&mut self, micros: i64) -> Result<(), String> {
        if self.pair.is_none() {
            self.advance_us(micros).await;
            return Ok(());
        }
        let mut left = micros;
        while left > 0 {
            let piece = left.min(PIECE_US);
            left -= piece;
            self.advance_us(piece).await;
            self.turn_both().await?;
        }
        Ok(())
    }

    /// Lets every thread of the processes that work have a turn.
    pub(crate) async fn work_all(&mut self) -> Result<(), String> {
        for place in 0..self.machines.len() {
            self.at = place;
            if !self.machine().is_awake() {
                continue;
            }
            self.server_mut().serve_waiting();
            for _ in 0..TURNS_MAX {
                let demand = self.turn_of_part()?;
                if demand != Some(Demand::Turn) || !self.machine().is_awake() {
                    break;
                }
            }
            if self.machine().is_awake() {
                self.server_mut().run_due();
            }
        }
        yield_now().await;
        Ok(())
    }

    /// Lets every thread of both machines have a turn, and what they woke; the next step happens where the server sells.
    pub(crate) async fn turn_both(&mut self) -> Result<(), String> {
        for _ in 0..2 {
            self.work_all().await?;
            self.advance_timers().await;
        }
        for place in 0..self.machines.len() {
            self.at = place;
            if self.machine().is_awake() {
                self.server_mut().keeper.tidy(0);
            }
        }
        self.attend().await?;
        self.at = self.selling().unwrap_or(self.at);
        Ok(())
    }

    /// Has the standby take everything, and the leader offer its leadership; then checks the log and the standby.
    pub(crate) async fn end_pair(&mut self) -> Result<(), String> {
        if self.pair.is_none() {
            return Ok(());
        }
        let leader = self
            .selling()
            .ok_or("nobody leads although everything works")?;
        let standby = 1 - leader;
        for _ in 0..20 {
            self.at = standby;
            if self.server().durable() == self.tape.last() {
                break;
            }
            self.pass_us(PIECE_US).await?;
        }
        self.at = standby;
        let (durable, disk) = (self.server().durable(), self.server().disk.clone());
        self.compare_with_log(&disk, durable)?;
        if durable != self.tape.last() || self.server().leads() {
            return Err(format!(
                "a standby does not follow: it has {durable} of {} records",
                self.tape.last()
            ));
        }
        let server = self.server();
        server.engine.journal().close();
        checker::recovers(&server.engine, &server.disk)?;
        let (ledger, _) = self.tape.fold()?;
        checker::figures(&server.engine, &ledger)?;
        self.at = leader;
        self.server().engine.journal().close();
        for _ in 0..TURNS_MAX {
            if self.turn_of_part()? == Some(Demand::End) {
                break;
            }
        }
        let pair = self.pair.as_ref().expect("only a pair has a log");
        if pair.log.head().is_none_or(|head| !head.holder.is_empty()) {
            return Err("a leader ends, and does not offer its leadership".into());
        }
        self.tape.check_log(&pair.log)
    }
}
