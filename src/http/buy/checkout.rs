//! `POST /checkout`

use std::io::Write;

use super::{ArchivedRequest, Decided, SellDecision, SellRequest, idempotency, proof};
use crate::http::answer::Answer;
use crate::http::json::{self, write_code, write_number, write_time};
use crate::http::parameters::{Field, Parameters};
use crate::http::problem::Problem;
use crate::http::stopwatch::Stopwatch;
use crate::http::values::{Whole, not_up_to};
use crate::limits::ITEMS_PER_USER_MAX;
use crate::sale::{CheckoutOutcome, CheckoutRequest, Decision, Engine, Sale};
use crate::telemetry::{Outcome, Stage};
use crate::types::{CheckoutCode, IdempotencyKey, ItemId, SaleId, Timestamp, UserId};

/// A checkout that may have been answered before, in a sale that has left memory.
pub(in crate::http) struct ArchivedCheckout {
    sale: SaleId,
    user: String,
    item: String,
    quantity: u32,
    key: Option<String>,
}

impl ArchivedCheckout {
    fn new(sale: SaleId, request: &CheckoutRequest<'_>) -> Self {
        Self {
            sale,
            user: request.user.as_str().to_owned(),
            item: request.item.as_str().to_owned(),
            quantity: request.quantity,
            key: request.key.map(|key| key.as_str().to_owned()),
        }
    }

    /// The sale to load.
    pub(in crate::http) fn sale(&self) -> SaleId {
        self.sale
    }

    /// Decides on it, once its sale is loaded.
    pub(in crate::http) fn decide(
        &self,
        engine: &Engine,
        sale: &Sale,
    ) -> Result<Decision<CheckoutOutcome>, Problem> {
        let key = self.key.as_deref().map(IdempotencyKey::new).transpose();
        let parsed = (UserId::new(&self.user), ItemId::new(&self.item), key);
        let (Ok(user), Ok(item), Ok(key)) = parsed else {
            return Err(Problem::internal());
        };
        let request = CheckoutRequest {
            user,
            item,
            quantity: self.quantity,
            sale: Some(self.sale),
            key,
        };
        Ok(engine.checkout_of(sale, &request))
    }
}

/// Decides on a checkout: puts an item into a user's open checkout.
pub(in crate::http) fn decide(
    engine: &Engine,
    request: &SellRequest<'_>,
    watch: &mut Stopwatch<'_>,
) -> Result<Decided, Problem> {
    let mut parameters = Parameters::from_request(request.head, request.body);
    let quantity = parameters.optional(Field::Quantity).unwrap_or(Whole(1)).0;
    // No sale allows more.
    if !(1..=ITEMS_PER_USER_MAX).contains(&quantity) {
        parameters.wrong(Field::Quantity, not_up_to(ITEMS_PER_USER_MAX));
    }
    let sale = parameters.optional(Field::SaleId);
    let key = idempotency::key(&request.headers, &mut parameters);
    let asked = Asked {
        quantity,
        sale,
        key,
    };
    if let Some(authority) = request.authority {
        return proof::decide_checkout(engine, authority, request, (parameters, asked), watch);
    }
    let (user, item) = parameters.buyer_and_item()?;
    watch.lap(Stage::Parse);
    if request.limits.is_some() && !engine.refuses_everybody(item, sale) {
        request.admit(Some(user.as_str()))?;
    }
    let request = asked.by(user, item);
    let decision = engine.checkout(&request);
    watch.lap(Stage::Decide);
    Ok(decided(decision, &request))
}

/// What a checkout is asked for, besides its user and item.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) quantity: u32,
    pub(super) sale: Option<SaleId>,
    pub(super) key: Option<IdempotencyKey<'a>>,
}

impl<'a> Asked<'a> {
    /// Returns the request of `user` for `item`.
    #[inline]
    pub(super) fn by(self, user: UserId<'a>, item: ItemId<'a>) -> CheckoutRequest<'a> {
        let Self {
            quantity,
            sale,
            key,
        } = self;
        CheckoutRequest {
            user,
            item,
            quantity,
            sale,
            key,
        }
    }
}

/// A decision on `request`, whose sale may have to be loaded first.
#[inline]
pub(super) fn decided(
    decision: Decision<CheckoutOutcome>,
    request: &CheckoutRequest<'_>,
) -> Decided {
    match decision.outcome {
        CheckoutOutcome::SaleArchived(sale) => {
            let archived = ArchivedCheckout::new(sale, request);
            Decided::Archived(Box::new(ArchivedRequest::Checkout(archived)))
        }
        _ => decided_now(decision),
    }
}

/// A decision that needs no sale to be loaded.
#[inline]
pub(super) fn decided_now(decision: Decision<CheckoutOutcome>) -> Decided {
    Decided::Now(SellDecision::Checkout(decision))
}

