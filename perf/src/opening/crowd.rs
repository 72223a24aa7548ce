//! A crowd of clients that all come at one moment: each connects, checks an item out and purchases it, as fast as it is
//! answered.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use flashsale::telemetry::Outcome;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::thread::set_current_timer_slack;
use rustix::time::Timespec;
use socket2::{Domain, Protocol, Socket, Type};

use super::tally::{Failure, Tally};
use crate::load::answer::{self, Class, Kind, Response, class, string_after};

/// Threads of the crowd.
const THREADS: usize = 2;
/// Addresses that the clients come from: 127.0.0.2 and those behind it.
const SOURCES: usize = 8;
/// How long answers are waited for, from the moment at which all come.
const PATIENCE: Duration = Duration::from_secs(30);
/// Most events that one wait gives.
const EVENTS_MAX: usize = 256;
/// Bytes that are read at once: more than an answer has.
const READ_BYTES: usize = 4096;

/// A crowd before it has sockets.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// The server.
    pub address: SocketAddr,
    /// The sale, of whose items each client wants another one.
    pub sale: u32,
    /// Clients.
    pub clients: usize,
}

/// A crowd whose sockets are there, and not yet connected.
pub struct Crowd {
    lanes: Vec<Lane>,
}

impl Crowd {
    /// Prepares all clients.
    ///
    /// # Errors
    /// There cannot be so many sockets.
    pub fn prepare(wish: Wish) -> io::Result<Self> {
        let lanes = (0..THREADS).map(|lane| Lane::prepare(wish, lane));
        Ok(Self {
            lanes: lanes.collect::<io::Result<_>>()?,
        })
    }

    /// Connects all clients at `begin`, and waits until they are answered.
    ///
    /// # Errors
    /// Events of the sockets cannot be waited for.
    pub fn rush(self, begin: Instant) -> io::Result<Tally> {
        thread::scope(|scope| {
            let spawn = |lane: Lane| scope.spawn(move || lane.rush(begin));
            let threads: Vec<_> = self.lanes.into_iter().map(spawn).collect();
            let mut all = Tally::default();
            for thread in threads {
                all.merge(&thread.join().expect("a crowd does not panic")?);
            }
            Ok(all)
        })
    }
}

/// The stage of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Connecting,
    Checkout,
    Purchase,
}

struct Client {
    number: usize,
    socket: TcpStream,
    step: Step,
    input: Vec<u8>,
}

/// The clients of one thread.
struct Lane {
    wish: Wish,
    /// The bytes that every request ends with.
    tail: String,
    epoll: OwnedFd,
    /// `None` once a client is done.
    clients: Vec<Option<Client>>,
    waiting: usize,
    tally: Tally,
}

impl Lane {
    fn prepare(wish: Wish, lane: usize) -> io::Result<Self> {
        let numbers = (lane..wish.clients).step_by(THREADS);
        let clients: io::Result<Vec<_>> = numbers.map(|it| Client::prepare(it).map(Some)).collect();
        let clients = clients?;
        Ok(Self {
            wish,
            tail: format!(" HTTP/1.1\r\nHost: {}\r\n\r\n", wish.address),
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            waiting: clients.len(),
            clients,
            tally: Tally::default(),
        })
    }

    fn rush(mut self, begin: Instant) -> io::Result<Tally> {
        // By default a sleep may take 50 microseconds longer.
        set_current_timer_slack(NonZeroU64::new(1))?;
        thread::sleep(begin.saturating_duration_since(Instant::now()));
        for index in 0..self.clients.len() {
            self.connect(index)?;
        }
        let mut events = Vec::with_capacity(EVENTS_MAX);
        while self.waiting > 0 {
            let left = (begin + PATIENCE).saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.wait(left, &mut events)?;
            for event in events.drain(..) {
                let index = event.data.u64() as usize;
                if let Err(failure) = self.handle(index, begin) {
                    self.tally.failed(failure);
                    self.done(index);
                }
            }
        }
        self.tally.unanswered += self.waiting as u64;
        Ok(self.tally)
    }

