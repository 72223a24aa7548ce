//! The life of the server's process: it starts, ends in every way, and starts again.

use flashsale::env::SimulatedDisk;
use tokio::task::yield_now;

use crate::rot;
use crate::server::{Server, Surroundings};
use crate::sink::Database;
use crate::world::World;

/// Starts that may fail in a row, for a disk that fails.
const STARTS_MAX: u32 = 20;

impl World {
    /// Sees to it that a process runs.
    pub(crate) async fn attend(&mut self) -> Result<(), String> {
        self.advance_timers().await;
        self.server_mut().reap()?;
        let server = self.server();
        if server.vitals.is_alive() {
            self.acknowledged = self.acknowledged.max(server.durable());
            return Ok(());
        }
        let has_power = !server.disk.has_crashed();
        if server.vitals.has_failed() && has_power && !self.is_disk_disturbed {
            return Err("the process ends itself although its disk works".into());
        }
        let disk = self.bury().await;
        self.is_disk_disturbed = false;
        if self.dice.chance(self.plan.rots) {
            self.rot(&disk)?;
        }
        self.start(disk).await
    }

    /// Lets a bit flip in a copy of `disk`, and sees what a start makes of it.
    pub(crate) fn rot(&mut self, disk: &SimulatedDisk) -> Result<(), String> {
        let outcome = rot::check(disk, &mut self.dice, &self.tape, self.acknowledged)?;
        outcome.into_iter().for_each(|outcome| self.note(outcome));
        Ok(())
    }

    /// Ends the process, and returns the disk as the next one finds it.
    pub(crate) async fn bury(&mut self) -> SimulatedDisk {
        let server = self.server.take().expect("a process runs");
        self.viewers.clear();
        let crashed = server.disk.take_crashed();
        if crashed.is_some() {
            self.note("the power fails");
        }
        let disk = crashed.unwrap_or_else(|| server.disk.after_kill());
        server.bury().await;
        disk
    }

    pub(crate) async fn start(&mut self, mut disk: SimulatedDisk) -> Result<(), String> {
        for _ in 0..STARTS_MAX {
            if self.plan.weights.power > 0 && self.dice.chance(60) {
                let (operations, seed) = (self.dice.below(30), self.dice.bits());
                disk.fail_power_after(operations, seed);
            }
            let around = Surroundings {
                plan: &self.plan,
                clock: &self.clock,
                databases: &self.databases,
                history: &self.history,
                seed: self.dice.bits(),
            };
            let started = Server::start(disk.clone(), &around);
            if let Some(crashed) = disk.take_crashed() {
                self.note("the power fails at a start");
                if let Ok(server) = started {
                    server.bury().await;
                }
                disk = crashed;
                continue;
            }
            match started {
                Ok(server) => {
                    self.server = Some(server);
                    let last = self.server().durable();
                    self.trace
                        .step(format_args!("a process starts behind record {last}"));
                    if last < self.acknowledged {
                        let told = self.acknowledged;
                        return Err(format!(
                            "record {told} was told to be durable, and {last} is the last"
                        ));
                    }
                    return self.read_tape();
                }
                Err(error) => return Err(format!("a start is refused: {error}")),
            }
        }
        Err("no start succeeds".into())
    }

    /// Stops the process as an operator does, and starts the next one.
    pub(crate) async fn stop(&mut self) -> Result<(), String> {
        self.note("the process is stopped");
        self.server().drain();
        for _ in 0..40 {
            self.server_mut().serve_waiting();
            yield_now().await;
            self.advance_us(10_000).await;
        }
        let (server, disturbed) = (self.server(), self.is_disk_disturbed);
        if server.vitals.is_alive() && !disturbed && server.open_requests() > 0 {
            return Err("a stop leaves requests without an answer".into());
        }
        self.server().engine.journal().close();
        self.server().vitals.end();
        Ok(())
    }

    /// Ends all faults. What was about to break is no more.
    pub(crate) async fn heal(&mut self) -> Result<(), String> {
        self.trace.step(format_args!("everything is healed"));
        self.databases.iter().for_each(Database::heal);
        // A failure of the power may be on its way.
        let may_fail = std::mem::take(&mut self.plan.weights.power) > 0;
        if may_fail || self.is_disk_disturbed || self.dice.chance(500) {
            self.server().vitals.end();
            self.attend().await?;
        }
        self.is_disk_disturbed = false;
        Ok(())
    }
}
