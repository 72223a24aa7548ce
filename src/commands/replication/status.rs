//! `flashsale replication status`: what the log says, and the server on this machine.

use std::io::Write;
use std::thread;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::{ConfiguredLog, LOOK, ReplicationError, local_server, settings};
use crate::config::Config;
use crate::env::{Clock, SystemClock};
use crate::replication::Head;
use crate::telemetry::seconds;

/// The form of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusFormat {
    /// Lines for people.
    Text,
    /// One JSON document.
    Json,
}

/// The log and the server on this machine, as they were found.
#[derive(Serialize)]
struct LogReading {
    /// The name of the log.
    log: String,
    /// Where the servers of its database are.
    hosts: String,
    epoch: u64,
    /// Empty while the leadership is offered.
    leader: String,
    /// Whether the leader has given a sign while it was looked at.
    is_alive: bool,
    /// Seconds from the first look to the sign, or to the last look.
    looked_seconds: f64,
    last_lsn: u64,
    /// The last record that the leader knew to be acknowledged at its last sign.
    acknowledged_lsn: u64,
    /// The part of the server on this machine, as it says; `None` where none answers or it replicates nothing.
    server: Option<Value>,
}

/// Looks at the log until the leader gives a sign, for as long as a standby would wait, and says what was seen. Returns the exit code:
/// 0 when a leader gives signs, 1 when none does.
///
/// # Errors
/// See [`ReplicationError`].
pub fn status(
    config: &Config,
    format: StatusFormat,
    out: &mut dyn Write,
) -> Result<u8, ReplicationError> {
    let settings = settings(config)?;
    let mut log = ConfiguredLog::open(settings)?;
    let first = log.look()?;
    let clock = SystemClock::new();
    let began_us = clock.monotonic_us();
    let looked_us = || clock.monotonic_us() - began_us;
    let mut last = first.clone();
    while !has_given_sign(&first, &last) && looked_us() < u64::from(settings.takeover_ms) * 1000 {
        thread::sleep(LOOK);
        last = log.look()?;
    }
    let reading = LogReading {
        log: log.name,
        hosts: log.address,
        epoch: last.epoch.0,
        is_alive: !last.holder.is_empty() && has_given_sign(&first, &last),
        leader: last.holder,
        looked_seconds: seconds(looked_us()),
        last_lsn: last.last.lsn.0,
        acknowledged_lsn: last.acknowledged.0,
        server: server(config),
    };
    match format {
        StatusFormat::Text => reading.write(config, out)?,
        StatusFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, &reading).map_err(std::io::Error::from)?;
            writeln!(out)?;
        }
    }
    Ok(u8::from(!reading.is_alive))
}

/// Returns whether the leader has changed something between two looks. Another server that looks changes nothing of these.
fn has_given_sign(first: &Head, last: &Head) -> bool {
    (first.epoch, first.beat) != (last.epoch, last.beat)
}

/// Returns what the server on this machine says of its part.
fn server(config: &Config) -> Option<Value> {
    let reply = local_server(config).ok()?.get("/health").ok()?;
    let mut health: Value = serde_json::from_slice(&reply.body).ok()?;
    let part = health.get_mut("replication")?.take();
    part.is_object().then_some(part)
}

impl LogReading {
    fn write(&self, config: &Config, out: &mut dyn Write) -> std::io::Result<()> {
        let Self {
            log,
            hosts,
            epoch,
            leader,
            looked_seconds,
            last_lsn,
            acknowledged_lsn,
            ..
        } = self;
        let looked = Duration::from_secs_f64(*looked_seconds);
        writeln!(out, "log     {log} at {hosts}")?;
        match (leader.as_str(), self.is_alive) {
            ("", _) => writeln!(
                out,
                "leader  none: the leadership of epoch {epoch} is offered, and nobody has taken it"
            )?,
            (leader, true) => writeln!(
                out,
                "leader  {leader}, epoch {epoch}: gave a sign within {looked:.1?}"
            )?,
            (leader, false) => {
                writeln!(
                    out,
                    "leader  {leader}, epoch {epoch}: NO SIGN for {looked:.1?}"
                )?;
            }
        }
        writeln!(
            out,
            "last    record {last_lsn}; acknowledged up to record {acknowledged_lsn} at the leader's last sign"
        )?;
        let address = config.server.local_address();
        let Some(server) = &self.server else {
            return writeln!(
                out,
                "here    no server with a replicated log answers at {address}"
            );
        };
        let role = server["role"].as_str().unwrap_or("unknown");
        let number = |name: &str| server[name].as_u64().unwrap_or_default();
        writeln!(
            out,
            "here    {address}: {role} in epoch {}, acknowledged up to record {}, {} behind",
            number("epoch"),
            number("acknowledged_lsn"),
            number("lag_records"),
        )?;
        match server["error"].as_str() {
            Some(error) => writeln!(out, "        it says of the log: {error}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replication::{Epoch, LogIdentity, Position};
    use crate::types::Lsn;

    #[test]
    fn a_sign_is_a_beat_or_another_epoch() {
        let head = Head {
            identity: LogIdentity::from_stored(1),
            epoch: Epoch(3),
            holder: "a:1".into(),
            base: Position::START,
            last: Position::START,
            acknowledged: Lsn::ZERO,
            followed: Lsn::ZERO,
            beat: 7,
        };
        assert!(!has_given_sign(&head, &head));
        let (mut beaten, mut taken) = (head.clone(), head.clone());
        beaten.beat = 8;
        taken.epoch = Epoch(4);
        assert!(has_given_sign(&head, &beaten) && has_given_sign(&head, &taken));
    }
}
