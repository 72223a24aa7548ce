//! Administration: `/admin/…`
//!
//! **Invariants.** Nothing of a request but its path and method is read before the token is checked. What blocks, or
//! takes long, runs on a thread of its own, so that buyers never wait for an administrator; the number of these
//! threads, and the memory of their requests, are bounded.

pub(super) mod cancel_purchase;
pub(super) mod change_sale;
pub(super) mod change_stock;
pub(super) mod checkouts;
pub(super) mod close_sale;
pub(super) mod confirm;
pub(super) mod create_sale;
pub(super) mod events;
pub(super) mod hand_over;
pub(super) mod purchases;

mod authentication;
mod blocking_pool;
mod body_limits;
mod checkout_items;
mod create_request;
mod failures;
mod json_document;
mod purchases_csv;

use std::sync::Arc;

use self::authentication::Authenticator;
pub(super) use self::authentication::TokenHolder;
use self::blocking_pool::BlockingPool;
use self::body_limits::BodyLimits;
use super::answer::Answer;
use super::api::Api;
use super::problem::Problem;
use super::routes::{HandlerFuture, RoutedRequest};
use crate::env::Secret;
use crate::limits::{ADMIN_THREADS_MAX, EXPORTS_MAX};
use crate::sale::outcome::CodeOutcome;
use crate::sale::{Decision, Engine, Sale, SaleDecision};
use crate::schedule::Rotation;
use crate::types::CheckoutCode;

/// The state of administration, which all workers share.
#[derive(Debug)]
pub struct Administration {
    authenticator: Authenticator,
    body_limits: BodyLimits,
    blocking_pool: BlockingPool,
    /// The threads of exports, which live for as long as their clients take.
    export_pool: BlockingPool,
    /// The terms of a new sale that its request does not give.
    defaults: Rotation,
}

impl Administration {
    /// Creates an administration whose token is `token`. Must be called on a thread that may run on all cores, because
    /// the threads of the pool run where that one does.
    #[must_use]
    pub fn new(token: Secret, defaults: Rotation) -> Self {
        Self {
            authenticator: Authenticator::new(token),
            body_limits: BodyLimits::default(),
            blocking_pool: BlockingPool::of(ADMIN_THREADS_MAX),
            export_pool: BlockingPool::of(EXPORTS_MAX),
            defaults,
        }
    }

    /// Sets the token of the shop. It opens what is for shops, and nothing else.
    #[must_use]
    pub fn with_shop_token(self, token: Option<Secret>) -> Self {
        Self {
            authenticator: self.authenticator.with_shop_token(token),
            ..self
        }
    }
}

/// Answers a request with `handler`, if it has the token of `least`, or of an administrator.
pub(super) async fn answer<'r>(
    handler: fn(RoutedRequest<'r>) -> HandlerFuture<'r>,
    request: RoutedRequest<'r>,
    least: TokenHolder,
) -> Result<Answer, Problem> {
    let now_us = request.api.engine.clock().monotonic_us();
    let authenticator = &request.api.administration.authenticator;
    authenticator.check(
        request.client_address(),
        &request.head.headers,
        least,
        now_us,
    )?;
    Ok(handler(request).await?.not_stored())
}

/// Suspends until everything is durable that was decided so far, and which the answer shows.
async fn all_durable(api: &Api) -> Result<(), Problem> {
    api.durable(Some(api.engine.newest_lsn())).await
}

/// Returns what was decided about a checkout, with its sale, once that is on the disk. Where the sale has left memory, it is loaded and
/// `again` decides in it.
async fn settled<T: CodeOutcome>(
    api: &Api,
    code: CheckoutCode,
    decided: SaleDecision<T>,
    again: impl FnOnce(&Sale) -> Decision<T>,
) -> Result<(T, Option<Arc<Sale>>), Problem> {
    let SaleDecision { outcome, lsn, sale } = decided;
    let (Decision { outcome, lsn }, sale) = if outcome == T::SALE_ARCHIVED {
        let sale = api.find_sale_of_checkout(code.sale).await?;
        (again(&sale), Some(sale))
    } else {
        (Decision { outcome, lsn }, sale)
    };
    api.durable(lsn).await?;
    Ok((outcome, sale))
}

/// Fails when the engine records nothing at the moment, for a request that must be recorded.
fn check_available(engine: &Engine) -> Result<(), Problem> {
    if engine.is_draining() {
        return Err(Problem::draining());
    }
    if !engine.is_writable() {
        return Err(Problem::journal_unavailable());
    }
    Ok(())
}
