//! HTTP: route → parameters → engine → answer.
//!
//! The engine's outcomes know nothing of HTTP; each kind is turned into an answer in one place
//! (`checkout`, `purchase`). What cannot be answered as asked is a `Problem`, and every
//! failure becomes one: nothing here panics on what a client sent.
//!
//! **Invariant:** a handler decides without suspending, lets go of the request, and only then
//! waits for the disk. A client that leaves can neither undo nor duplicate what was decided.

mod administration;
mod answer;
mod audience;
mod body;
mod checkout;
mod encoding;
mod health;
mod images;
mod looking;
mod metrics;
mod pages;
mod parameters;
mod payload;
mod peer;
mod problem;
mod purchase;
mod route;
mod stage;
mod stream;

use std::rc::Rc;
use std::sync::Arc;

use hyper::body::{Body, Bytes};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response};

pub use self::administration::{Administration, SaleDefaults};
use self::answer::Answer;
use self::audience::Audience;
pub use self::payload::Payload;
pub use self::peer::Peer;
use self::problem::{Format, Problem};
use self::purchase::Archived;
use self::route::Path;
pub use self::stage::Viewer;
use crate::limits::VIEWERS_PER_WORKER_MAX;
use crate::sale::{Archive, CheckoutOutcome, CommitWaiters, Decision, Engine, Sale};
use crate::schedule::feed::Feeds;
use crate::telemetry::{Registry, Route, WorkerTelemetry};
use crate::types::{Lsn, SaleId};

/// What one worker answers requests with.
pub struct Api {
    engine: Arc<Engine>,
    archive: Arc<Archive>,
    waiters: Rc<CommitWaiters>,
    registry: Arc<Registry>,
    telemetry: Arc<WorkerTelemetry>,
    audience: Rc<Audience>,
    administration: Arc<Administration>,
    started_us: u64,
}

impl Api {
    /// The interface to `engine` for one worker, on whose thread this is called. Viewers are told what
    /// `feeds` say. The uptime that `/health` shows begins at `started_us` of the engine's monotonic
    /// clock, in microseconds.
    #[must_use]
    pub fn new(
        engine: Arc<Engine>,
        archive: Arc<Archive>,
        waiters: Rc<CommitWaiters>,
        registry: Arc<Registry>,
        feeds: Arc<Feeds>,
        administration: Arc<Administration>,
        started_us: u64,
    ) -> Self {
        let telemetry = registry.add_worker();
        let audience = Audience::new(feeds, Arc::clone(&telemetry), VIEWERS_PER_WORKER_MAX);
        Self {
            engine,
            archive,
            waiters,
            registry,
            telemetry,
            audience,
            administration,
            started_us,
        }
    }

