//! Somebody else who works with the database.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout};

use crate::postgres_server::{DATABASE, Postgres};

/// A session that stays open until it is dropped.
pub struct Session {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Session {
    /// Opens one; `None` when the server lets nobody in any more.
    pub fn open(postgres: &Postgres) -> Option<Self> {
        let mut child = postgres.session(DATABASE);
        let input = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let mut session = Self {
            child,
            input,
            output,
        };
        session.run("SELECT 1").then_some(session)
    }

    /// Runs statements that print nothing, and waits until they are done; `false` when the session
    /// has ended.
    pub fn run(&mut self, sql: &str) -> bool {
        let said = writeln!(self.input, "{sql};\n\\echo done").and_then(|()| self.input.flush());
        let mut line = String::new();
        while said.is_ok() && line != "done\n" {
            line.clear();
            if !matches!(self.output.read_line(&mut line), Ok(1..)) {
                return false;
            }
        }
        said.is_ok()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
