//! The requests of clients, and the answers that they were told.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use flashsale::replication::Epoch;
use flashsale::types::{Lsn, Timestamp};

use crate::cancelled::AskedCancellation;
use crate::restocked::AskedChange;

/// A request of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// `POST /checkout`
    Checkout {
        /// The user.
        user: u64,
        /// The item's id.
        item: String,
        /// Units.
        quantity: u32,
        /// The sale, where it is named.
        sale: Option<u32>,
        /// The key.
        key: Option<u64>,
    },
    /// `POST /purchase`
    Purchase {
        /// The code.
        code: String,
        /// The key.
        key: Option<u64>,
    },
    /// `POST /release`
    Release {
        /// The code.
        code: String,
        /// The item's id; `None` for all.
        item: Option<String>,
        /// Units; `None` for as many as are in the checkout.
        quantity: Option<u32>,
    },
    /// `POST /admin/sales/{id}/stock`
    Stock(AskedChange),
    /// `POST /admin/checkouts/{code}/cancel`
    Cancel(AskedCancellation),
    /// `POST /payment`
    Pay {
        /// The code.
        code: String,
    },
    /// `POST /admin/checkouts/{code}/confirm`
    Confirm {
        /// The code.
        code: String,
        /// The number of the payment.
        payment: u64,
        /// A payment that comes late is taken.
        late: bool,
    },
    /// `GET`
    Look {
        /// The path.
        path: String,
    },
}

impl Ask {
    /// Returns whether it comes with an idempotency key, or with a payment that stands for one.
    #[must_use]
    pub fn has_key(&self) -> bool {
        match self {
            Self::Checkout { key, .. } | Self::Purchase { key, .. } => key.is_some(),
            Self::Confirm { .. } => true,
            Self::Release { .. }
            | Self::Pay { .. }
            | Self::Stock(_)
            | Self::Cancel(_)
            | Self::Look { .. } => false,
        }
    }

    /// Returns a text that two requests have in common that are the same to the server: an item is in one sale only.
    #[must_use]
    pub fn identity(&self) -> String {
        match self {
            Self::Checkout {
                user,
                item,
                quantity,
                key,
                ..
            } => format!("{user} {item} {quantity} {key:?}"),
            Self::Purchase { code, key } => format!("{code} {key:?}"),
            Self::Release {
                code,
                item,
                quantity,
            } => format!("{code} {item:?} {quantity:?}"),
            Self::Stock(ask) => format!("{ask:?}"),
            Self::Cancel(ask) => format!("{ask:?}"),
            Self::Pay { code } => code.clone(),
            Self::Confirm { code, payment, .. } => format!("{code} payment {payment}"),
            Self::Look { path } => path.clone(),
        }
    }

    /// Returns the name of its route.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Checkout { .. } => "checkout",
            Self::Purchase { .. } => "purchase",
            Self::Release { .. } => "release",
            Self::Stock(_) => "stock",
            Self::Cancel(_) => "cancel",
            Self::Pay { .. } => "payment",
            Self::Confirm { .. } => "confirm",
            Self::Look { .. } => "look",
        }
    }
}

/// The server that has answered, where a log is replicated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Teller {
    /// The number of its process.
    pub process: u64,
    /// The time that it led in, as far as it knew.
    pub epoch: Epoch,
    /// For how long another one had led when it began to answer, in microseconds of its own clock; `None` where none had.
    pub stale_us: Option<u64>,
}

/// An answer, as the client received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
    /// The code of a checkout.
    pub code: Option<String>,
    /// The name of its error.
    pub error: Option<String>,
    /// The number of the event.
    pub at: u64,
    /// The time by the wall clock.
    pub time: Timestamp,
    /// The newest record that the process knew then, durable or not.
    pub newest: Lsn,
    /// Who has answered.
    pub teller: Option<Teller>,
}

impl Told {
    fn new(
        (status, body): (u16, Bytes),
        at: u64,
        time: Timestamp,
        newest: Lsn,
        teller: Option<Teller>,
    ) -> Self {
        Self {
            status,
            code: text(&body, "\"code\":\""),
            error: text(&body, "\"error\":\""),
            body,
            at,
            time,
            newest,
            teller,
        }
    }

    /// Returns the name of its error.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Returns the name of its error, or its status.
    #[must_use]
    pub fn outcome(&self) -> String {
        let error = self.error.clone();
        error.unwrap_or_else(|| self.status.to_string())
    }
}

/// Returns the text behind the first `name`. Names and codes need no escapes.
fn text(body: &[u8], name: &str) -> Option<String> {
    let body = std::str::from_utf8(body).ok()?;
    let (_, rest) = body.split_once(name)?;
    rest.split_once('"').map(|(text, _)| text.to_owned())
}

/// A request with its answer.
#[derive(Clone, Debug)]
pub struct Event {
    /// The request.
    pub ask: Ask,
    /// The number of the event with which it began.
    pub begun: u64,
    /// The time at which it began, by the wall clock.
    pub time: Timestamp,
    /// The last record that was durable then.
    pub durable: Lsn,
    /// Its answer; `None` while it is open, and for ever where nobody heard of it.
    pub told: Option<Told>,
}

/// All requests, in the order in which they began. Their beginnings and answers are numbered in one order.
#[derive(Clone, Default)]
pub struct History(Rc<RefCell<Events>>);

#[derive(Default)]
struct Events {
    events: Vec<Event>,
    next: u64,
}

impl History {
    /// Notes that a request begins. Returns its place.
    #[must_use]
    pub fn begin(&self, ask: Ask, time: Timestamp, durable: Lsn) -> usize {
        let events = &mut *self.0.borrow_mut();
        events.next += 1;
        events.events.push(Event {
            ask,
            begun: events.next,
            time,
            durable,
            told: None,
        });
        events.events.len() - 1
    }

    /// Notes the answer to the request at `place`, of a process whose newest record is `newest`.
    pub fn answer(
        &self,
        place: usize,
        answer: (u16, Bytes),
        time: Timestamp,
        newest: Lsn,
        teller: Option<Teller>,
    ) {
        let events = &mut *self.0.borrow_mut();
        events.next += 1;
        let at = events.next;
        events.events[place].told = Some(Told::new(answer, at, time, newest, teller));
    }

    /// Returns what `look` makes of all requests so far.
    pub fn with<T>(&self, look: impl FnOnce(&[Event]) -> T) -> T {
        look(&self.0.borrow().events)
    }
}
