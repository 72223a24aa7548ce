//! The parts of the server that the requests of one worker are answered with.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use hyper::body::Bytes;
use hyper::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};

use super::admin::Administration;
use super::cors::CrossOrigin;
use super::live::broadcaster::Broadcaster;
use super::peer::Peer;
use super::problem::Problem;
use super::rates::RequestLimits;
use crate::auth::Authority;
use crate::events::EventFeed;
use crate::limiter::{Limiter, forwarding};
use crate::limits::VIEWERS_PER_WORKER_MAX;
use crate::live::Feeds;
use crate::operations::{Observer, Query, Replica, SharedBody, View};
use crate::sale::{Archive, Engine, Sale, Unavailable, WorkerCommits};
use crate::telemetry::{Outcome, WorkerTelemetry};
use crate::types::{AddressSource, ClientAddress, Lsn, SaleId};

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Answers the requests of one worker.
pub struct Api {
    pub(super) engine: Arc<Engine>,
    pub(super) archive: Arc<Archive>,
    pub(super) commits: WorkerCommits,
    pub(super) telemetry: Arc<WorkerTelemetry>,
    pub(super) broadcaster: Rc<Broadcaster>,
    pub(super) administration: Arc<Administration>,
    pub(super) observer: Arc<Observer>,
    /// The events of the journal, where they may be read.
    pub(super) events: Option<Arc<EventFeed>>,
    /// The scheme of the server's address.
    pub(super) scheme: &'static str,
    pub(super) cross_origin: CrossOrigin,
    /// The rule by which the addresses of clients are found.
    client_address: Arc<ClientAddress>,
    /// The limits of rates, where there are any.
    limiter: Option<Arc<Limiter>>,
    /// The address of the page at which buyers pay, if any.
    pub(super) payment_page: Option<Arc<str>>,
    /// The part of this server in the replication, where there is one.
    pub(super) replica: Option<Replica>,
    /// Who says who a user is; `None` where a user is who the request says.
    pub(super) authority: Option<Arc<Authority>>,
}

impl Api {
    /// Creates the interface to `engine` for the calling worker, which counts in `telemetry`. Streams show `feeds` and
    /// the samples of `observer`.
    #[must_use]
    pub fn new(
        engine: Arc<Engine>,
        archive: Arc<Archive>,
        telemetry: Arc<WorkerTelemetry>,
        feeds: Arc<Feeds>,
        administration: Arc<Administration>,
        observer: Arc<Observer>,
    ) -> Self {
        let commits = WorkerCommits::new(&engine);
        let broadcaster = Broadcaster::new(feeds, Arc::clone(&telemetry), VIEWERS_PER_WORKER_MAX);
        Self {
            engine,
            archive,
            commits,
            telemetry,
            broadcaster,
            administration,
            observer,
            events: None,
            scheme: "http",
            cross_origin: CrossOrigin::Any,
            client_address: Arc::default(),
            limiter: None,
            payment_page: None,
            replica: None,
            authority: None,
        }
    }

    /// Sets the feed that events are read from.
    #[must_use]
    pub fn with_events(self, events: Arc<EventFeed>) -> Self {
        Self {
            events: Some(events),
            ..self
        }
    }

    /// Sets the part of this server in the replication. Where it does not sell it takes no requests that change anything.
    #[must_use]
    pub fn with_replica(self, replica: Option<Replica>) -> Self {
        Self { replica, ..self }
    }

    /// Sets who says who a user is. Otherwise that is who the request says.
    #[must_use]
    pub fn with_authority(self, authority: Option<Arc<Authority>>) -> Self {
        Self { authority, ..self }
    }

    /// Returns whether this server has a part in a replication.
    pub(super) fn is_replica(&self) -> bool {
        self.replica.is_some()
    }

    /// Returns the answer to a request that changes something, where this server does not sell.
    pub(super) fn not_selling(&self) -> Option<Problem> {
        let replica = self.replica.as_ref()?;
        if replica.sells(self.engine.clock()) {
            return None;
        }
        Some(match replica.leads() {
            // What it knows may be out of date, until the log answers again.
            true => Problem::journal_unavailable(),
            false => Problem::standby(&replica.leader()),
        })
    }

    /// Sets the scheme of the server's address, which is `http` otherwise.
    #[must_use]
    pub fn with_scheme(self, scheme: &'static str) -> Self {
        Self { scheme, ..self }
    }

    /// Sets the origins whose pages may call the public interface, which are all otherwise.
    #[must_use]
    pub fn with_cross_origin(self, cross_origin: CrossOrigin) -> Self {
        Self {
            cross_origin,
            ..self
        }
    }

    /// Sets the rule by which the addresses of clients are found, which are those of the connections otherwise.
    #[must_use]
    pub fn with_client_address(self, client_address: Arc<ClientAddress>) -> Self {
        Self {
            client_address,
            ..self
        }
    }

    /// Sets the limits of rates, if there are any.
    #[must_use]
    pub fn with_limiter(self, limiter: Option<Arc<Limiter>>) -> Self {
        Self { limiter, ..self }
    }

