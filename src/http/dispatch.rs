//! The way of a request: route, handler, answer, figures, log.
//!
//! **Invariant:** a handler that sells decides without suspending, drops the request, and only then waits for the
//! disk. A client that leaves can neither undo nor duplicate what was decided.

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response};

use super::admin;
use super::answer::Answer;
use super::api::Api;
use super::body;
use super::buy::{ArchivedRequest, Decided, SellRequest, purchase};
use super::common_headers::CommonHeaders;
use super::cors;
use super::payload::Payload;
use super::peer::Peer;
use super::problem::{Problem, ProblemFormat};
use super::routes::{self, Access, Decide, Handler, RouteMatch, RoutedRequest};
use super::stopwatch::Stopwatch;
use crate::sale::Engine;
use crate::telemetry::{Route, Stage};
use crate::types::Lsn;

impl Api {
    /// Answers a request of `peer`. The body of the answer may be a stream, whose events the caller sends behind the
    /// head as they come.
    pub async fn handle<B>(&self, request: Request<B>, peer: &Peer) -> Response<Payload>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let mut watch = Stopwatch::start(self.engine.clock(), &self.telemetry);
        let (head, body) = request.into_parts();
        let found = routes::find(head.uri.path());
        let endpoint = found.map(|found| found.endpoint);
        let headers = CommonHeaders::of(&head.headers);
        let format = ProblemFormat::asked_by(headers.accept);
        let is_options = head.method == Method::OPTIONS;
        let label = match endpoint {
            // A preflight is not a request of the route.
            Some(endpoint) if !is_options => endpoint.label,
            _ => Route::Unknown,
        };
        let grant = self.cross_origin.grant(endpoint, &head.headers);
        let answer = match found {
            _ if is_options => Ok(cors::options(endpoint, &head.headers, grant)),
            None => Err(Problem::not_found()),
            Some(RouteMatch { endpoint, .. }) if !endpoint.takes(&head.method) => {
                Err(Problem::method_not_allowed(endpoint.methods()))
            }
            Some(RouteMatch { endpoint, names }) => match endpoint.handler {
                Handler::Decide(decide) if body.is_end_stream() => {
                    let request = SellRequest {
                        head: &head,
                        headers,
                        body: &[],
                    };
                    let decided = decide(&self.engine, &request, &mut watch);
                    drop(head);
                    drop(body);
                    self.answer(decided, &mut watch).await
                }
                // In a box, because such requests are rare, and the futures of all others would need room for it.
                Handler::Decide(decide) => {
                    let decided = decide_with_body(&self.engine, decide, head, body, &mut watch);
                    let decided = Box::pin(decided).await;
                    self.answer(decided, &mut watch).await
                }
                Handler::Show(show) => show(&RoutedRequest {
                    api: self,
                    head: &head,
                    body: &mut body.map_err(drop),
                    peer,
                    names,
                }),
                Handler::Wait(wait) => {
                    let mut body = body.map_err(drop);
                    let request = RoutedRequest {
                        api: self,
                        head: &head,
                        body: &mut body,
                        peer,
                        names,
                    };
                    match endpoint.access {
                        Access::Admin => Box::pin(admin::answer(wait, request)).await,
                        Access::Public | Access::Operators => wait(request).await,
                    }
                }
            },
        };
        let answer = answer.unwrap_or_else(|problem| problem.into_answer(format));
        self.telemetry
            .record(label, answer.outcome, watch.total_ns());
        self.log(label, &answer);
        #[cfg(feature = "otel")]
        self.trace(label, &answer, &watch);
        answer.into_response(grant)
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

    /// Answers a decided request once the decision is on the disk.
    async fn answer(
        &self,
        decided: Result<Decided, Problem>,
        watch: &mut Stopwatch<'_>,
    ) -> Result<Answer, Problem> {
        match decided? {
            Decided::Checkout(decision) => {
                self.confirm(decision.lsn, watch).await?;
                decision.outcome.try_into()
            }
            Decided::Purchase(decision) => {
                self.confirm(decision.lsn, watch).await?;
                purchase::answer(decision.outcome, decision.sale.as_deref())
            }
            Decided::Archived(request) => Box::pin(self.answer_archived(*request, watch)).await,
        }
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
                let decision = request.decide(&self.engine, &sale);
                self.confirm(decision.lsn, watch).await?;
                purchase::answer(decision.outcome, Some(&sale))
            }
        }
    }

    /// Suspends until the record `lsn`, if there is one, is on the disk, and counts the wait as a stage. An answer that
    /// rests on an earlier request's record does not wait, and would make the stage look faster than it is.
    async fn confirm(&self, lsn: Option<Lsn>, watch: &mut Stopwatch<'_>) -> Result<(), Problem> {
        let waits = lsn.is_some_and(|lsn| self.commits.must_wait(lsn));
        self.durable(lsn).await?;
        if waits {
            watch.lap(Stage::CommitWait);
        }
        Ok(())
    }
}

async fn decide_with_body<B>(
    engine: &Engine,
    decide: Decide,
    head: Parts,
    body: B,
    watch: &mut Stopwatch<'_>,
) -> Result<Decided, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    let body = body::read(&head.headers, body).await?;
    watch.skip();
    let request = SellRequest {
        headers: CommonHeaders::of(&head.headers),
        head: &head,
        body: &body,
    };
    decide(engine, &request, watch)
}
