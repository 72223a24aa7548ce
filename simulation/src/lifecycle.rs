//! The life of the servers' processes: they start, end in every way, and start again.

use flashsale::env::SimulatedDisk;
use flashsale::replication::Demand;
use tokio::task::yield_now;

use crate::checker;
use crate::rot;
use crate::server::{Server, Surroundings};
use crate::sink::Database;
use crate::world::World;

/// Starts that may fail in a row, for a disk that fails.
const STARTS_MAX: u32 = 20;
/// Turns that a leader whose journal is closed has to bring the rest into the log.
const LAST_TURNS_MAX: u32 = 20;

impl World {
    /// Sees to it that a process runs; of two machines, sooner or later on each.
    pub(crate) async fn attend(&mut self) -> Result<(), String> {
        self.advance_timers().await;
        let at = self.at;
        for place in 0..self.machines.len() {
            self.at = place;
            self.attend_machine().await?;
        }
        self.at = at;
        Ok(())
    }

    async fn attend_machine(&mut self) -> Result<(), String> {
        if self.machine().server.is_none() {
            let starts = self.pair.is_none() || self.is_healed || self.dice.chance(150);
            return match self.machine_mut().disk.take_if(|_| starts) {
                Some(disk) => self.start(disk).await,
                None => Ok(()),
            };
        }
        self.server_mut().reap()?;
        let server = self.server();
        if server.vitals.is_alive() {
            let durable = server.durable();
            let machine = self.machine_mut();
            machine.acknowledged = machine.acknowledged.max(durable);
            if self.pair.is_some() && durable > self.tape.last() {
                return Err(format!(
                    "record {durable} is told to be durable, and the log has {}",
                    self.tape.last()
                ));
            }
            return Ok(());
        }
        let has_power = !server.disk.has_crashed();
        if server.vitals.has_failed() && has_power && !self.machine().is_disk_disturbed {
            return Err("the process ends itself although its disk works".into());
        }
        let disk = self.bury().await;
        self.machine_mut().is_disk_disturbed = false;
        if self.dice.chance(self.plan.rots) {
            self.rot(&disk)?;
        }
        match self.pair.is_some() && !self.is_healed {
            // It takes some time.
            true => self.machine_mut().disk = Some(disk),
            false => self.start(disk).await?,
        }
        Ok(())
    }

    /// Lets a bit flip in a copy of `disk`, and sees what a start makes of it.
    pub(crate) fn rot(&mut self, disk: &SimulatedDisk) -> Result<(), String> {
        let acknowledged = self.machine().acknowledged;
        let outcome = rot::check(disk, &mut self.dice, &self.tape, acknowledged)?;
        outcome.into_iter().for_each(|outcome| self.note(outcome));
        Ok(())
    }

    /// Ends the process, and returns the disk as the next one finds it.
    pub(crate) async fn bury(&mut self) -> SimulatedDisk {
        let server = self.machine_mut().server.take().expect("a process runs");
        self.machine_mut().viewers.clear();
        let crashed = server.disk.take_crashed();
        if crashed.is_some() {
            self.note("the power fails");
        }
        let disk = crashed.unwrap_or_else(|| server.disk.after_kill());
        server.bury().await;
        disk
    }

    async fn start(&mut self, mut disk: SimulatedDisk) -> Result<(), String> {
        for _ in 0..STARTS_MAX {
            if self.plan.weights.power > 0 && self.dice.chance(60) {
                let (operations, seed) = (self.dice.below(30), self.dice.bits());
                disk.fail_power_after(operations, seed);
            }
            let place = self.next_place();
            let around = Surroundings {
                plan: &self.plan,
                clock: &self.machines[self.at].clock,
                databases: &self.databases,
                history: &self.history,
                seed: self.dice.bits(),
                place,
            };
            let started = Server::start(disk.clone(), &around);
            self.watch_log()?;
            if let Some(crashed) = disk.take_crashed() {
                self.note("the power fails at a start");
                if let Ok(server) = started {
                    server.bury().await;
                }
                disk = crashed;
                continue;
            }
            return match started {
                Ok(server) => self.begin(server),
                Err(error) if error.may_pass() => {
                    self.note("a server cannot join the log yet");
                    self.machine_mut().disk = Some(disk.after_kill());
                    Ok(())
                }
                Err(error) => Err(format!("a start is refused: {error}")),
            };
        }
        Err("no start succeeds".into())
    }

    fn begin(&mut self, server: Server) -> Result<(), String> {
        let (last, told) = (server.durable(), self.machine().acknowledged);
        self.machine_mut().has_offered = false;
        self.machine_mut().server = Some(server);
        self.trace
            .step(format_args!("a process starts behind record {last}"));
        if last < told {
            return Err(format!(
                "record {told} was told to be durable, and {last} is the last"
            ));
        }
        self.read_tape()?;
        // Of two machines one may not have come as far as the log.
        if self.pair.is_none() {
            let (ledger, _) = self.tape.fold()?;
            checker::expired_lines(&self.server().engine, &ledger)?;
        }
        Ok(())
    }

    /// Stops the process as an operator does; the next one starts behind it.
    pub(crate) async fn stop(&mut self) -> Result<(), String> {
        self.note("the process is stopped");
        let (at, is_calm) = (self.at, self.is_calm());
        self.server().drain();
        for _ in 0..40 {
            match self.pair {
                None => self.server_mut().serve_waiting(),
                Some(_) => self.work_all().await?,
            }
            self.at = at;
            yield_now().await;
            self.advance_us(10_000).await;
        }
        let (server, disturbed) = (self.server(), self.machine().is_disk_disturbed);
        if server.vitals.is_alive() && !disturbed && is_calm && server.open_requests() > 0 {
            return Err("a stop leaves requests without an answer".into());
        }
        server.engine.journal().close();
        for _ in 0..LAST_TURNS_MAX {
            if !self.server().leads() || self.turn_of_part()? == Some(Demand::End) {
                break;
            }
        }
        self.server().vitals.end();
        Ok(())
    }

    /// Ends all faults. What was about to break is no more.
    pub(crate) async fn heal(&mut self) -> Result<(), String> {
        self.trace.step(format_args!("everything is healed"));
        self.databases.iter().for_each(Database::heal);
        self.heal_pair()?;
        // A failure of the power may be on its way.
        let may_fail = std::mem::take(&mut self.plan.weights.power) > 0;
        // And a sleep of the machine, in which another server takes over.
        let may_fail = may_fail || self.pair.is_some() && self.plan.weights.clock > 0;
        self.is_healed = true;
        for place in 0..self.machines.len() {
            self.at = place;
            if may_fail || self.machine().is_disk_disturbed || self.dice.chance(500) {
                if let Some(server) = &self.machine().server {
                    server.vitals.end();
                }
                self.attend().await?;
            }
            self.machine_mut().is_disk_disturbed = false;
        }
        self.attend().await
    }
}
