//! The way of a request: route, handler, answer, figures, log.
//!
//! **Invariant:** a handler that sells decides without suspending, drops the request, and only then waits for the
//! disk. A client that leaves can neither undo nor duplicate what was decided.

use std::pin::Pin;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response};

use super::admin::{self, TokenHolder};
use super::answer::Answer;
use super::api::Api;
use super::body;
use super::buy::proof::check_owner;
use super::buy::{
    ArchivedRequest, Decided, SellDecision, SellRequest, contents, payment, purchase,
};
use super::common_headers::CommonHeaders;
use super::cors::{self, Grant};
use super::payload::Payload;
use super::peer::Peer;
use super::problem::{Problem, ProblemFormat};
use super::routes::{self, Access, Decide, Handler, RouteMatch, RoutedRequest, WaitingHandler};
use super::stopwatch::Stopwatch;
use crate::planted::{Slip, is_planted};
use crate::telemetry::{Route, Stage};
use crate::types::Lsn;

/// The state of a request from its head until its answer.
struct Exchange<'a> {
    watch: Stopwatch<'a>,
    label: Route,
    format: ProblemFormat,
    grant: Grant<'a>,
}

/// A request as far as it can be answered without waiting.
pub enum Begun<'a> {
    /// It is answered.
    Answered(Response<Payload>),
    /// [`Api::complete`] answers it.
    Waiting(Unanswered<'a>),
}

/// A request that waits.
pub struct Unanswered<'a>(Wait<'a>);

