//! The health check of containers: whether the configured server is ready.

use std::process::ExitCode;
use std::time::Duration;

use super::client_tls::PinnedTls;
use super::server_client::ServerClient;
use crate::config::ServerConfig;

/// The time that the check waits for the server.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Asks `/readyz` of the server that listens where the configuration says. Prints why it is not ready.
#[must_use]
pub fn healthcheck(server: &ServerConfig) -> ExitCode {
    let tls = match PinnedTls::configured(server) {
        Ok(tls) => tls,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let client = ServerClient::new(server.local_address(), tls, TIMEOUT);
    let address = client.address();
    match client.get("/readyz") {
        Ok(reply) if reply.status == 200 => return ExitCode::SUCCESS,
        Ok(_) => eprintln!("{address}: not ready"),
        Err(error) => eprintln!("{address}: {error}"),
    }
    ExitCode::FAILURE
}
