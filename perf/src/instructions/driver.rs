//! A client that sends one request on each of its connections and then reads all answers, again and again: what a worker
//! finds in a turn of its event loop depends on the server's speed as little as can be.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// How long an answer may take. A program runs about fifty times slower under callgrind.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most headers of an answer.
const HEADERS_MAX: usize = 32;

/// The connections.
pub struct Driver {
    address: SocketAddr,
    connections: Vec<TcpStream>,
}

/// An answer.
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Driver {
    /// Opens `connections` to `address`.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn connect(address: SocketAddr, connections: u32) -> Result<Self> {
        let open = |_| -> Result<TcpStream> {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok(stream)
        };
        let connections = (0..connections).map(open).collect::<Result<_>>();
        Ok(Self {
            address,
            connections: connections.with_context(|| format!("connecting to {address}"))?,
        })
    }

    /// Sends the requests with these first lines, such as `GET /livez`, and passes each answer to `take`.
    ///
    /// # Errors
    /// There is no answer, or it is not HTTP/1.1 with a length; an error of `take`.
    pub fn ask(
        &mut self,
        requests: impl IntoIterator<Item = String>,
        mut take: impl FnMut(Answer) -> Result<()>,
    ) -> Result<()> {
        let mut requests = requests.into_iter();
        loop {
            let mut sent = 0;
            for (stream, request) in self.connections.iter_mut().zip(requests.by_ref()) {
                let head = format!("{request} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
                stream.write_all(head.as_bytes())?;
                sent += 1;
            }
            for stream in &mut self.connections[..sent] {
                take(read_answer(stream)?)?;
            }
            if sent < self.connections.len() {
                return Ok(());
            }
        }
    }
}

fn read_answer(stream: &mut impl Read) -> Result<Answer> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut piece).context("waiting for an answer")?;
        if length == 0 {
            bail!("the connection was closed before the answer");
        }
        bytes.extend_from_slice(&piece[..length]);
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut head = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(head_bytes) = head.parse(&bytes)? else {
            continue;
        };
        let status = head.code.context("an answer has a status")?;
        let is_length = |name: &str| name.eq_ignore_ascii_case("content-length");
        let given = head.headers.iter().find(|header| is_length(header.name));
        let given = given.context("the answer has no length")?.value;
        let body_bytes: usize = std::str::from_utf8(given)?.parse()?;
        if bytes.len() >= head_bytes + body_bytes {
            let body = bytes.split_off(head_bytes);
            return Ok(Answer { status, body });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_length_says() {
        let mut stream = &b"HTTP/1.1 409 Conflict\r\nContent-Length: 4\r\n\r\n{\"\"}"[..];
        let answer = read_answer(&mut stream).expect("an answer");
        assert_eq!((answer.status, &*answer.body), (409, &b"{\"\"}"[..]));
        let mut cut = &b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{"[..];
        assert!(read_answer(&mut cut).is_err());
    }
}
