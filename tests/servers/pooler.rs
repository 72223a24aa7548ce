//! A real pgbouncer before a real Postgres: the sessions that it hands out are everybody's.

use std::fs;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::postgres_server::{
    DATABASE, PASSWORD, Postgres, USER, as_server, free_port, give_away, new_directory, said,
    wait_for,
};

/// A pgbouncer that does not outlive this.
pub struct Pooler {
    dir: TempDir,
    port: u16,
    child: Child,
}

impl Pooler {
    /// Starts one with `sessions` sessions of `postgres`, in a mode such as `transaction`.
    pub fn start(postgres: &Postgres, mode: &str, sessions: u32) -> Self {
        let dir = new_directory();
        let users = dir.path().join("users");
        fs::write(&users, format!("\"{USER}\" \"{PASSWORD}\"\n")).expect("our own directory");
        give_away(&users);
        let file = dir.path().join("pgbouncer.ini");
        // Another process may take the port in between.
        for _ in 0..20 {
            let port = free_port();
            let settings = format!(
                "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
                 listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\n\
                 logfile = {}\npool_mode = {mode}\ndefault_pool_size = {sessions}\n",
                postgres.port(),
                users.display(),
                dir.path().join("log").display(),
            );
            fs::write(&file, settings).expect("our own directory");
            give_away(&file);
            let mut command = as_server("pgbouncer");
            command.arg("-q").arg(&file);
            command.stdin(Stdio::null()).stdout(Stdio::null());
            let mut child = command
                .stderr(Stdio::null())
                .spawn()
                .expect("pgbouncer runs");
            let is_up = wait_for("pgbouncer", || {
                let ended = child.try_wait().expect("a child").is_some();
                let answers = TcpStream::connect(("127.0.0.1", port)).is_ok();
                (ended || answers).then_some(!ended)
            });
            if is_up {
                return Self { dir, port, child };
            }
        }
        let log = fs::read_to_string(dir.path().join("log")).unwrap_or_default();
        panic!("no pgbouncer:\n{log}");
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What another application is told, a line a row.
    pub fn query(&self, sql: &str) -> String {
        let mut psql = Command::new("psql");
        psql.args([
            "-XAtq",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            "127.0.0.1",
            "-U",
            USER,
            "-d",
            DATABASE,
        ]);
        psql.args(["-p", &self.port.to_string(), "-c", sql]);
        psql.env("PGPASSWORD", PASSWORD).stdin(Stdio::null());
        said(&mut psql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
