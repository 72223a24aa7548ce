//! `flashsale replication hand-over`: has the server on this machine hand its leadership over, and waits for the one that takes it.

use std::io::Write;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::{ConfiguredLog, LOOK, ReplicationError, local_server, server_error, settings};
use crate::app::admin_token::known_token;
use crate::config::Config;
use crate::env::{Clock, SystemClock};
use crate::replication::{Epoch, Head};
use crate::telemetry::seconds;

const PATH: &str = "/admin/replication/hand-over";

/// The place of the leadership after the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HandOverOutcome {
    /// It has not been offered yet.
    StillThere,
    /// Nobody has taken it yet.
    Offered,
    /// Another server has it.
    HandedOver,
    /// The server that gave it away has it again.
    TakenBack,
}

impl HandOverOutcome {
    /// Judges by the log, where `leader` led in `epoch` before.
    fn of(head: &Head, epoch: Epoch, leader: &str) -> Self {
        match (head.epoch > epoch, head.holder.as_str()) {
            (_, "") => Self::Offered,
            (false, _) => Self::StillThere,
            (true, holder) if holder == leader => Self::TakenBack,
            (true, _) => Self::HandedOver,
        }
    }
}

/// Asks the server on this machine to hand its leadership over, and waits for up to `patience` until the log says who leads then. Returns the
/// exit code: 0 when another server leads, 1 when it does not, or the server has refused.
///
/// # Errors
/// See [`ReplicationError`].
pub fn hand_over(
    config: &Config,
    patience: Duration,
    out: &mut dyn Write,
) -> Result<u8, ReplicationError> {
    let settings = settings(config)?;
    let token = known_token(config).map_err(ReplicationError::Token)?;
    let mut log = ConfiguredLog::open(settings)?;
    let leader = log.look()?.holder;
    let client = local_server(config)?;
    let reply = client.post(PATH, &token);
    let reply = reply.map_err(|error| server_error(&client, error))?;
    let said: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    if reply.status != 202 {
        let status = format!("http status: {}", reply.status);
        let why = said["message"].as_str().unwrap_or(&status);
        writeln!(out, "nothing was handed over: {}: {why}", client.address())?;
        return Ok(1);
    }
    let epoch = said["data"]["epoch"].as_u64();
    let epoch = epoch.ok_or_else(|| server_error(&client, "not what flashsale answers"))?;
    let clock = SystemClock::new();
    let began_us = clock.monotonic_us();
    loop {
        let took_us = clock.monotonic_us() - began_us;
        let head = log.look()?;
        let outcome = HandOverOutcome::of(&head, Epoch(epoch), &leader);
        let is_over = u128::from(took_us) >= patience.as_micros();
        let (now, new_epoch, took) = (&head.holder, head.epoch, seconds(took_us));
        match outcome {
            HandOverOutcome::HandedOver => {
                writeln!(
                    out,
                    "{leader} has handed over to {now}, which leads in epoch {new_epoch} since {took:.1} s after the request"
                )?;
                return Ok(0);
            }
            HandOverOutcome::TakenBack => {
                writeln!(
                    out,
                    "nobody else has taken the leadership: {now} leads again, in epoch {new_epoch}. Is a standby running?"
                )?;
                return Ok(1);
            }
            HandOverOutcome::Offered if is_over => {
                writeln!(
                    out,
                    "{leader} has offered its leadership, and within {took:.1} s nobody has taken it: NO SERVER SELLS. Start one"
                )?;
                return Ok(1);
            }
            HandOverOutcome::StillThere if is_over => {
                writeln!(
                    out,
                    "{leader} was asked, and after {took:.1} s it still leads: it may be waiting for requests or for the log; see its log"
                )?;
                return Ok(1);
            }
            HandOverOutcome::Offered | HandOverOutcome::StillThere => thread::sleep(LOOK),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replication::{LogIdentity, Position};
    use crate::types::Lsn;

    #[test]
    fn the_log_says_what_has_become_of_the_leadership() {
        let outcome = |epoch: u64, holder: &str| {
            let head = Head {
                identity: LogIdentity::from_stored(1),
                epoch: Epoch(epoch),
                holder: holder.into(),
                base: Position::START,
                last: Position::START,
                acknowledged: Lsn::ZERO,
                followed: Lsn::ZERO,
                beat: 7,
            };
            HandOverOutcome::of(&head, Epoch(3), "a:1")
        };
        assert_eq!(outcome(3, "a:1"), HandOverOutcome::StillThere);
        assert_eq!(outcome(3, ""), HandOverOutcome::Offered);
        assert_eq!(outcome(4, "b:1"), HandOverOutcome::HandedOver);
        assert_eq!(outcome(4, "a:1"), HandOverOutcome::TakenBack);
    }
}