    /// Returns the limits of a request that came from `peer` with these headers, at `now_ns`; `None` where there are none.
    pub(super) fn limits_of(
        &self,
        peer: &Peer,
        headers: &HeaderMap,
        now_ns: u64,
    ) -> Option<RequestLimits<'_>> {
        let limiter = self.limiter.as_deref()?;
        Some(RequestLimits {
            limiter,
            telemetry: &self.telemetry,
            address: match limiter.limits_addresses() {
                true => self.client_of(peer, headers),
                false => peer.address(),
            },
            now_ns,
        })
    }

    /// Sets the address of the page at which buyers pay.
    #[must_use]
    pub fn with_payment_page(self, payment_page: Option<Arc<str>>) -> Self {
        Self {
            payment_page,
            ..self
        }
    }

    /// Returns the address of the client of a request that came from `peer` with these headers.
    pub(super) fn client_of(&self, peer: &Peer, headers: &HeaderMap) -> IpAddr {
        let name = match self.client_address.source {
            AddressSource::Peer | AddressSource::ProxyV2 => return peer.address(),
            AddressSource::XForwardedFor => &X_FORWARDED_FOR,
            AddressSource::Forwarded => &FORWARDED,
        };
        let lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
        let client = forwarding::find(&self.client_address, peer.address(), lines);
        if !client.is_known {
            self.telemetry.client_unknown();
        }
        client.address
    }

    /// Logs, once, that requests name clients in headers that are not read. Called for requests that wait anyway.
    pub(super) fn notice_forwarded(&self, headers: &HeaderMap) {
        let is_read = self.client_address.source != AddressSource::Peer;
        let names_client = || {
            let names = [&X_FORWARDED_FOR, &FORWARDED];
            names.iter().any(|&name| headers.contains_key(name))
        };
        if !is_read && names_client() {
            self.telemetry.errors().connections().forwarded_ignored();
        }
    }

    /// Whether pages of all origins may call the public interface, and read errors of requests that have no path
    /// yet.
    #[must_use]
    pub fn is_open_to_all_origins(&self) -> bool {
        matches!(self.cross_origin, CrossOrigin::Any)
    }

    /// Releases the requests that wait for the disk. Must run for as long as [`Self::handle`] is called, once per
    /// worker.
    pub async fn drive(&self) {
        self.commits.drive().await;
    }

    /// Refuses new work from now on, reports the server as not ready, and ends all streams.
    pub fn start_draining(&self) {
        self.engine.start_draining();
        self.broadcaster.close_all();
        if let Some(events) = &self.events {
            events.close();
        }
    }

    /// Sets how many connections the worker may have. A quarter of them is kept free of streams, for buyers.
    pub fn set_connections_max(&self, connections_max: usize) {
        let subscribers_max = VIEWERS_PER_WORKER_MAX.min(connections_max / 4 * 3);
        self.broadcaster.set_subscribers_max(subscribers_max);
    }

    /// The figures of this worker.
    #[must_use]
    pub fn telemetry(&self) -> &WorkerTelemetry {
        &self.telemetry
    }

    /// Suspends until the record `lsn`, if there is one, is on the disk.
    pub(super) async fn durable(&self, lsn: Option<Lsn>) -> Result<(), Problem> {
        match lsn {
            None => Ok(()),
            Some(lsn) => Ok(self.commits.durable(lsn).await?),
        }
    }

    /// Returns a sale with its contents, and loads one that has left memory.
    pub(super) async fn find_sale(&self, id: SaleId) -> Result<Arc<Sale>, Problem> {
        match self.engine.sale(id) {
            Some(sale) => Ok(sale),
            None => Ok(self.archive.load(id).await?),
        }
    }

    /// Returns the sale of a checkout. Where there is no such sale, there is no such checkout.
    pub(super) async fn find_sale_of_checkout(&self, id: SaleId) -> Result<Arc<Sale>, Problem> {
        let found = self.find_sale(id).await;
        found.map_err(|problem| match problem.outcome() {
            Outcome::SaleNotFound => Problem::checkout_not_found(),
            _ => problem,
        })
    }

    /// Returns what `work` makes of the server's figures, in pieces. Requests with the same `query` at the same
    /// time share one result.
    pub(super) async fn observe(
        &self,
        query: Query,
        work: impl FnOnce(&View) -> SharedBody + Send + 'static,
    ) -> Result<Vec<Bytes>, Problem> {
        let answer = self.observer.query(query, work).await;
        answer
            .map_err(|_| Unavailable::Overloaded)?
            .ok_or_else(Problem::internal)
    }

    /// Returns what `work` makes of the server's figures, in one piece. See [`Self::observe`].
    pub(super) async fn observe_whole<T: Into<Bytes>>(
        &self,
        query: Query,
        work: impl FnOnce(&View) -> Option<T> + Send + 'static,
    ) -> Result<Bytes, Problem> {
        let pieces = self.observe(query, |view| Some(vec![work(view)?.into()]));
        pieces
            .await?
            .into_iter()
            .next()
            .ok_or_else(Problem::internal)
    }
}
