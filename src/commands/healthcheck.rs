//! The health check of containers: whether the configured server is ready, or stands by for another one.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use super::client_tls::ServerAccess;
use super::server_client::{Reply, ServerClient};
use crate::config::ServerConfig;

/// The time that the check waits for the server.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The error with which a standby refuses what is for the leader.
const STANDBY: &str = "standby";

/// Asks `/readyz` of the server that listens where the configuration says. Prints why it is not ready. A standby is as well as it can be: whoever restarts
/// what is not must leave it alone.
#[must_use]
pub fn healthcheck(server: &ServerConfig) -> ExitCode {
    let access = match ServerAccess::configured(server) {
        Ok(access) => access,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let client = ServerClient::new(server.local_address(), access, TIMEOUT);
    let address = client.address();
    match client.get("/readyz") {
        Ok(reply) if reply.status == 200 || stands_by(&reply) => return ExitCode::SUCCESS,
        Ok(_) => eprintln!("{address}: not ready"),
        Err(error) => eprintln!("{address}: {error}"),
    }
    ExitCode::FAILURE
}

fn stands_by(reply: &Reply) -> bool {
    let problem = serde_json::from_slice::<Value>(&reply.body);
    reply.status == 503 && problem.is_ok_and(|problem| problem["error"] == STANDBY)
}
