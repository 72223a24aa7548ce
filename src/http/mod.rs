//! HTTP: route → parameters → engine → answer.
//!
//! The engine's outcomes know nothing of HTTP; each kind is turned into an answer in one place
//! (`checkout`, `purchase`). What cannot be answered as asked is a `Problem`, and every
//! failure becomes one: nothing here panics on what a client sent.
//!
//! **Invariant:** a handler decides without suspending, lets go of the request, and only then
//! waits for the disk. A client that leaves can neither undo nor duplicate what was decided.

mod admin;
mod answer;
mod body;
mod buy;
mod choices;
mod cors;
mod encoding;
mod live;
mod ops;
mod pages;
mod parameters;
mod payload;
mod peer;
mod problem;
mod route;
mod sales;
mod stopwatch;
#[cfg(feature = "otel")]
mod trace;
mod values;

use std::rc::Rc;
use std::sync::Arc;

use hyper::body::{Body, Bytes};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response};

pub use self::admin::{Administration, SaleDefaults};
use self::answer::Answer;
use self::buy::purchase::Archived;
use self::buy::{checkout, purchase};
pub use self::cors::CrossOrigin;
use self::live::broadcaster::Broadcaster;
use self::live::stream;
use self::ops::{health, histogram, metrics, openapi};
pub use self::payload::{Payload, Pieces};
pub use self::peer::{Network, Peer};
use self::problem::{Format, Problem};
use self::route::{Observed, Path};
use self::sales::images;
use self::stopwatch::Stopwatch;
use crate::limits::VIEWERS_PER_WORKER_MAX;
use crate::live::Feeds;
use crate::operations::{Observer, Question, Told, View};
use crate::sale::{Archive, CommitWaiters, Engine, Sale, Unavailable};
use crate::telemetry::{Outcome, Route, Stage, WorkerTelemetry};
use crate::types::{Lsn, SaleId};

/// What one worker answers requests with.
pub struct Api {
    engine: Arc<Engine>,
    archive: Arc<Archive>,
    waiters: Rc<CommitWaiters>,
    telemetry: Arc<WorkerTelemetry>,
    broadcaster: Rc<Broadcaster>,
    administration: Arc<Administration>,
    observer: Arc<Observer>,
    /// How the server's own address begins.
    scheme: &'static str,
    cross_origin: CrossOrigin,
}

impl Api {
    /// The interface to `engine` for one worker, on whose thread this is called, and who counts in
    /// `telemetry`. Viewers are told what `feeds` say, and operators what `observer` sees.
    #[must_use]
    pub fn new(
        engine: Arc<Engine>,
        archive: Arc<Archive>,
        waiters: Rc<CommitWaiters>,
        telemetry: Arc<WorkerTelemetry>,
        feeds: Arc<Feeds>,
        administration: Arc<Administration>,
        observer: Arc<Observer>,
    ) -> Self {
        let broadcaster = Broadcaster::new(feeds, Arc::clone(&telemetry), VIEWERS_PER_WORKER_MAX);
        Self {
            engine,
            archive,
            waiters,
            telemetry,
            broadcaster,
            administration,
            observer,
            scheme: "http",
            cross_origin: CrossOrigin::Any,
        }
    }

    /// The same for a server whose address begins with `scheme`, which is `http` otherwise.
    #[must_use]
    pub fn reached_by(self, scheme: &'static str) -> Self {
        Self { scheme, ..self }
    }

    /// The same with a public interface that only pages of `cross_origin` may call, which are all otherwise.
    #[must_use]
    pub fn called_from(self, cross_origin: CrossOrigin) -> Self {
        Self {
            cross_origin,
            ..self
        }
    }

    /// Whether pages of all origins may call the public interface, and read what refuses them before a
    /// path is known.
    #[must_use]
    pub fn is_open_to_all_origins(&self) -> bool {
        matches!(self.cross_origin, CrossOrigin::Any)
    }

