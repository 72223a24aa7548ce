//! One thread of the load: an epoll loop over its connections. In the steady state a request costs a
//! write, a read and its share of a wait, and allocates nothing.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use flashsale::telemetry::Outcome;
use flashsale::types::CheckoutCode;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::thread::set_current_timer_slack;
use rustix::time::Timespec;

use super::answer::{self, Kind, Response, string_after};
use super::connection::{Connection, Pending, Received};
use super::journey::{Journey, Script};
use super::plan::{Mode, Plan};
use super::record::Record;
use super::recorder::{Loss, Moments, Recorder};
use super::schedule::Schedule;
use super::second::Second;

/// The time from one check of the connections to the next, in nanoseconds.
const TICK_NS: u64 = 50_000_000;
/// Most events that one wait gives.
const EVENTS_MAX: usize = 256;

/// The result of a thread.
pub(super) struct Left {
    pub(super) record: Record,
    /// The codes of a preparing script.
    pub(super) codes: Vec<CheckoutCode>,
    /// The time of the last answer, in nanoseconds.
    pub(super) last_answer_ns: u64,
    /// Connections that have ended well. They are closed with this, when nothing is measured any more.
    _connections: Vec<Option<Connection>>,
}

/// One thread's load.
pub(super) struct Generator {
    plan: Plan,
    begin: Instant,
    epoll: OwnedFd,
    /// `None`: closed, to be opened again.
    connections: Vec<Option<Connection>>,
    /// The connections without a request, the one that has been free for longest first.
    free: VecDeque<usize>,
    /// `None` in a closed loop.
    schedule: Option<Schedule>,
    /// The time at which the next arrival is due.
    next_due: Option<u64>,
    /// Arrivals that wait for a connection, with the moments at which they were due.
    queue: VecDeque<u64>,
    queue_max: usize,
    script: Script,
    recorder: Recorder,
    in_flight: usize,
    /// A connection has ended, and is to be opened again at once.
    has_closed: bool,
    /// The script has no more journeys.
    exhausted: bool,
    last_answer_ns: u64,
}

impl Generator {
    /// Opens the connections of thread `lane`.
    pub(super) fn open(
        plan: &Plan,
        lane: usize,
        script: Script,
        seconds: Sender<Second>,
    ) -> io::Result<Self> {
        let lanes = plan.threads;
        let count = plan.connections / lanes + usize::from(lane < plan.connections % lanes);
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let connections: io::Result<Vec<_>> = (0..count)
            .map(|index| {
                let connection = Connection::open(plan.address, plan.source(index * lanes + lane))?;
                register(&epoll, &connection, index)?;
                Ok(Some(connection))
            })
            .collect();
        let (schedule, queue_max) = match plan.mode {
            Mode::Closed => (None, 0),
            Mode::Open {
                rate,
                arrivals,
                shape,
                queue,
            } => {
                let lane = (lane, lanes);
                let kind = (arrivals, shape);
                let schedule = Schedule::new(kind, rate, plan.duration, lane, plan.seed);
                (Some(schedule), queue.div_ceil(lanes))
            }
        };
        Ok(Self {
            begin: Instant::now(),
            epoll,
            connections: connections?,
            free: (0..count).collect(),
            schedule,
            next_due: None,
            queue: VecDeque::with_capacity(queue_max),
            queue_max,
            script,
            recorder: Recorder::new(nanoseconds(plan.late), seconds),
            in_flight: 0,
            has_closed: false,
            exhausted: false,
            last_answer_ns: 0,
            plan: plan.clone(),
        })
    }

    /// Runs from `begin` to the last answer.
    pub(super) fn run(mut self, begin: Instant) -> io::Result<Left> {
        self.begin = begin;
        // By default a sleep may take 50 microseconds longer.
        set_current_timer_slack(NonZeroU64::new(1))?;
        std::thread::sleep(begin.saturating_duration_since(Instant::now()));
        self.draw_next();
        if self.schedule.is_none() {
            self.start_all();
        }
        let mut events = Vec::with_capacity(EVENTS_MAX);
        let mut next_tick = TICK_NS;
        loop {
            let now = self.now();
            self.admit(now);
            if now >= next_tick || mem::take(&mut self.has_closed) {
                self.tick(now);
                next_tick = now + TICK_NS;
            }
            if self.is_over(now) {
                return Ok(self.finish());
            }
            self.wait(now, next_tick, &mut events)?;
            for event in events.drain(..) {
                self.handle(event.data.u64() as usize, event.flags);
                self.admit(self.now());
            }
        }
    }

    fn now(&self) -> u64 {
        nanoseconds(self.begin.elapsed())
    }

