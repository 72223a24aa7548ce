//! `POST /checkout`

use hyper::http::request::Parts;

use super::answer::{self, Answer, write_code, write_number, write_time};
use super::parameters::{Field, Parameters, Whole};
use super::problem::Problem;
use super::stopwatch::Stopwatch;
use crate::limits::ITEMS_PER_USER_MAX;
use crate::sale::{CheckoutOutcome, CheckoutRequest, Decision, Engine};
use crate::telemetry::{Outcome, Stage};

/// Puts an item into a user's open checkout.
pub(super) fn decide(
    engine: &Engine,
    head: &Parts,
    body: &[u8],
    watch: &mut Stopwatch<'_>,
) -> Result<Decision<CheckoutOutcome>, Problem> {
    let mut parameters = Parameters::from_request(head, body);
    let quantity = parameters.optional(Field::Quantity).unwrap_or(Whole(1)).0;
    // Whatever the sale allows.
    if !(1..=ITEMS_PER_USER_MAX).contains(&quantity) {
        parameters.wrong(
            Field::Quantity,
            format!("must be 1 to {ITEMS_PER_USER_MAX}"),
        );
    }
    let sale = parameters.optional(Field::SaleId);
    let (user, item) = parameters.buyer_and_item()?;
    watch.lap(Stage::Parse);
    let decision = engine.checkout(&CheckoutRequest {
        user,
        item,
        quantity,
        sale,
    });
    watch.lap(Stage::Decide);
    Ok(decision)
}

impl TryFrom<CheckoutOutcome> for Answer {
    type Error = Problem;

    fn try_from(outcome: CheckoutOutcome) -> Result<Self, Problem> {
        Err(match outcome {
            CheckoutOutcome::Accepted {
                code,
                items_count,
                sale_ends_at,
            } => {
                let body = answer::body(|out| {
                    out.extend_from_slice(b"{\"code\":\"");
                    write_code(code, out);
                    out.extend_from_slice(b"\",\"items_count\":");
                    write_number(items_count, out);
                    out.extend_from_slice(b",\"sale_ends_at\":\"");
                    write_time(sale_ends_at, out);
                    out.extend_from_slice(b"\"}");
                });
                return Ok(Self::json(Outcome::Accepted, body));
            }
            CheckoutOutcome::ItemNotFound => {
                Problem::missing(Outcome::ItemNotFound, "Item not found")
            }
            CheckoutOutcome::QuantityNotAllowed { max } => {
                let wrong = format!("must be 1 to {max}");
                Problem::validation(vec![("quantity".into(), wrong.into())])
            }
            CheckoutOutcome::SaleNotActive => sale_not_active(),
            CheckoutOutcome::UserLimitExceeded { limit } => {
                let message = "The limit of items per user is reached";
                let mut members = b",\"limit\":".to_vec();
                write_number(limit, &mut members);
                Problem::bad_request(Outcome::UserLimitExceeded, message).with_members(members)
            }
            CheckoutOutcome::ItemAlreadyInCheckout => {
                let message = "This item is already in your checkout or bought";
                Problem::bad_request(Outcome::ItemAlreadyInCheckout, message)
            }
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

/// A sale that has not begun or is over.
pub(super) fn sale_not_active() -> Problem {
    Problem::bad_request(Outcome::SaleNotActive, "The sale is not active")
}
