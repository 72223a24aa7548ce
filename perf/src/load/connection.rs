//! One connection: its socket, its buffers, and the journey that uses it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::answer::{self, Kind, Malformed, Response};
use super::journey::Journey;
use super::recorder::Moments;

/// Bytes that a response may have at first; longer ones make the buffer grow.
const INPUT_BYTES: usize = 16 * 1024;
/// Longest response.
const INPUT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The time that the first connections may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A request on its way.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) kind: Kind,
    pub(super) moments: Moments,
    pub(super) journey: Journey,
    /// The time at which the journey was due.
    pub(super) journey_planned: u64,
}

/// The meaning of the bytes received so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// Not yet a whole response.
    Part,
    /// A whole one.
    Whole(Response),
    /// The server has closed the connection.
    Closed,
    /// Something else.
    Malformed,
}

/// A connection that is open or about to be.
#[derive(Debug)]
pub(super) struct Connection {
    socket: TcpStream,
    pub(super) connecting: bool,
    pub(super) pending: Option<Pending>,
    /// Since when it could take a request.
    pub(super) free_since: u64,
    input: Vec<u8>,
    filled: usize,
    pub(super) output: Vec<u8>,
    written: usize,
}

/// Opens a connection to `address` and waits for it; from `source`, where it is to be a certain one of this machine's
/// addresses.
///
/// # Errors
/// An error of the operating system, or no answer in time.
pub fn connect(address: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = new_socket(address, source)?;
    socket.connect_timeout(&address.into(), CONNECT_TIMEOUT)?;
    Ok(socket.into())
}

fn new_socket(address: SocketAddr, source: Option<IpAddr>) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if let Some(source) = source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    Ok(socket)
}

impl Connection {
    /// Opens one and waits for it.
    pub(super) fn open(address: SocketAddr, source: Option<IpAddr>) -> io::Result<Self> {
        let socket = connect(address, source)?;
        socket.set_nonblocking(true)?;
        Self::over(socket, false)
    }

    /// Begins to open one.
    pub(super) fn begin(address: SocketAddr, source: Option<IpAddr>) -> io::Result<Self> {
        let socket = new_socket(address, source)?;
        socket.set_nonblocking(true)?;
        match socket.connect(&address.into()) {
            Err(error)
                if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) =>
            {
                Err(error)
            }
            _ => Self::over(socket.into(), true),
        }
    }

    fn over(socket: TcpStream, connecting: bool) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        Ok(Self {
            socket,
            connecting,
            pending: None,
            free_since: 0,
            input: vec![0; INPUT_BYTES],
            filled: 0,
            output: Vec::with_capacity(512),
            written: 0,
        })
    }

    pub(super) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Returns whether the attempt to connect has succeeded.
    pub(super) fn connected(&mut self) -> io::Result<()> {
        if let Some(error) = self.socket.take_error()? {
            return Err(error);
        }
        self.socket.peer_addr()?;
        self.connecting = false;
        Ok(())
    }

    /// Makes room for the bytes of the next request.
    pub(super) fn clear(&mut self) -> &mut Vec<u8> {
        (self.filled, self.written) = (0, 0);
        self.output.clear();
        &mut self.output
    }

    /// Sends as much as the socket takes; the rest when it takes more.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while self.written < self.output.len() {
            match (&self.socket).write(&self.output[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads what has come. `ended` says that the other side has said its last.
    pub(super) fn receive(&mut self, ended: bool) -> Received {
        loop {
            if self.filled == self.input.len() {
                if self.filled >= INPUT_BYTES_MAX {
                    return Received::Malformed;
                }
                self.input.resize(self.filled * 2, 0);
            }
            let room = self.input.len() - self.filled;
            match (&self.socket).read(&mut self.input[self.filled..]) {
                Ok(0) => return Received::Closed,
                Ok(count) => {
                    self.filled += count;
                    let received = self.parse_received();
                    // Less than there was room for: nothing is left, unless it is the end.
                    if received != Received::Part || (count < room && !ended) {
                        return received;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Received::Part,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Received::Closed,
            }
        }
    }

    fn parse_received(&self) -> Received {
        match answer::parse(&self.input[..self.filled]) {
            Ok(None) => Received::Part,
            Ok(Some(response)) if response.body.1 > self.filled => Received::Part,
            Ok(Some(response)) if response.body.1 == self.filled => Received::Whole(response),
            // More than was asked for.
            Ok(Some(_)) | Err(Malformed::NotHttp | Malformed::NoLength) => Received::Malformed,
        }
    }

    /// The body of a response.
    pub(super) fn body(&self, response: Response) -> &[u8] {
        &self.input[response.body.0..response.body.1]
    }
}