enum Wait<'a> {
    /// The request is decided, and waits for its record to be on the disk.
    Commit(SellDecision, Exchange<'a>),
    /// It waits for something else. In a box, because such requests are rare, and the futures of all others would need
    /// room for it.
    Other(Pin<Box<dyn Future<Output = Response<Payload>> + 'a>>),
}

impl<'a> Begun<'a> {
    fn waiting(response: impl Future<Output = Response<Payload>> + 'a) -> Self {
        Self::Waiting(Unanswered(Wait::Other(Box::pin(response))))
    }
}

impl Api {
    /// Answers a request of `peer`: [`Self::begin`] and [`Self::complete`] in one. The request is moved more often.
    pub async fn handle<B>(&self, request: Request<B>, peer: &Peer) -> Response<Payload>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let (head, body) = request.into_parts();
        match self.begin(head, body, peer) {
            Begun::Answered(response) => response,
            Begun::Waiting(request) => self.complete(request).await,
        }
    }

    /// Answers a request that waits.
    pub async fn complete(&self, request: Unanswered<'_>) -> Response<Payload> {
        match request.0 {
            Wait::Commit(decision, mut exchange) => {
                let answer = self.answer_durable(decision, &mut exchange.watch).await;
                self.finish(&exchange, answer)
            }
            Wait::Other(response) => response.await,
        }
    }

    /// Answers a request of `peer`, if that needs no waiting. The body of the answer may be a stream, whose events the
    /// caller sends behind the head as they come.
    ///
    /// This is no future, in which the head would have to be moved about.
    pub fn begin<'a, B>(&'a self, head: Parts, body: B, peer: &'a Peer) -> Begun<'a>
    where
        B: Body<Data = Bytes> + Unpin + 'a,
    {
        let watch = Stopwatch::start(self.engine.clock(), &self.telemetry);
        let found = routes::find(&head.method, head.uri.path());
        let endpoint = found.map(|found| found.endpoint);
        let headers = CommonHeaders::of(&head.headers);
        let is_options = head.method == Method::OPTIONS;
        let grant = self.cross_origin.grant(endpoint, &head.headers);
        let mut exchange = Exchange {
            watch,
            label: match endpoint {
                // A preflight is not a request of the route.
                Some(endpoint) if !is_options => endpoint.label,
                _ => Route::Unknown,
            },
            format: ProblemFormat::asked_by(headers.accept),
            grant,
        };
        let answer = match found {
            _ if is_options => Ok(cors::options(endpoint, &head.headers, grant)),
            None => Err(Problem::not_found()),
            Some(RouteMatch { endpoint, .. }) if !endpoint.takes(&head.method) => {
                Err(Problem::method_not_allowed(endpoint.methods()))
            }
            Some(RouteMatch { endpoint, .. })
                if self.is_replica()
                    && endpoint.needs_seller()
                    && let Some(problem) = self.not_selling() =>
            {
                Err(problem)
            }
            Some(RouteMatch { endpoint, names }) => match endpoint.handler {
                Handler::Decide(decide) if body.is_end_stream() => {
                    let request = SellRequest {
                        head: &head,
                        headers,
                        body: &[],
                        limits: self.limits_of(peer, &head.headers, exchange.watch.last_read_ns()),
                        authority: self.authority.as_deref(),
                    };
                    match decide(&self.engine, &request, &mut exchange.watch) {
                        Err(problem) => Err(problem),
                        Ok(Decided::Now(decision)) => match self.settled(decision.lsn()) {
                            Some(settled) => settled.and_then(|()| decision.into_answer()),
                            None => {
                                let wait = Wait::Commit(decision, exchange);
                                return Begun::Waiting(Unanswered(wait));
                            }
                        },
                        Ok(decided) => return Begun::waiting(self.decided(decided, exchange)),
                    }
                }
                Handler::Decide(decide) => {
                    return Begun::waiting(
                        self.decide_with_body(decide, head, body, peer, exchange),
                    );
                }
                Handler::Show(show) => show(&RoutedRequest {
                    api: self,
                    head: &head,
                    body: &mut body.map_err(drop),
                    peer,
                    names,
                }),
                Handler::Wait(wait) => {
                    let access = endpoint.access;
                    return Begun::waiting(self.wait(access, wait, head, body, peer, exchange));
                }
            },
        };
        Begun::Answered(self.finish(&exchange, answer))
    }

    /// Counts and logs an answer, and returns it as a response.
    fn finish(
        &self,
        exchange: &Exchange<'_>,
        answer: Result<Answer, Problem>,
    ) -> Response<Payload> {
        let Exchange {
            watch,
            label,
            format,
            grant,
        } = exchange;
        let answer = answer.unwrap_or_else(|problem| problem.into_answer(*format));
        self.telemetry
            .record(*label, answer.outcome, watch.total_ns());
        self.log(*label, &answer);
        #[cfg(feature = "otel")]
        self.trace(*label, &answer, watch);
        answer.into_response(*grant)
    }

    /// Counts failures of the server for the log, which has a line of them now and then; errors of clients are logged
    /// at the level `debug`. Nothing that a client sent is logged.
    fn log(&self, label: Route, answer: &Answer) {
        let (outcome, status) = (answer.outcome, answer.response.status());
        if outcome.is_failure_of(label) {
            let errors = self.telemetry.errors();
            errors.answered(label, outcome, status.as_u16());
        } else if status.is_client_error() {
            let (route, outcome) = (label.as_str(), outcome.as_str());
            tracing::debug!(
                route,
                outcome,
                status = status.as_u16(),
                "a request was refused"
            );
        }
    }

    /// Answers a request with the handler of a route that waits.
    async fn wait<B>(
        &self,
        access: Access,
        handler: WaitingHandler,
        head: Parts,
        body: B,
        peer: &Peer,
        exchange: Exchange<'_>,
    ) -> Response<Payload>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        self.notice_forwarded(&head.headers);
        let found = routes::find(&head.method, head.uri.path());
        let request = RoutedRequest {
            api: self,
            head: &head,
            body: &mut body.map_err(drop),
            peer,
            names: found.map(|found| found.names).unwrap_or_default(),
        };
        let answer = match access {
            Access::Admin => admin::answer(handler, request, TokenHolder::Admin).await,
            Access::Shop => admin::answer(handler, request, TokenHolder::Shop).await,
            Access::Public | Access::Operators => handler(request).await,
        };
        self.finish(&exchange, answer)
    }

    /// Reads the body of a request to sell, decides, and answers once the decision is on the disk.
    async fn decide_with_body<B>(
        &self,
        decide: Decide,
        head: Parts,
        body: B,
        peer: &Peer,
        mut exchange: Exchange<'_>,
    ) -> Response<Payload>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let body = match body::read(&head.headers, body).await {
            Ok(body) => body,
            Err(problem) => return self.finish(&exchange, Err(problem)),
        };
        exchange.watch.skip();
        let request = SellRequest {
            headers: CommonHeaders::of(&head.headers),
            head: &head,
            body: &body,
            limits: self.limits_of(peer, &head.headers, exchange.watch.last_read_ns()),
            authority: self.authority.as_deref(),
        };
        let decided = decide(&self.engine, &request, &mut exchange.watch);
        drop(head);
        drop(body);
        match decided {
            Ok(decided) => self.decided(decided, exchange).await,
            Err(problem) => self.finish(&exchange, Err(problem)),
        }
    }

    /// Answers a decided request once the decision is on the disk.
    async fn decided(&self, decided: Decided, mut exchange: Exchange<'_>) -> Response<Payload> {
        let watch = &mut exchange.watch;
        let answer = match decided {
            Decided::Now(decision) => self.answer_durable(decision, watch).await,
            Decided::Archived(request) => self.answer_archived(*request, watch).await,
        };
        self.finish(&exchange, answer)
    }

    /// Answers once the decision is on the disk.
    async fn answer_durable(
        &self,
        decision: SellDecision,
        watch: &mut Stopwatch<'_>,
    ) -> Result<Answer, Problem> {
        self.confirm(decision.lsn(), watch).await?;
        decision.into_answer()
    }

    /// Loads the sale of `request`, decides, and answers once the decision is on the disk.
    async fn answer_archived(
        &self,
        request: ArchivedRequest,
        watch: &mut Stopwatch<'_>,
    ) -> Result<Answer, Problem> {
        match request {
            ArchivedRequest::Checkout(request) => {
                let sale = self.find_sale(request.sale()).await?;
                watch.skip();
                let decision = request.decide(&self.engine, &sale)?;
                self.confirm(decision.lsn, watch).await?;
                decision.outcome.try_into()
            }
            ArchivedRequest::Purchase(request) => {
                let sale = self.find_sale_of_checkout(request.sale()).await?;
                watch.skip();
                let decision = request.decide(&self.engine, &sale)?;
                self.confirm(decision.lsn, watch).await?;
                purchase::answer(decision.outcome, Some(&sale))
            }
            ArchivedRequest::Contents(code, owner) => {
                let sale = self.find_sale_of_checkout(code.sale).await?;
                watch.skip();
                check_owner(&owner, code, &sale)?;
                let decision = self.engine.contents_of(&sale, code);
                self.confirm(decision.lsn, watch).await?;
                contents::answer(decision.outcome, Some(&sale))
            }
            ArchivedRequest::Payment(code, owner) => {
                let sale = self.find_sale_of_checkout(code.sale).await?;
                watch.skip();
                check_owner(&owner, code, &sale)?;
                let decision = self.engine.payment_of(&sale, code);
                self.confirm(decision.lsn, watch).await?;
                payment::answer(decision.outcome, Some(&sale))
            }
        }
    }

    /// Suspends until the record `lsn`, if there is one, is on the disk, and counts the wait as a stage. An answer that
    /// rests on an earlier request's record does not wait, and would make the stage look faster than it is.
    async fn confirm(&self, lsn: Option<Lsn>, watch: &mut Stopwatch<'_>) -> Result<(), Problem> {
        match self.settled(lsn) {
            Some(settled) => settled,
            None => {
                self.durable(lsn).await?;
                watch.lap(Stage::CommitWait);
                Ok(())
            }
        }
    }

    /// Returns whether the record `lsn`, if there is one, is on the disk; `None` while that is open.
    fn settled(&self, lsn: Option<Lsn>) -> Option<Result<(), Problem>> {
        match lsn {
            None => Some(Ok(())),
            Some(_) if is_planted(Slip::AnswersBeforeDurable) => Some(Ok(())),
            Some(lsn) => Some(self.commits.settled(lsn)?.map_err(Problem::from)),
        }
    }
}