    fn connect(&mut self, index: usize) -> io::Result<()> {
        let Some(client) = &self.clients[index] else {
            return Ok(());
        };
        let connected = socket2::SockRef::from(&client.socket).connect(&self.wish.address.into());
        if connected
            .is_err_and(|error| error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()))
        {
            self.tally.failed(Failure::Connection);
            self.done(index);
            return Ok(());
        }
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        let data = EventData::new_u64(index as u64);
        Ok(epoll::add(&self.epoll, &client.socket, data, flags)?)
    }

    fn wait(&self, left: Duration, events: &mut Vec<Event>) -> io::Result<()> {
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let room = rustix::buffer::spare_capacity(events);
        match epoll::wait(&self.epoll, room, Some(&timeout)) {
            Err(Errno::INTR) | Ok(_) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends and receives what a client can now.
    fn handle(&mut self, index: usize, begin: Instant) -> Result<(), Failure> {
        let Some(client) = &mut self.clients[index] else {
            return Ok(());
        };
        if client.step == Step::Connecting {
            if !client.is_connected()? {
                return Ok(());
            }
            self.tally.connected += 1;
            client.step = Step::Checkout;
            return client.send(&self.wish, &self.tail, None);
        }
        let Some(response) = client.receive()? else {
            return Ok(());
        };
        let kind = match client.step {
            Step::Purchase => Kind::Purchase,
            _ => Kind::Checkout,
        };
        let body = &client.input[response.body.0..response.body.1];
        let outcome = answer::outcome(kind, response.status, body);
        self.tally.answered(kind, outcome, response.status);
        let code = string_after(body, b"\"code\":\"").map(<[u8]>::to_owned);
        client.input.clear();
        match (outcome, code) {
            (Some(Outcome::Accepted), Some(code)) => {
                client.step = Step::Purchase;
                client.send(&self.wish, &self.tail, Some(&code))
            }
            // The clocks of both agree, but the server opens a sale when it gets to it.
            (Some(Outcome::SaleNotActive), _) => client.send(&self.wish, &self.tail, None),
            _ => {
                if class(outcome) == Class::Ok {
                    self.tally.bought(begin.elapsed());
                }
                self.done(index);
                Ok(())
            }
        }
    }

    /// Closes the connection of a client that has nothing to wait for.
    fn done(&mut self, index: usize) {
        self.clients[index] = None;
        self.waiting -= 1;
    }
}

impl Client {
    fn prepare(number: usize) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        let last = u8::try_from(2 + number % SOURCES).expect("there are few");
        let source = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0));
        socket.bind(&source.into())?;
        Ok(Self {
            number,
            socket: socket.into(),
            step: Step::Connecting,
            input: Vec::new(),
        })
    }

    fn is_connected(&self) -> Result<bool, Failure> {
        if !matches!(self.socket.take_error(), Ok(None)) {
            return Err(Failure::Connection);
        }
        match self.socket.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(_) => Err(Failure::Connection),
        }
    }

    /// Sends a checkout, or the purchase of `code`.
    fn send(&mut self, wish: &Wish, tail: &str, code: Option<&[u8]>) -> Result<(), Failure> {
        let (number, sale) = (self.number, wish.sale);
        let mut request = match code {
            Some(code) => [b"POST /purchase?code=", code].concat(),
            None => format!("POST /checkout?user_id=client-{number}&id=ITM-{sale}-{number}")
                .into_bytes(),
        };
        request.extend_from_slice(tail.as_bytes());
        // A socket without anything unsent takes so little at once.
        match self.socket.write(&request) {
            Ok(count) if count == request.len() => Ok(()),
            _ => Err(Failure::Connection),
        }
    }

    /// Reads what has come; nothing while the answer is not whole.
    fn receive(&mut self) -> Result<Option<Response>, Failure> {
        let mut bytes = [0; READ_BYTES];
        loop {
            match self.socket.read(&mut bytes) {
                Ok(0) => return Err(Failure::Connection),
                Ok(count) => self.input.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(_) => return Err(Failure::Connection),
            }
            match answer::parse(&self.input) {
                Ok(Some(response)) if response.body.1 == self.input.len() => {
                    return Ok(Some(response));
                }
                Ok(Some(response)) if response.body.1 < self.input.len() => {
                    return Err(Failure::Malformed);
                }
                Ok(_) => {}
                Err(_) => return Err(Failure::Malformed),
            }
        }
    }
}
