//! The address to listen on: free, or a server of ours answers there.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::time::Duration;

use serde_json::Value;

use super::finding::Findings;
use super::syncs::SyncTimes;
use crate::commands::client_tls::ServerAccess;
use crate::commands::server_client::ServerClient;
use crate::config::Config;
use crate::types::Lsn;

const TIMEOUT: Duration = Duration::from_secs(3);

/// The holder of the address.
#[derive(Clone, Copy, Debug)]
pub(super) enum Holder {
    /// The address can be taken; or nobody on this machine can.
    Nobody,
    /// A server of ours, as it describes itself.
    Server(AnsweringServer),
    /// Somebody who does not say that it is one.
    Somebody,
}

/// A server that runs, as it describes itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct AnsweringServer {
    /// The times that its syncs take; `None` before the first.
    pub(super) syncs: Option<SyncTimes>,
}

impl AnsweringServer {
    fn of(health: &Value) -> Self {
        let sync = &health["stages"]["fsync"];
        let us = |name: &str| sync[name].as_f64().map(|us| us as u64);
        let times = || {
            Some(SyncTimes {
                p50_us: us("p50")?,
                p99_us: us("p99")?,
                longest_us: us("max")?,
            })
        };
        Self { syncs: times() }
    }
}

/// Finds out who has the address, and checks a server of ours there.
pub(super) fn check(config: &Config, findings: &mut Findings) -> Holder {
    const CHECK: &str = "address";
    let address = config.server.address();
    match TcpListener::bind(address) {
        Ok(_) => {
            findings.ok(CHECK, format!("{address} is free"));
            findings.ok("monitoring", "no server runs; ask again when one does");
            Holder::Nobody
        }
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            running(config, findings).map_or(Holder::Somebody, Holder::Server)
        }
        Err(error) => {
            let advice = match error.kind() {
                ErrorKind::AddrNotAvailable => {
                    "set server.host to an address of this machine, or 0.0.0.0"
                }
                ErrorKind::PermissionDenied => {
                    "set server.port to 1024 or more, or give the binary CAP_NET_BIND_SERVICE"
                }
                _ => "set server.host and server.port to where one can listen",
            };
            findings.fail(CHECK, format!("{address}: {error}"), advice);
            Holder::Nobody
        }
    }
}

/// Checks the server that listens there; `None` where it is none of ours.
fn running(config: &Config, findings: &mut Findings) -> Option<AnsweringServer> {
    const CHECK: &str = "address";
    let address = config.server.local_address();
    let answering = client(config).and_then(|client| {
        let health = health(&client)?;
        Some((client, health))
    });
    let Some((client, health)) = answering else {
        findings.fail(
            CHECK,
            format!("{address} is taken, and not by a flashsale server that answers"),
            "stop who listens there (ss -ltnp), or set another server.port",
        );
        return None;
    };
    match get(&client, "/readyz") {
        Some((200, _)) => findings.ok(
            CHECK,
            format!("{address}: a server runs there, and is ready"),
        ),
        _ => findings.fail(
            CHECK,
            format!("{address}: a server runs there, and is not ready"),
            "its log and /health say why",
        ),
    }
    fingerprint(config, &health, findings);
    monitoring(&client, findings);
    Some(AnsweringServer::of(&health))
}

/// Returns the `/health` of a server of ours.
fn health(client: &ServerClient) -> Option<Value> {
    let (_, body) = get(client, "/health")?;
    let health: Value = serde_json::from_slice(&body).ok()?;
    health["journal"].is_object().then_some(health)
}

/// Returns the last durable record of the server that runs there, as of now.
pub(super) fn durable(config: &Config) -> Option<Lsn> {
    let health = health(&client(config)?)?;
    health["journal"]["durable_lsn"].as_u64().map(Lsn)
}

fn fingerprint(config: &Config, health: &Value, findings: &mut Findings) {
    const CHECK: &str = "running";
    let running = &health["configuration"];
    let ours = config.fingerprint();
    if *running == ours {
        findings.ok(CHECK, "the server has this configuration");
    } else {
        let running = running.as_str().unwrap_or("unknown");
        findings.warn(
            CHECK,
            format!("the server's configuration is {running}, and not {ours}"),
            "restart it with this one, or run this with the server's",
        );
    }
}

fn monitoring(client: &ServerClient, findings: &mut Findings) {
    const CHECK: &str = "monitoring";
    match get(client, "/metrics") {
        Some((200, body)) if body.windows(10).any(|it| it == b"flashsale_") => {
            findings.ok(CHECK, "/metrics answers");
            forwarded_headers(&String::from_utf8_lossy(&body), findings);
        }
        _ => findings.warn(
            CHECK,
            "/metrics does not answer",
            "see what is before the server, and the server's log",
        ),
    }
}

/// Warns where requests name clients in headers that the server does not read.
fn forwarded_headers(metrics: &str, findings: &mut Findings) {
    if metrics.contains("http_forwarded_headers_ignored 1\n") {
        findings.warn(
            "clients",
            "requests come with X-Forwarded-For or Forwarded, which the server does not read: all clients of the proxy count as one",
            "set server.client_address, and server.trusted_proxies to the networks of the proxies",
        );
    }
}

/// The client for the server that is configured; `None` where its certificate cannot be read.
fn client(config: &Config) -> Option<ServerClient> {
    let access = ServerAccess::configured(&config.server).ok()?;
    let address = config.server.local_address();
    Some(ServerClient::new(address, access, TIMEOUT))
}

fn get(client: &ServerClient, path: &str) -> Option<(u16, Vec<u8>)> {
    let reply = client.get(path).ok()?;
    Some((reply.status, reply.body))
}
