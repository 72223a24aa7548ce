//! The real server, and plans for it.

use std::path::PathBuf;
use std::time::Duration;

use flashsale_perf::load::server::Server;
use flashsale_perf::load::{Outcome, Plan, run};

/// The server's binary, which a build of the workspace puts beside the tests' directory.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("this test");
    let dir = test
        .parent()
        .and_then(|deps| deps.parent())
        .expect("a target directory");
    let path = dir.join("flashsale");
    assert!(
        path.is_file(),
        "{} is missing: build the whole workspace (cargo nextest run --workspace does)",
        path.display()
    );
    path
}

/// A server with a sale of `items`.
pub fn server(items: u32) -> Server {
    Server::start(&binary(), items).expect("a server")
}

/// A short run on few connections.
pub fn plan(server: &Server, millis: u64) -> Plan {
    Plan {
        connections: 8,
        server_pid: Some(server.pid()),
        ..Plan::new(server.address(), Duration::from_millis(millis))
    }
}

/// Carries a plan out.
pub fn outcome(plan: &Plan) -> Outcome {
    run(plan).expect("an outcome")
}