    /// Answers one request of `peer`, whatever it is. The body of the answer may be a stream, whose
    /// events belong behind the head as they come.
    pub async fn handle<B>(&self, request: Request<B>, peer: &Peer) -> Response<Payload>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let started_us = self.engine.clock().monotonic_us();
        let path = Path::parse(request.uri().path());
        let (route, format) = (path.route(), Format::asked_by(request.headers()));
        let answer = match path.check_method(request.method()) {
            Err(problem) => Err(problem),
            Ok(()) if matches!(path, Path::Admin(_)) => {
                Box::pin(administration::answer(self, request, peer)).await
            }
            Ok(()) if !path.sells() => match path {
                // In a box as below, because it may have to be loaded.
                Path::SaleItems(id) => match looking::Page::of_items(id, request.uri()) {
                    Ok(page) => Box::pin(self.show_items(page, request)).await,
                    Err(problem) => Err(problem),
                },
                Path::SaleStream(id) => Box::pin(stream::stream(self, id, &request)).await,
                _ => self.show(&path, &request),
            },
            Ok(()) if request.body().is_end_stream() => {
                let decided = self.decide_without_body(route, request);
                self.answer(decided).await
            }
            // In a box, because such requests are rare, and all others would have to make room.
            Ok(()) => {
                let decided = Box::pin(self.decide_with_body(route, request)).await;
                self.answer(decided).await
            }
        };
        let answer = answer.unwrap_or_else(|problem| problem.into_answer(format));
        let latency_us = self
            .engine
            .clock()
            .monotonic_us()
            .saturating_sub(started_us);
        self.telemetry.record(route, answer.outcome, latency_us);
        answer.response
    }

    fn decide_without_body<B>(
        &self,
        route: Route,
        request: Request<B>,
    ) -> Result<Decided, Problem> {
        Decided::by(&self.engine, route, &request.into_parts().0, &[])
    }

    async fn decide_with_body<B>(
        &self,
        route: Route,
        request: Request<B>,
    ) -> Result<Decided, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let (head, body) = request.into_parts();
        let body = body::read(body).await?;
        Decided::by(&self.engine, route, &head, &body)
    }

    /// Says what was decided, once it is on the disk.
    async fn answer(&self, decided: Result<Decided, Problem>) -> Result<Answer, Problem> {
        match decided? {
            Decided::Checkout(decision) => {
                self.durable(decision.lsn).await?;
                decision.outcome.try_into()
            }
            Decided::Purchase(purchase::Decided::Now(sale, decision)) => {
                self.durable(decision.lsn).await?;
                let sale = match purchase::names_items(&decision.outcome) {
                    false => None,
                    true => match self.engine.sale(sale) {
                        // It has left memory meanwhile.
                        None => Some(Box::pin(self.find_sale(sale)).await?),
                        sale => sale,
                    },
                };
                purchase::answer(sale, decision.outcome)
            }
            Decided::Purchase(purchase::Decided::Archived(archived)) => {
                Box::pin(self.answer_archived(&archived)).await
            }
        }
    }

    /// Suspends until the record, if there is one, is on the disk.
    async fn durable(&self, lsn: Option<Lsn>) -> Result<(), Problem> {
        let Some(lsn) = lsn else {
            return Ok(());
        };
        let durable = self.waiters.durable(lsn).await;
        durable.map_err(|_| Problem::journal_unavailable())
    }

    /// Answers a purchase in a sale that has left memory.
    async fn answer_archived(&self, archived: &Archived) -> Result<Answer, Problem> {
        let sale = self.find_sale(archived.sale()).await?;
        let decision = archived.decide(&self.engine, &sale);
        self.durable(decision.lsn).await?;
        purchase::answer(Some(sale), decision.outcome)
    }

    /// A sale with all that is in it. One that has left memory is loaded.
    async fn find_sale(&self, id: SaleId) -> Result<Arc<Sale>, Problem> {
        match self.engine.sale(id) {
            Some(sale) => Ok(sale),
            None => Ok(self.archive.load(id).await?),
        }
    }

    async fn show_items<B>(
        &self,
        page: looking::Page,
        request: Request<B>,
    ) -> Result<Answer, Problem> {
        let uri = request.into_parts().0.uri;
        let sale = self.find_sale(page.sale()).await?;
        looking::sale_items(&sale, &page, &uri)
    }

    /// Answers what changes nothing and waits for nothing.
    fn show<B: Body>(&self, path: &Path<'_>, request: &Request<B>) -> Result<Answer, Problem> {
        let uri = request.uri();
        match *path {
            Path::SalesActive => looking::active_sale(self),
            Path::Sales => looking::sales(self, uri),
            Path::Sale(id) => looking::sale(self, id),
            Path::Image(name) => Ok(images::image(name)),
            Path::Health => health::health(self),
            Path::Livez => Ok(health::livez()),
            Path::Readyz => health::readyz(self, uri.query()),
            Path::Metrics => Ok(metrics::metrics(self)),
            Path::Page => Ok(pages::sale_page(self, request.headers())),
            Path::SaleItems(_)
            | Path::SaleStream(_)
            | Path::Checkout
            | Path::Purchase
            | Path::Admin(_)
            | Path::Unknown => Err(Problem::not_found()),
        }
    }

    /// Releases the requests that wait for the disk. Must run for as long as [`Self::handle`] is
    /// called, once per worker.
    pub async fn drive(&self) {
        Rc::clone(&self.waiters).drive().await;
    }

    /// Takes no new work from now on, and says so to whoever asks for readiness. Streams end.
    pub fn start_draining(&self) {
        self.engine.start_draining();
        self.audience.send_home();
    }

    /// Says how many connections the worker may have; a quarter of them is left to buyers.
    pub fn set_connections_max(&self, connections_max: usize) {
        let viewers_max = VIEWERS_PER_WORKER_MAX.min(connections_max / 4 * 3);
        self.audience.limit(viewers_max);
    }

    /// The figures of this worker.
    #[must_use]
    pub fn telemetry(&self) -> &WorkerTelemetry {
        &self.telemetry
    }
}

/// What the engine decided on a request to sell something.
enum Decided {
    Checkout(Decision<CheckoutOutcome>),
    Purchase(purchase::Decided),
}

impl Decided {
    /// Decides, without suspending. The request can be let go of afterwards.
    fn by(engine: &Engine, route: Route, head: &Parts, body: &[u8]) -> Result<Self, Problem> {
        if route == Route::Checkout {
            checkout::decide(engine, head, body).map(Self::Checkout)
        } else {
            purchase::decide(engine, head, body).map(Self::Purchase)
        }
    }
}

/// Whether `method` only asks to be shown something.
fn is_looking(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}