impl TryFrom<CheckoutOutcome> for Answer {
    type Error = Problem;

    fn try_from(outcome: CheckoutOutcome) -> Result<Self, Problem> {
        Err(match outcome {
            CheckoutOutcome::Accepted {
                code,
                items_count,
                sale_ends_at,
                held_until,
                replayed,
            } => {
                let outcome = if replayed {
                    Outcome::Replayed
                } else {
                    Outcome::Accepted
                };
                let body = json::body(|out| {
                    write_checkout(code, items_count, sale_ends_at, held_until, out);
                });
                return Ok(Self::json(outcome, body));
            }
            CheckoutOutcome::ItemNotFound => Problem::item_not_found(),
            CheckoutOutcome::QuantityNotAllowed { max } => {
                Problem::validation(vec![("quantity".into(), not_up_to(max).into())])
            }
            CheckoutOutcome::SaleNotActive => Problem::sale_not_active(),
            CheckoutOutcome::SalePaused => {
                Problem::bad_request(Outcome::SalePaused, "The sale is paused")
            }
            CheckoutOutcome::UserLimitExceeded { limit } => {
                let message = "The limit of items per user is reached";
                let mut members = b",\"limit\":".to_vec();
                write_number(limit, &mut members);
                Problem::bad_request(Outcome::UserLimitExceeded, message).with_members(members)
            }
            CheckoutOutcome::ItemLimitExceeded { limit } => {
                let message = "The limit of this item per user is reached";
                let mut members = b",\"limit\":".to_vec();
                write_number(limit, &mut members);
                Problem::bad_request(Outcome::ItemLimitExceeded, message).with_members(members)
            }
            CheckoutOutcome::ItemAlreadyInCheckout { code } => {
                let message = "This item is already in your checkout or bought";
                let mut members = Vec::new();
                if let Some(code) = code {
                    members.extend_from_slice(b",\"code\":\"");
                    write_code(code, &mut members);
                    members.push(b'"');
                }
                Problem::bad_request(Outcome::ItemAlreadyInCheckout, message).with_members(members)
            }
            CheckoutOutcome::PaymentUnderWay => {
                let message = "Your checkout is being paid, and takes no more items";
                Problem::conflict(Outcome::PaymentUnderWay, message)
            }
            CheckoutOutcome::IdempotencyKeyReused => {
                let message = "This Idempotency-Key came with another item or quantity before";
                Problem::conflict(Outcome::IdempotencyKeyReused, message)
            }
            CheckoutOutcome::SaleArchived(_) => Problem::internal(),
            CheckoutOutcome::ItemSoldOut => {
                Problem::conflict(Outcome::ItemSoldOut, "This item is sold out")
            }
            CheckoutOutcome::ItemHeld {
                retry_after_seconds,
            } => {
                let message = "This item is held by other buyers at the moment";
                Problem::conflict(Outcome::ItemHeld, message).retry_after(retry_after_seconds)
            }
            CheckoutOutcome::Unavailable(reason) => reason.into(),
        })
    }
}

fn write_checkout(
    code: CheckoutCode,
    items_count: u32,
    sale_ends_at: Timestamp,
    held_until: Option<Timestamp>,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"{\"code\":\"");
    write_code(code, out);
    out.extend_from_slice(b"\",\"items_count\":");
    write_number(items_count, out);
    out.extend_from_slice(b",\"sale_ends_at\":\"");
    write_time(sale_ends_at, out);
    if let Some(until) = held_until {
        out.extend_from_slice(b"\",\"held_until\":\"");
        // Each checkout has its own time: it would only displace kept texts.
        write!(out, "{until}").expect("writing into memory cannot fail");
    }
    out.extend_from_slice(b"\"}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RefusedReason;

    #[test]
    fn every_refused_reason_has_an_answer_of_its_name() {
        let retry_after_seconds = 1;
        let refusals = [
            CheckoutOutcome::ItemNotFound,
            CheckoutOutcome::SaleNotActive,
            CheckoutOutcome::UserLimitExceeded { limit: 1 },
            CheckoutOutcome::ItemAlreadyInCheckout { code: None },
            CheckoutOutcome::ItemSoldOut,
            CheckoutOutcome::ItemHeld {
                retry_after_seconds,
            },
            CheckoutOutcome::IdempotencyKeyReused,
            CheckoutOutcome::SalePaused,
            CheckoutOutcome::ItemLimitExceeded { limit: 1 },
            CheckoutOutcome::PaymentUnderWay,
            CheckoutOutcome::QuantityNotAllowed { max: 1 },
        ];
        let reasons = refusals.map(|refusal| {
            let reason = refusal.refused_reason().expect("a refusal");
            let problem = Answer::try_from(refusal).expect_err("an error");
            assert_eq!(problem.outcome(), Outcome::from(reason));
            reason
        });
        assert_eq!(reasons, RefusedReason::ALL);
    }
}