    /// Answers one request of `peer`, whatever it is. The body of the answer may be a stream, whose
    /// events belong behind the head as they come.
    pub async fn handle<B>(&self, request: Request<B>, peer: &Peer) -> Response<Payload>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let mut watch = Stopwatch::start(self.engine.clock(), &self.telemetry);
        let path = Path::parse(request.uri().path());
        let format = Format::asked_by(request.headers());
        // What is asked in front of a request is none of its path's figures.
        let route = match *request.method() {
            Method::OPTIONS => Route::Unknown,
            _ => path.route(),
        };
        let grant = self.cross_origin.grant(path, request.headers());
        let answer = match path.check_method(request.method()) {
            _ if *request.method() == Method::OPTIONS => {
                Ok(cors::options(path, request.headers(), grant))
            }
            Err(problem) => Err(problem),
            Ok(()) if matches!(path, Path::Admin(_)) => {
                Box::pin(admin::answer(self, request, peer)).await
            }
            Ok(()) if !path.sells() => match path {
                // In a box as below, because it may have to be loaded.
                Path::SaleItems(id) => match sales::Page::of_items(id, request.uri()) {
                    Ok(page) => Box::pin(self.show_items(page, request)).await,
                    Err(problem) => Err(problem),
                },
                Path::SaleItem(sale, item) => Box::pin(self.show_item(sale, item)).await,
                Path::SaleStream(id) => Box::pin(stream::of_sale(self, id, &request)).await,
                Path::OpsStream => stream::of_server(self, &request),
                Path::OpsHistory => Box::pin(stream::history(self, &request)).await,
                Path::Observed(figures) => {
                    Box::pin(self.observe(figures, request.into_parts().0)).await
                }
                _ => self.show(&path, &request),
            },
            Ok(()) if request.body().is_end_stream() => {
                let decided = self.decide_without_body(route, request, &mut watch);
                self.answer(decided, &mut watch).await
            }
            // In a box, because such requests are rare, and all others would have to make room.
            Ok(()) => {
                let decided = self.decide_with_body(route, request, &mut watch);
                let decided = Box::pin(decided).await;
                self.answer(decided, &mut watch).await
            }
        };
        let mut answer = answer.unwrap_or_else(|problem| problem.into_answer(format));
        grant.apply(&mut answer.response);
        self.telemetry
            .record(route, answer.outcome, watch.total_ns());
        self.log(route, &answer);
        #[cfg(feature = "otel")]
        self.trace(route, &answer, &watch);
        answer.response
    }

    /// Writes down, now and then, that something is wrong on our side; what clients do wrong only where
    /// everything is to be known. Nothing that they sent is in it.
    fn log(&self, route: Route, answer: &Answer) {
        let (outcome, status) = (answer.outcome, answer.response.status());
        if status.is_server_error() {
            let errors = self.telemetry.errors();
            errors.answered(route, outcome, status.as_u16());
        } else if status.is_client_error() {
            let (route, outcome) = (route.as_str(), outcome.as_str());
            tracing::debug!(
                route,
                outcome,
                status = status.as_u16(),
                "a request was refused"
            );
        }
    }

    fn decide_without_body<B>(
        &self,
        route: Route,
        request: Request<B>,
        watch: &mut Stopwatch<'_>,
    ) -> Result<Decided, Problem> {
        Decided::by(&self.engine, route, &request.into_parts().0, &[], watch)
    }

    async fn decide_with_body<B>(
        &self,
        route: Route,
        request: Request<B>,
        watch: &mut Stopwatch<'_>,
    ) -> Result<Decided, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let (head, body) = request.into_parts();
        let body = body::read(&head.headers, body).await?;
        watch.skip();
        Decided::by(&self.engine, route, &head, &body, watch)
    }

    /// Says what was decided, once it is on the disk.
    async fn answer(
        &self,
        decided: Result<Decided, Problem>,
        watch: &mut Stopwatch<'_>,
    ) -> Result<Answer, Problem> {
        match decided? {
            Decided::Checkout(checkout::Decided::Now(decision)) => {
                self.confirm(decision.lsn, watch).await?;
                decision.outcome.try_into()
            }
            Decided::Checkout(checkout::Decided::Archived(archived)) => {
                Box::pin(self.answer_archived_checkout(&archived, watch)).await
            }
            Decided::Purchase(purchase::Decided::Now(sale, decision)) => {
                self.confirm(decision.lsn, watch).await?;
                let sale = match purchase::names_items(&decision.outcome) {
                    false => None,
                    true => match self.engine.sale(sale) {
                        // It has left memory meanwhile.
                        None => Some(Box::pin(self.find_sale_of_checkout(sale)).await?),
                        sale => sale,
                    },
                };
                purchase::answer(sale, decision.outcome)
            }
            Decided::Purchase(purchase::Decided::Archived(archived)) => {
                Box::pin(self.answer_archived(&archived, watch)).await
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

    /// The same, as a stage of a request to sell. What rests on an earlier request's record, which is on
    /// the disk, does not wait: it would make the stage look quicker than it is to those who buy.
    async fn confirm(&self, lsn: Option<Lsn>, watch: &mut Stopwatch<'_>) -> Result<(), Problem> {
        let waits = lsn.is_some_and(|lsn| self.waiters.must_wait(lsn));
        self.durable(lsn).await?;
        if waits {
            watch.lap(Stage::CommitWait);
        }
        Ok(())
    }

    /// Answers a checkout that may have been answered before, in a sale that has left memory since.
    async fn answer_archived_checkout(
        &self,
        archived: &checkout::Archived,
        watch: &mut Stopwatch<'_>,
    ) -> Result<Answer, Problem> {
        let sale = self.find_sale(archived.sale()).await?;
        watch.skip();
        let decision = archived.decide(&self.engine, &sale)?;
        self.confirm(decision.lsn, watch).await?;
        decision.outcome.try_into()
    }

    /// Answers a purchase in a sale that has left memory.
    async fn answer_archived(
        &self,
        archived: &Archived,
        watch: &mut Stopwatch<'_>,
    ) -> Result<Answer, Problem> {
        let sale = self.find_sale_of_checkout(archived.sale()).await?;
        watch.skip();
        let decision = archived.decide(&self.engine, &sale);
        self.confirm(decision.lsn, watch).await?;
        purchase::answer(Some(sale), decision.outcome)
    }

    /// A sale with all that is in it. One that has left memory is loaded.
    async fn find_sale(&self, id: SaleId) -> Result<Arc<Sale>, Problem> {
        match self.engine.sale(id) {
            Some(sale) => Ok(sale),
            None => Ok(self.archive.load(id).await?),
        }
    }

    /// The same, for a checkout of that sale: no sale has the checkout when there is no such sale.
    async fn find_sale_of_checkout(&self, id: SaleId) -> Result<Arc<Sale>, Problem> {
        let found = self.find_sale(id).await;
        found.map_err(|problem| match problem.outcome() {
            Outcome::SaleNotFound => purchase::checkout_not_found(),
            _ => problem,
        })
    }

    async fn show_items<B>(
        &self,
        page: sales::Page,
        request: Request<B>,
    ) -> Result<Answer, Problem> {
        let uri = request.into_parts().0.uri;
        let sale = self.find_sale(page.sale()).await?;
        sales::sale_items(&sale, &page, &uri)
    }

    async fn show_item(&self, sale: &str, item: &str) -> Result<Answer, Problem> {
        let sale = self.find_sale(sales::sale_id(sale)?).await?;
        sales::sale_item(&sale, item)
    }

    /// Answers with figures of the whole server. They are put together elsewhere.
    async fn observe(&self, figures: Observed, head: Parts) -> Result<Answer, Problem> {
        match figures {
            Observed::Health => health::health(self, head.uri.query()).await,
            Observed::Histogram => histogram::histogram(self, head.uri.query()).await,
            Observed::Metrics => metrics::metrics(self, &head.headers).await,
        }
    }

    /// What `work` makes of the server's figures, which is the answer to `question`, in pieces.
    async fn ask(
        &self,
        question: Question,
        work: impl FnOnce(&View) -> Told + Send + 'static,
    ) -> Result<Vec<Bytes>, Problem> {
        let told = self.observer.ask(question, work).await;
        told.map_err(|_| Unavailable::Overloaded)?
            .ok_or_else(Problem::internal)
    }

    /// The same where the answer is in one piece.
    async fn ask_whole<T: Into<Bytes>>(
        &self,
        question: Question,
        work: impl FnOnce(&View) -> Option<T> + Send + 'static,
    ) -> Result<Bytes, Problem> {
        let told = self
            .ask(question, |view| Some(vec![work(view)?.into()]))
            .await?;
        told.into_iter().next().ok_or_else(Problem::internal)
    }

    /// Answers what changes nothing and waits for nothing.
    fn show<B: Body>(&self, path: &Path<'_>, request: &Request<B>) -> Result<Answer, Problem> {
        let uri = request.uri();
        match *path {
            Path::SalesActive => sales::active_sale(self),
            Path::Sales => sales::sales(self, uri),
            Path::Sale(id) => sales::sale(self, id),
            Path::Image(name) => Ok(images::image(name)),
            Path::Livez => Ok(health::livez()),
            Path::Readyz => health::readyz(self, uri.query()),
            Path::Page => pages::sale_page(self, uri, request.headers()),
            Path::Ops => pages::ops_page(request.headers()),
            Path::Asset(name) => pages::asset(name, uri, request.headers()),
            Path::OpenApi => openapi::document(request.headers()),
            Path::Observed(_)
            | Path::OpsStream
            | Path::OpsHistory
            | Path::SaleItems(_)
            | Path::SaleItem(..)
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
        self.broadcaster.close_all();
    }

    /// Says how many connections the worker may have; a quarter of them is left to buyers.
    pub fn set_connections_max(&self, connections_max: usize) {
        let viewers_max = VIEWERS_PER_WORKER_MAX.min(connections_max / 4 * 3);
        self.broadcaster.set_subscribers_max(viewers_max);
    }

    /// The figures of this worker.
    #[must_use]
    pub fn telemetry(&self) -> &WorkerTelemetry {
        &self.telemetry
    }
}

/// What the engine decided on a request to sell something.
enum Decided {
    Checkout(checkout::Decided),
    Purchase(purchase::Decided),
}

impl Decided {
    /// Decides, without suspending. The request can be let go of afterwards.
    fn by(
        engine: &Engine,
        route: Route,
        head: &Parts,
        body: &[u8],
        watch: &mut Stopwatch<'_>,
    ) -> Result<Self, Problem> {
        if route == Route::Checkout {
            checkout::decide(engine, head, body, watch).map(Self::Checkout)
        } else {
            purchase::decide(engine, head, body, watch).map(Self::Purchase)
        }
    }
}

/// Whether `method` only asks to be shown something.
fn is_looking(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}
