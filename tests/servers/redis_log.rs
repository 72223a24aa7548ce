//! The append-only file of a real Redis, to be torn where a power cut would.

use std::fs;
use std::path::PathBuf;

use crate::redis_server::RedisServer;

/// Settings of a Redis that has one, and never writes it anew.
pub const LOGGED: [&str; 3] = [
    "appendonly yes",
    "appendfsync always",
    "auto-aof-rewrite-percentage 0",
];

const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";

/// Where it is.
pub fn path(server: &RedisServer) -> PathBuf {
    let dir = server.dir().join("appendonlydir");
    let mut files = fs::read_dir(dir).expect("a log").flatten();
    let is_log = |name: &str| name.ends_with(".incr.aof");
    let file = files.find(|file| is_log(&file.file_name().to_string_lossy()));
    file.expect("a log").path()
}

/// Reads the log.
pub fn read(server: &RedisServer) -> Vec<u8> {
    fs::read(path(server)).expect("a log")
}

/// Kills the server and starts it with `log` instead of its own.
pub fn restart_with(server: &mut RedisServer, log: &[u8]) {
    let path = path(server);
    server.kill_9();
    fs::write(path, log).expect("writable");
    server.restart();
}

/// Where the last call begins that changed something.
pub fn last_call(log: &[u8]) -> usize {
    let mut places = log.windows(MULTI.len());
    places.rposition(|bytes| bytes == MULTI).expect("a call")
}

/// Where each command ends from the one on that begins at `start`.
pub fn ends_of_commands(log: &[u8], start: usize) -> Vec<usize> {
    let (mut at, mut ends) = (start, Vec::new());
    let number = |at: &mut usize| {
        let rest = &log[*at..];
        let length = rest.iter().position(|&byte| byte == b'\r');
        let length = length.expect("a line");
        *at += length + 2;
        let digits = std::str::from_utf8(&rest[1..length]).expect("ASCII");
        digits.parse::<usize>().expect("a number")
    };
    while at < log.len() {
        for _ in 0..number(&mut at) {
            at += number(&mut at) + 2;
        }
        ends.push(at);
    }
    ends
}
