//! `POST /purchase`

use hyper::StatusCode;

use super::idempotency;
use super::proof::{Owner, check_owner};
use super::purchase_result::{ALL_ITEMS_SOLD, write_purchase, write_purchased_items};
use super::{ArchivedRequest, Decided, SellDecision, SellRequest};
use crate::http::answer::Answer;
use crate::http::json::{self, write_string};
use crate::http::parameters::{Field, Parameters};
use crate::http::problem::Problem;
use crate::http::stopwatch::Stopwatch;
use crate::http::values::GivenCode;
use crate::sale::outcome::PurchaseResult;
use crate::sale::{Decision, Engine, PurchaseOutcome, Sale};
use crate::telemetry::{Outcome, Stage};
use crate::types::{CheckoutCode, IdempotencyKey, SaleId};

/// The purchase of a checkout whose sale has left memory.
pub(in crate::http) struct ArchivedPurchase {
    code: CheckoutCode,
    key: Option<Box<str>>,
    owner: Owner,
}

/// Decides on a purchase: sells what is in a checkout.
pub(in crate::http) fn decide(
    engine: &Engine,
    request: &SellRequest<'_>,
    watch: &mut Stopwatch<'_>,
) -> Result<Decided, Problem> {
    let mut parameters = Parameters::from_request(request.head, request.body);
    let code: Option<GivenCode> = parameters.required(Field::Code);
    let key = idempotency::key(&request.headers, &mut parameters);
    parameters.check()?;
    let GivenCode(code) = code.ok_or_else(Problem::internal)?;
    let code = code.ok_or_else(Problem::checkout_not_found)?;
    watch.lap(Stage::Parse);
    // A token costs more than the answer that the sale is over.
    let has_token = request.authority.is_some();
    if request.limits.is_some() && (has_token || !engine.has_closed(code.sale)) {
        request.admit(None)?;
    }
    let owner = request.owner_of(code, engine)?;
    let decision = engine.purchase(code, key);
    watch.lap(Stage::Decide);
    if decision.outcome == PurchaseOutcome::SaleArchived {
        let key = key.map(|key| key.as_str().into());
        let archived = ArchivedRequest::Purchase(ArchivedPurchase { code, key, owner });
        return Ok(Decided::Archived(Box::new(archived)));
    }
    Ok(Decided::Now(SellDecision::Purchase(decision)))
}

impl ArchivedPurchase {
    /// The sale to load.
    pub(in crate::http) fn sale(&self) -> SaleId {
        self.code.sale
    }

    /// Decides on it, once its sale is loaded.
    pub(in crate::http) fn decide(
        &self,
        engine: &Engine,
        sale: &Sale,
    ) -> Result<Decision<PurchaseOutcome>, Problem> {
        check_owner(&self.owner, self.code, sale)?;
        let key = self
            .key
            .as_deref()
            .and_then(|key| IdempotencyKey::new(key).ok());
        Ok(engine.purchase_of(sale, self.code, key))
    }
}

/// Returns the answer to a purchase. It needs the sale where the outcome names items.
pub(in crate::http) fn answer(
    outcome: PurchaseOutcome,
    sale: Option<&Sale>,
) -> Result<Answer, Problem> {
    let sale = || sale.ok_or_else(Problem::internal);
    Err(match outcome {
        PurchaseOutcome::Processed { result, replayed } if result.any_sold() => {
            let outcome = if replayed {
                Outcome::Replayed
            } else {
                Outcome::Sold
            };
            let sale = sale()?;
            let body = json::body(|out| write_purchase(sale, &result, out));
            return Ok(Answer::json(outcome, body));
        }
        PurchaseOutcome::Processed { result, .. } => all_items_sold(sale()?, &result),
        PurchaseOutcome::SaleArchived => Problem::internal(),
        PurchaseOutcome::CheckoutNotFound => Problem::checkout_not_found(),
        PurchaseOutcome::SaleNotActive => Problem::sale_not_active(),
        PurchaseOutcome::ShopConfirms => {
            let message = "In this sale the shop purchases, once the checkout is paid";
            Problem::new(StatusCode::FORBIDDEN, Outcome::ShopConfirms, message)
        }
        PurchaseOutcome::CheckoutExpired => checkout_expired(),
        PurchaseOutcome::AlreadyProcessed { result } => already_processed(sale()?, &result, None),
        PurchaseOutcome::Unavailable(reason) => reason.into(),
    })
}

/// The hold of a checkout has run out.
pub(in crate::http) fn checkout_expired() -> Problem {
    Problem::conflict(Outcome::CheckoutExpired, "This checkout has expired")
}

/// A checkout was purchased before, with this result; by the payment with this reference, where the shop asks for it.
pub(in crate::http) fn already_processed(
    sale: &Sale,
    result: &PurchaseResult,
    payment_ref: Option<&str>,
) -> Problem {
    let mut members = Vec::new();
    write_result(sale, result, &mut members);
    if let Some(payment_ref) = payment_ref {
        members.extend_from_slice(b",\"payment_ref\":");
        write_string(payment_ref, &mut members);
    }
    Problem::conflict(Outcome::AlreadyProcessed, ALREADY_PROCESSED).with_members(members)
}

/// The message to who uses a checkout that was purchased before.
pub(super) const ALREADY_PROCESSED: &str = "This checkout was already processed";

/// Appends the first answer to a purchase as the member `result`.
pub(super) fn write_result(sale: &Sale, result: &PurchaseResult, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"result\":");
    write_purchase(sale, result, out);
}

/// Nothing of a checkout was to be had.
pub(in crate::http) fn all_items_sold(sale: &Sale, result: &PurchaseResult) -> Problem {
    let mut members = Vec::new();
    write_purchased_items(sale, result, &mut members);
    Problem::conflict(Outcome::AllItemsSold, ALL_ITEMS_SOLD).with_members(members)
}
