//! `POST /purchase`

use std::sync::Arc;

use hyper::header::HeaderMap;
use hyper::http::request::Parts;

use super::answer::{self, ALL_ITEMS_SOLD, Answer, write_purchase, write_purchased_items};
use super::checkout::sale_not_active;
use super::parameters::{Field, GivenCode, Parameters};
use super::problem::Problem;
use super::stopwatch::Stopwatch;
use crate::sale::outcome::PurchaseResult;
use crate::sale::{Decision, Engine, PurchaseOutcome, Sale};
use crate::telemetry::{Outcome, Stage};
use crate::types::{CheckoutCode, IdempotencyKey, Malformed, SaleId};

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What came of a purchase.
pub(super) enum Decided {
    /// It was decided, in this sale.
    Now(SaleId, Decision<PurchaseOutcome>),
    /// The sale has to be loaded first.
    Archived(Box<Archived>),
}

/// The purchase of a checkout whose sale has left memory.
pub(super) struct Archived {
    code: CheckoutCode,
    key: Option<Box<str>>,
}

/// Sells what is in a checkout.
pub(super) fn decide(
    engine: &Engine,
    head: &Parts,
    body: &[u8],
    watch: &mut Stopwatch<'_>,
) -> Result<Decided, Problem> {
    let mut parameters = Parameters::from_request(head, body);
    let code: Option<GivenCode> = parameters.required(Field::Code);
    let key = idempotency_key(&head.headers).unwrap_or_else(|wrong| {
        parameters.wrong_as("idempotency_key", wrong.0);
        None
    });
    parameters.check()?;
    let GivenCode(code) = code.ok_or_else(Problem::internal)?;
    let code = code.ok_or_else(checkout_not_found)?;
    watch.lap(Stage::Parse);
    let decision = engine.purchase(code, key);
    watch.lap(Stage::Decide);
    if decision.outcome == PurchaseOutcome::SaleArchived {
        let key = key.map(|key| key.as_str().into());
        return Ok(Decided::Archived(Box::new(Archived { code, key })));
    }
    Ok(Decided::Now(code.sale, decision))
}

impl Archived {
    /// The sale.
    pub(super) fn sale(&self) -> SaleId {
        self.code.sale
    }

    /// What came of it, once the sale is loaded.
    pub(super) fn decide(&self, engine: &Engine, sale: &Sale) -> Decision<PurchaseOutcome> {
        let key = self
            .key
            .as_deref()
            .and_then(|key| IdempotencyKey::new(key).ok());
        engine.purchase_of(sale, self.code, key)
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey<'_>>, Malformed> {
    let mut given = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = given.next() else {
        return Ok(None);
    };
    if given.next().is_some() {
        return Err(Malformed("must be given only once"));
    }
    // An empty key has the wrong length, as has one that is not ASCII the wrong characters.
    IdempotencyKey::new(key.to_str().unwrap_or_default()).map(Some)
}

/// Whether the answer names items of the sale.
pub(super) fn names_items(outcome: &PurchaseOutcome) -> bool {
    matches!(
        outcome,
        PurchaseOutcome::Processed { .. } | PurchaseOutcome::AlreadyProcessed { .. }
    )
}

/// Says what came of it. The sale is needed where items are named.
pub(super) fn answer(sale: Option<Arc<Sale>>, outcome: PurchaseOutcome) -> Result<Answer, Problem> {
    let sale = || sale.ok_or_else(Problem::internal);
    Err(match outcome {
        PurchaseOutcome::Processed { result, replayed } if result.any_sold() => {
            let outcome = if replayed {
                Outcome::Replayed
            } else {
                Outcome::Sold
            };
            let sale = sale()?;
            let body = answer::body(|out| write_purchase(&sale, &result, out));
            return Ok(Answer::json(outcome, body));
        }
        PurchaseOutcome::Processed { result, .. } => all_items_sold(&*sale()?, &result),
        PurchaseOutcome::SaleArchived => Problem::internal(),
        PurchaseOutcome::CheckoutNotFound => checkout_not_found(),
        PurchaseOutcome::SaleNotActive => sale_not_active(),
        PurchaseOutcome::CheckoutExpired => {
            Problem::conflict(Outcome::CheckoutExpired, "This checkout has expired")
        }
        PurchaseOutcome::AlreadyProcessed { result } => {
            let mut members = b",\"result\":".to_vec();
            write_purchase(&*sale()?, &result, &mut members);
            let message = "This checkout was already processed";
            Problem::conflict(Outcome::AlreadyProcessed, message).with_members(members)
        }
        PurchaseOutcome::Unavailable(reason) => reason.into(),
    })
}

/// No checkout has this code.
pub(super) fn checkout_not_found() -> Problem {
    Problem::missing(Outcome::CheckoutNotFound, "Checkout not found")
}

fn all_items_sold(sale: &Sale, result: &PurchaseResult) -> Problem {
    let mut members = Vec::new();
    write_purchased_items(sale, result, &mut members);
    Problem::conflict(Outcome::AllItemsSold, ALL_ITEMS_SOLD).with_members(members)
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn headers(keys: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for key in keys {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_static(key));
        }
        headers
    }

    #[test]
    fn a_key_is_given_at_most_once_and_well_formed() {
        assert_eq!(idempotency_key(&headers(&[])), Ok(None));
        let key = IdempotencyKey::new("k-1").expect("a key");
        assert_eq!(idempotency_key(&headers(&["k-1"])), Ok(Some(key)));
        for wrong in [&["a", "b"][..], &["a", "a"], &[""], &["a b"]] {
            assert!(idempotency_key(&headers(wrong)).is_err(), "{wrong:?}");
        }
        let mut not_ascii = HeaderMap::new();
        let value = HeaderValue::from_bytes(b"\xff").expect("opaque bytes are allowed");
        not_ascii.insert(IDEMPOTENCY_KEY, value);
        assert!(idempotency_key(&not_ascii).is_err());
    }
}
