//! A machine: its clock, its disk, and the process on it.

use std::sync::Arc;

use flashsale::env::{Clock, ManualClock, SimulatedDisk};
use flashsale::live::Update;
use flashsale::replication::SimulatedLog;
use flashsale::types::Lsn;
use tokio::sync::watch;

use crate::server::Server;

/// A machine.
pub(crate) struct Machine {
    pub(crate) clock: Arc<ManualClock>,
    /// The speed of the clock, per mille of the time that passes.
    pub(crate) speed: i64,
    /// How far the timers of tasks are, in microseconds of the monotonic clock.
    timers_us: u64,
    pub(crate) server: Option<Server>,
    /// The disk, while no process runs.
    pub(crate) disk: Option<SimulatedDisk>,
    pub(crate) viewers: Vec<Viewer>,
    /// The last record that a process which lived here has known to be durable.
    pub(crate) acknowledged: Lsn,
    /// The disk was made to fail, so that a process may end itself.
    pub(crate) is_disk_disturbed: bool,
    /// Its way to the replicated log.
    pub(crate) way: Option<SimulatedLog>,
    /// The last process here has handed its leadership over.
    pub(crate) has_offered: bool,
}

/// A viewer of a sale.
pub(crate) struct Viewer {
    pub(crate) updates: watch::Receiver<Update>,
    pub(crate) seen: u64,
}

impl Machine {
    /// Creates a machine whose disk is empty.
    pub(crate) fn new(clock: Arc<ManualClock>, way: Option<SimulatedLog>) -> Self {
        Self {
            speed: 1000,
            timers_us: clock.monotonic_us(),
            clock,
            server: None,
            disk: Some(SimulatedDisk::new()),
            viewers: Vec::new(),
            acknowledged: Lsn::ZERO,
            is_disk_disturbed: false,
            way,
            has_offered: false,
        }
    }

    /// Returns the time that has passed here since this was asked before, in microseconds.
    pub(crate) fn passed_us(&mut self) -> u64 {
        let awake_us = self.clock.monotonic_us();
        awake_us - std::mem::replace(&mut self.timers_us, awake_us)
    }

    /// Says what runs here.
    pub(crate) fn describe(&self) -> String {
        let Some(server) = &self.server else {
            return "no process".to_owned();
        };
        let engine = &server.engine;
        format!(
            "a process that {} and {}, has {} open sales and records up to {}, of which {} are durable",
            if server.sells() {
                "sells"
            } else {
                "does not sell"
            },
            if engine.is_writable() {
                "can write"
            } else {
                "cannot write"
            },
            engine.open_sales().len(),
            engine.newest_lsn(),
            server.durable(),
        )
    }

    /// Returns whether a process runs, and is not paused.
    pub(crate) fn is_awake(&self) -> bool {
        let server = self.server.as_ref();
        server.is_some_and(|server| server.vitals.is_alive() && !server.vitals.is_paused())
    }
}
