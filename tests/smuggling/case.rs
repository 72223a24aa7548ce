//! One case: what is sent, and what must come of it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

use crate::server::{PATIENCE, Server};

/// A request that nobody may execute unless its case says so.
pub const SMUGGLED: &str = "POST /checkout?user_id=<user>&id=ITM-1-1 HTTP/1.1\r\nHost: a\r\n\r\n";

/// The answer to what is no request, or could be two.
pub const MALFORMED: &[&str] = &["400 Bad Request: malformed_request"];

/// The bytes that are sent on a new connection, and the expected result.
#[derive(Clone)]
pub struct Case {
    name: String,
    /// Each character is one byte. `<user>` stands for a user of the case's own.
    sent: String,
    /// Status lines, each with the `error` of an answer behind it.
    answers: Vec<String>,
    /// Checkouts that were executed.
    executed: u64,
    /// Whether the server closes; otherwise it must take another request.
    closes: bool,
    /// Whether the client ends its side behind what it sends.
    finishes: bool,
}

impl Case {
    /// A case in which all that is sent is refused, and the connection closed.
    pub fn refused(name: &str, sent: impl Into<String>) -> Self {
        Self::closed(name, sent, MALFORMED)
    }

    /// A case with these answers, behind which the connection is closed. Nothing is executed.
    pub fn closed(name: &str, sent: impl Into<String>, answers: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            sent: sent.into().replace("<smuggled>", SMUGGLED),
            answers: answers.iter().map(|&answer| answer.to_owned()).collect(),
            executed: 0,
            closes: true,
            finishes: false,
        }
    }

    /// A case with these answers, behind which the connection goes on. Nothing is executed.
    pub fn open(name: &str, sent: impl Into<String>, answers: &[&str]) -> Self {
        Self {
            closes: false,
            ..Self::closed(name, sent, answers)
        }
    }

    /// Expects this number of executed checkouts.
    pub fn executing(self, executed: u64) -> Self {
        Self { executed, ..self }
    }

    /// Lets the client end its side.
    pub fn finished(self) -> Self {
        Self {
            finishes: true,
            ..self
        }
    }

    fn bytes(&self, user: &str) -> Vec<u8> {
        let sent = self.sent.replace("<user>", user);
        let byte = |char| u8::try_from(u32::from(char)).expect("a byte");
        sent.chars().map(byte).collect()
    }

    fn try_on(&self, connection: &mut dyn Connection, user: &str) -> Result<(), String> {
        let broken = |error: io::Error| format!("{error}");
        // It may be closed before all is sent.
        let _ = connection.write_all(&self.bytes(user));
        if self.finishes {
            connection.finish().map_err(broken)?;
        }
        let mut answers = Answers::of(connection);
        for expected in &self.answers {
            let answer = answers
                .next()
                .map_err(|error| format!("{expected}: {error}"))?;
            if answer != *expected {
                return Err(format!("{answer:?} instead of {expected:?}"));
            }
        }
        if !self.closes {
            let another = b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
            answers.connection.write_all(another).map_err(broken)?;
            let answer = answers
                .next()
                .map_err(|error| format!("another request: {error}"))?;
            if answer != "200 OK" {
                return Err(format!("{answer:?} to another request"));
            }
        }
        let more = answers
            .rest()
            .map_err(|error| format!("not closed: {error}"))?;
        match more.is_empty() {
            true => Ok(()),
            false => Err(format!("then came {:?}", String::from_utf8_lossy(&more))),
        }
    }
}

/// How many items `user` has chosen, seen by choosing one more.
fn executed(connection: &mut dyn Connection, user: &str) -> u64 {
    let request = format!(
        "POST /checkout?user_id={user}&id=ITM-1-9 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    );
    connection.write_all(request.as_bytes()).expect("connected");
    let answer = Answers::of(connection).rest().expect("an answer");
    let answer = String::from_utf8(answer).expect("UTF-8");
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
    let json: serde_json::Value = serde_json::from_str(body.expect("a body")).expect("JSON");
    let count = json["items_count"].as_u64();
    count.unwrap_or_else(|| panic!("{answer}")) - 1
}

/// Tries all cases on connections of `connect`; panics with all that went wrong.
#[track_caller]
pub fn try_all<C: Connection>(server: &Server, cases: &[Case], connect: impl Fn(&Server) -> C) {
    let mut wrong = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        let user = format!("user-{index}");
        let tried = case.try_on(&mut connect(server), &user);
        let executed = executed(&mut connect(server), &user);
        if let Err(what) = tried {
            wrong.push(format!("{}: {what}", case.name));
        }
        if executed != case.executed {
            wrong.push(format!(
                "{}: {executed} instead of {}",
                case.name, case.executed
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

/// Tries all cases on plain connections to a server of their own.
#[track_caller]
pub fn try_plain(cases: &[Case]) {
    try_all(&server(), cases, connect);
}

pub fn server() -> Server {
    Server::start(&[("SALE_TOTAL_ITEMS", "10"), ("JOURNAL_DURABILITY", "os")])
}

/// A new connection as it is.
pub fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.addr()).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time");
    stream.set_nodelay(true).expect("a TCP socket");
    stream
}

/// What bytes are sent over.
pub trait Connection: Read + Write {
    /// Says that nothing more will be sent.
    fn finish(&mut self) -> io::Result<()>;
}

impl Connection for TcpStream {
    fn finish(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

/// The answers that come, one after the other.
struct Answers<'a> {
    connection: &'a mut dyn Connection,
    unread: Vec<u8>,
}

impl<'a> Answers<'a> {
    fn of(connection: &'a mut dyn Connection) -> Self {
        Self {
            connection,
            unread: Vec::new(),
        }
    }

    /// The status line of the next answer, and the name in its body when it is an error.
    fn next(&mut self) -> io::Result<String> {
        let head_length = loop {
            match self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => self.read_more()?,
            }
        };
        let head = String::from_utf8_lossy(&self.unread[..head_length]).into_owned();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().expect("a length"));
        while self.unread.len() < head_length + length {
            self.read_more()?;
        }
        let answer: Vec<u8> = self.unread.drain(..head_length + length).collect();
        let status = head.lines().next().unwrap_or_default();
        let status = status
            .strip_prefix("HTTP/1.1 ")
            .or(status.strip_prefix("HTTP/1.0 "));
        let status = status.ok_or_else(|| io::Error::other(format!("no answer: {head:?}")))?;
        let body = &answer[head_length..];
        match serde_json::from_slice::<serde_json::Value>(body) {
            Ok(body) if status.starts_with(['4', '5']) => {
                let error = body["error"].as_str().unwrap_or("no error");
                Ok(format!("{status}: {error}"))
            }
            _ => Ok(status.to_owned()),
        }
    }

    fn read_more(&mut self) -> io::Result<()> {
        let mut bytes = [0; 4096];
        match self.connection.read(&mut bytes)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            length => {
                self.unread.extend_from_slice(&bytes[..length]);
                Ok(())
            }
        }
    }

    /// All that comes until the server closes. A reset is a close, too.
    fn rest(mut self) -> io::Result<Vec<u8>> {
        loop {
            match self.read_more() {
                Ok(()) => {}
                Err(error) => match error.kind() {
                    io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::BrokenPipe => return Ok(self.unread),
                    _ => return Err(error),
                },
            }
        }
    }
}

/// A checkout with more lines in its head, and what follows the head.
pub fn checkout(lines: &str, rest: &str) -> String {
    format!(
        "POST /checkout?user_id=<user>&id=ITM-1-0 HTTP/1.1\r\nHost: a\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n{lines}\r\n{rest}"
    )
}
