//! `POST /admin/checkouts/{code}/confirm`

use super::checkouts::given_code;
use crate::http::answer::Answer;
use crate::http::body;
use crate::http::buy::purchase::{all_items_sold, already_processed, checkout_expired};
use crate::http::buy::purchase_result::write_purchase;
use crate::http::json;
use crate::http::parameters::{Field, Parameters};
use crate::http::problem::Problem;
use crate::http::routes::RoutedRequest;
use crate::http::values::{Flag, GivenReference};
use crate::sale::{ConfirmOutcome, ConfirmRequest, Sale};
use crate::telemetry::Outcome;
use crate::types::Reference;

/// Confirms the payment of a checkout, which purchases what is in it.
pub(in crate::http) async fn confirm(request: RoutedRequest<'_>) -> Result<Answer, Problem> {
    let (api, code) = (request.api, given_code(request.names[0])?);
    let body = body::read(&request.head.headers, &mut *request.body).await?;
    let mut parameters = Parameters::from_request(request.head, &body);
    let payment_ref = parameters.required(Field::PaymentRef);
    let late = parameters.optional(Field::Late);
    parameters.check()?;
    let GivenReference(payment_ref) = payment_ref.ok_or_else(Problem::internal)?;
    let code = code.ok_or_else(Problem::checkout_not_found)?;
    let request = ConfirmRequest {
        code,
        payment_ref: Reference::new(&payment_ref).map_err(|_| Problem::internal())?,
        late: late.is_some_and(|Flag(set)| set),
    };
    let decided = api.engine.confirm(&request);
    let again = |sale: &Sale| api.engine.confirm_of(sale, &request);
    let (outcome, sale) = super::settled(api, code, decided, again).await?;
    answer(outcome, sale.as_deref())
}

fn answer(outcome: ConfirmOutcome, sale: Option<&Sale>) -> Result<Answer, Problem> {
    let sale = || sale.ok_or_else(Problem::internal);
    Err(match outcome {
        ConfirmOutcome::Processed { result, replayed } if result.any_sold() => {
            let outcome = match replayed {
                true => Outcome::Replayed,
                false => Outcome::Sold,
            };
            let sale = sale()?;
            let body = json::body(|out| write_purchase(sale, &result, out));
            return Ok(Answer::json(outcome, body));
        }
        ConfirmOutcome::Processed { result, .. } => all_items_sold(sale()?, &result),
        ConfirmOutcome::CheckoutNotFound => Problem::checkout_not_found(),
        ConfirmOutcome::SaleNotActive => Problem::sale_not_active(),
        ConfirmOutcome::SaleArchived => Problem::internal(),
        ConfirmOutcome::CheckoutExpired => checkout_expired(),
        ConfirmOutcome::AlreadyProcessed {
            result,
            payment_ref,
        } => already_processed(sale()?, &result, payment_ref.as_deref()),
        ConfirmOutcome::Unavailable(reason) => reason.into(),
    })
}
