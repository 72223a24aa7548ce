//! Administration: `/admin/…`
//!
//! **Invariants.** Nothing of a request but its path and method is looked at before its sender is let in. What blocks, or takes
//! long, has a thread of its own, so that buyers never wait for an administrator; and how much of that
//! there is at the same time is bounded.

mod aside;
mod authentication;
mod bodies;
mod checkouts;
mod closing;
mod creation;
mod document;
mod failures;
mod lines;
mod path;
mod purchases;
mod wanted;

use hyper::Request;
use hyper::body::{Body, Bytes};
use hyper::header::{CACHE_CONTROL, HeaderValue};

use self::aside::Aside;
use self::authentication::Guard;
use self::bodies::BodyRoom;
pub(super) use self::path::AdminPath;
pub use self::wanted::SaleDefaults;
use super::answer::Answer;
use super::problem::Problem;
use super::route::Path;
use super::{Api, Peer};
use crate::env::Secret;
use crate::sale::Engine;
use crate::types::Lsn;

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// What all workers share for administration.
#[derive(Debug)]
pub struct Administration {
    guard: Guard,
    bodies: BodyRoom,
    aside: Aside,
    defaults: SaleDefaults,
}

impl Administration {
    /// Administration for whoever knows `token`. To be
    /// made by a thread that may run on all cores, because its own threads run where that one does.
    #[must_use]
    pub fn new(token: Secret, defaults: SaleDefaults) -> Self {
        Self {
            guard: Guard::new(token),
            bodies: BodyRoom::default(),
            aside: Aside::new(),
            defaults,
        }
    }
}

/// Answers a request of administration.
pub(super) async fn answer<B>(
    api: &Api,
    request: Request<B>,
    peer: &Peer,
) -> Result<Answer, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    let (head, body) = request.into_parts();
    let now_us = api.engine.clock().monotonic_us();
    let guard = &api.administration.guard;
    guard.check(peer, &head.headers, now_us)?;
    let mut answer = match Path::parse(head.uri.path()) {
        Path::Admin(AdminPath::Sales) => creation::create(api, &head, body, peer).await,
        Path::Admin(AdminPath::Close(sale)) => closing::close(api, sale).await,
        Path::Admin(AdminPath::Purchases(sale)) => purchases::list(api, sale, &head.uri).await,
        Path::Admin(AdminPath::Checkout(code)) => checkouts::show(api, code).await,
        _ => Err(Problem::not_found()),
    }?;
    let headers = answer.response.headers_mut();
    headers.insert(CACHE_CONTROL, NO_STORE);
    Ok(answer)
}

/// Suspends until everything is durable that was decided so far, which is to be shown.
async fn all_durable(api: &Api) -> Result<(), Problem> {
    let decided = Lsn(api.engine.journal().status().appended_lsn);
    api.durable(Some(decided)).await
}

/// An error when nothing is recorded at the moment, for what would have to be.
fn check_available(engine: &Engine) -> Result<(), Problem> {
    if engine.is_draining() {
        return Err(Problem::draining());
    }
    if !engine.journal().is_writable() {
        return Err(Problem::journal_unavailable());
    }
    Ok(())
}
