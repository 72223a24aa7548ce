//! A turn: the crowd at one contestant.

use std::fs;

use serde::Serialize;

use super::tally::Tally;

/// The measurements of a crowd, as they come.
pub struct Rush {
    /// The clients' answers.
    pub tally: Tally,
    /// Connections that came while the queue of a listener was full, on the whole machine.
    pub listen_overflows: u64,
    /// CPU time of the contestant's process.
    pub cpu_ns: u64,
}

/// The counts and times of a crowd at one contestant.
#[derive(Clone, Debug, Serialize)]
pub struct Turn {
    /// The contestant's name as it is shown.
    pub contestant: &'static str,
    /// Number of the round, from 1.
    pub round: usize,
    /// Clients that connect.
    pub clients: usize,
    /// Connections that were opened.
    pub connected: u64,
    /// Checkouts that were accepted.
    pub accepted: u64,
    /// Purchases that were answered.
    pub bought: u64,
    /// Answers that the sale is not on yet, after which a client asks again.
    pub too_early: u64,
    /// Other refusals.
    pub refused: u64,
    /// Answers with a status of 500 or more.
    pub server_errors: u64,
    /// Answers that the interface does not describe.
    pub malformed: u64,
    /// Connections that were refused, reset or ended without an answer.
    pub resets: u64,
    /// Clients that were still waiting after half a minute.
    pub unanswered: u64,
    /// Connections that came while the queue of a listener was full, on the whole machine: such a client tries again after
    /// 0.2 or 1 s.
    pub listen_overflows: u64,
    /// CPU time of the contestant's process per client, in microseconds.
    pub cpu_us_per_client: f64,
    /// From the opening to the last answer, in milliseconds.
    pub last_answer_ms: f64,
    /// Median of all clients' times from the opening to their purchase, in milliseconds.
    pub p50_ms: f64,
    /// The 99th percentile of the same.
    pub p99_ms: f64,
}

impl Turn {
    /// Returns what `rush` says of a contestant.
    #[must_use]
    pub fn of(contestant: &'static str, round: usize, clients: usize, rush: &Rush) -> Self {
        let ms = |us: u64| us as f64 / 1e3;
        let tally = &rush.tally;
        let times = &tally.bought_us;
        Self {
            contestant,
            round,
            clients,
            connected: tally.connected,
            accepted: tally.accepted,
            bought: times.len(),
            too_early: tally.too_early,
            refused: tally.refused,
            server_errors: tally.server_errors,
            malformed: tally.malformed,
            resets: tally.resets,
            unanswered: tally.unanswered,
            listen_overflows: rush.listen_overflows,
            cpu_us_per_client: rush.cpu_ns as f64 / 1e3 / clients.max(1) as f64,
            last_answer_ms: ms(times.max()),
            p50_ms: ms(times.value_at_quantile(0.5)),
            p99_ms: ms(times.value_at_quantile(0.99)),
        }
    }

    /// Returns whether every client was sold its item.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.bought == self.clients as u64
    }
}

/// Returns how many connections have come to a full queue since the machine's start; 0 where the kernel does not say.
#[must_use]
pub fn listen_overflows() -> u64 {
    let text = fs::read_to_string("/proc/net/netstat").unwrap_or_default();
    counter(&text, "TcpExt:", "ListenOverflows").unwrap_or(0)
}

/// Returns a counter of `/proc/net/netstat`: a line of names, and one of numbers.
fn counter(text: &str, group: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.starts_with(group));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let place = names.split_whitespace().position(|it| it == name)?;
    numbers.split_whitespace().nth(place)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_by_its_name() {
        let text =
            "TcpExt: SyncookiesSent ListenOverflows\nTcpExt: 3 14\nIpExt: InNoRoutes\nIpExt: 7\n";
        let of = |group, name| counter(text, group, name);
        assert_eq!(of("TcpExt:", "ListenOverflows"), Some(14));
        assert_eq!(of("IpExt:", "InNoRoutes"), Some(7));
        assert_eq!(of("IpExt:", "ListenOverflows"), None);
        assert_eq!(counter("", "TcpExt:", "ListenOverflows"), None);
    }
}