    fn start_all(&mut self) {
        // So many connections that this takes longer than the run may be free again at once.
        for index in std::mem::take(&mut self.free) {
            self.ready(index, self.now());
        }
    }

    fn draw_next(&mut self) {
        self.next_due = self
            .schedule
            .as_mut()
            .and_then(Schedule::next)
            .map(nanoseconds);
    }

    /// Takes in the arrivals that are due.
    fn admit(&mut self, now: u64) {
        while let Some(due) = self.next_due
            && due <= now
        {
            self.recorder.planned();
            if let Some(index) = self.free.pop_front() {
                self.begin_journey(index, due);
            } else if self.queue.len() < self.queue_max {
                self.queue.push_back(due);
            } else if self.has_connection() {
                self.recorder.not_sent(1, |causes| &mut causes.queue_full);
            } else {
                self.recorder
                    .not_sent(1, |causes| &mut causes.no_connection);
            }
            self.draw_next();
        }
    }

    fn wait(&self, now: u64, next_tick: u64, events: &mut Vec<Event>) -> io::Result<()> {
        let until = self.next_due.map_or(next_tick, |due| due.min(next_tick));
        let left = Duration::from_nanos(until.saturating_sub(now));
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        match epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(events),
            Some(&timeout),
        ) {
            Err(Errno::INTR) | Ok(_) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn handle(&mut self, index: usize, flags: EventFlags) {
        let Some(connection) = &mut self.connections[index] else {
            return;
        };
        if connection.connecting {
            return match connection.connected() {
                Ok(()) => {
                    self.recorder.record.reconnected += 1;
                    self.ready(index, self.now());
                }
                Err(_) => self.connect_failed(index),
            };
        }
        let ended = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        if connection.pending.is_none() {
            if ended || flags.contains(EventFlags::IN) {
                self.close(index, Loss::Disconnected);
            }
            return;
        }
        if connection.flush().is_err() {
            return self.close(index, Loss::Disconnected);
        }
        match connection.receive(ended) {
            Received::Part => {}
            Received::Whole(response) => self.answered(index, response, ended),
            Received::Closed => self.close(index, Loss::Disconnected),
            Received::Malformed => self.close(index, Loss::Malformed),
        }
    }

    fn answered(&mut self, index: usize, response: Response, ended: bool) {
        let now = self.now();
        self.last_answer_ns = now;
        let Some(connection) = &mut self.connections[index] else {
            return;
        };
        let Some(mut pending) = connection.pending.take() else {
            return;
        };
        connection.free_since = now;
        self.in_flight -= 1;
        let (kind, status, body) = (pending.kind, response.status, connection.body(response));
        let outcome = answer::outcome(kind, status, body).filter(|&outcome| {
            understand(
                outcome,
                body,
                &mut pending.journey,
                &mut self.script,
                &mut self.recorder,
            )
        });
        if outcome.is_none() {
            self.recorder.unknown(kind, status, body);
        }
        self.recorder.answered(kind, pending.moments, now, outcome);
        let Pending {
            mut journey,
            journey_planned,
            ..
        } = pending;
        let next = journey.advance();
        if next.is_none() {
            self.recorder.journey_over(journey_planned, now);
        }
        match next {
            _ if response.close || ended => {
                if next.is_some() {
                    self.recorder.cut_short();
                }
                self.close(index, Loss::Disconnected);
            }
            Some(kind) => self.send(index, kind, journey, (now, journey_planned)),
            None => self.ready(index, now),
        }
    }

    /// A connection is free.
    fn ready(&mut self, index: usize, now: u64) {
        if let Some(connection) = &mut self.connections[index] {
            connection.free_since = now;
        }
        let in_time = now < nanoseconds(self.plan.duration);
        if self.schedule.is_none() && in_time && !self.exhausted {
            self.begin_journey(index, now);
        } else if let Some(due) = self.queue.pop_front() {
            self.begin_journey(index, due);
        } else {
            self.free.push_back(index);
        }
    }

    fn begin_journey(&mut self, index: usize, due: u64) {
        match self.script.begin() {
            Some(journey) => {
                if self.schedule.is_none() {
                    self.recorder.planned();
                }
                if let Some(kind) = journey.kind() {
                    self.send(index, kind, journey, (due, due));
                }
            }
            None => {
                self.exhausted = true;
                self.recorder.record.exhausted = true;
                // Those who wait find nothing, either.
                let waiting = self.queue.drain(..).count() as u64;
                let arrivals = waiting + u64::from(self.schedule.is_some());
                self.recorder
                    .not_sent(arrivals, |causes| &mut causes.nothing_left);
                self.free.push_back(index);
            }
        }
    }

    fn send(
        &mut self,
        index: usize,
        kind: Kind,
        journey: Journey,
        (mut planned, journey_planned): (u64, u64),
    ) {
        let sent = self.now();
        let Some(connection) = &mut self.connections[index] else {
            return;
        };
        let is_first = planned == journey_planned;
        if self.schedule.is_none() {
            // Nothing is planned ahead in a closed loop.
            (planned, connection.free_since) = (sent, sent);
        }
        let free_since = connection.free_since;
        let moments = Moments {
            planned,
            free_since,
            sent,
        };
        self.script.write(&journey, connection.clear());
        self.recorder.sent(moments, is_first);
        connection.pending = Some(Pending {
            kind,
            moments,
            journey,
            journey_planned,
        });
        self.in_flight += 1;
        if connection.flush().is_err() {
            self.close(index, Loss::Disconnected);
        }
    }

    /// Lets a connection go, and with it the request that waits on it.
    fn close(&mut self, index: usize, loss: Loss) {
        let Some(connection) = self.connections[index].take() else {
            return;
        };
        self.free.retain(|&free| free != index);
        self.has_closed = true;
        if let Some(pending) = connection.pending {
            self.in_flight -= 1;
            self.recorder.lost(loss);
            if let (Kind::Purchase, Some((code, units))) =
                (pending.kind, pending.journey.checkout())
            {
                self.recorder.record.receipts.lose(code, units);
            }
        }
    }

    fn connect_failed(&mut self, index: usize) {
        self.recorder.record.connect_failed += 1;
        self.connections[index] = None;
    }

    /// Opens connections again, gives up on answers that take too long, and hands a second over.
    fn tick(&mut self, now: u64) {
        for index in 0..self.connections.len() {
            let pending = self.connections[index]
                .as_ref()
                .map(|it| it.pending.as_ref());
            let timeout = nanoseconds(self.plan.timeout);
            match pending {
                None => self.reopen(index),
                Some(Some(pending)) if now > pending.moments.sent + timeout => {
                    self.close(index, Loss::TimedOut);
                }
                Some(_) => {}
            }
        }
        self.recorder.turn(now, self.in_flight);
    }

    fn reopen(&mut self, index: usize) {
        let source = self.plan.source(index);
        let opened = Connection::begin(self.plan.address, source).and_then(|connection| {
            register(&self.epoll, &connection, index)?;
            Ok(connection)
        });
        match opened {
            Ok(connection) => self.connections[index] = Some(connection),
            Err(_) => self.connect_failed(index),
        }
    }

    /// Returns whether any connection is open.
    fn has_connection(&self) -> bool {
        let mut connections = self.connections.iter().flatten();
        connections.any(|connection| !connection.connecting)
    }

    fn is_over(&self, now: u64) -> bool {
        let end = nanoseconds(self.plan.duration);
        let idle = self.in_flight == 0 && self.queue.is_empty() && self.next_due.is_none();
        let exhausted = self.exhausted && self.schedule.is_none();
        idle && (now >= end || exhausted) || now >= end + nanoseconds(self.plan.timeout)
    }

    fn finish(mut self) -> Left {
        let now = self.now();
        let waiting = self.queue.len() as u64;
        if self.has_connection() {
            self.recorder
                .not_sent(waiting, |causes| &mut causes.run_over);
        } else {
            self.recorder
                .not_sent(waiting, |causes| &mut causes.no_connection);
        }
        for index in 0..self.connections.len() {
            if self.connections[index]
                .as_ref()
                .is_some_and(|it| it.pending.is_some())
            {
                self.close(index, Loss::TimedOut);
            }
        }
        self.recorder.turn(now, 0);
        Left {
            record: self.recorder.finish(),
            codes: self.script.into_collected(),
            last_answer_ns: self.last_answer_ns,
            _connections: self.connections,
        }
    }
}

/// Takes from an answer what the journey needs and the audit wants; `false` when it is not there.
fn understand(
    outcome: Outcome,
    body: &[u8],
    journey: &mut Journey,
    script: &mut Script,
    recorder: &mut Recorder,
) -> bool {
    match outcome {
        Outcome::Accepted => {
            let code = string_after(body, b"\"code\":\"")
                .and_then(|code| std::str::from_utf8(code).ok()?.parse().ok());
            code.map(|code| {
                journey.checked_out(code);
                script.collect(code);
            })
            .is_some()
        }
        Outcome::Sold => journey
            .checkout()
            .is_some_and(|(code, _)| recorder.record.receipts.keep(code, body)),
        _ => true,
    }
}

fn register(epoll: &OwnedFd, connection: &Connection, index: usize) -> io::Result<()> {
    let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
    let data = EventData::new_u64(index as u64);
    Ok(epoll::add(epoll, connection.socket(), data, flags)?)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
