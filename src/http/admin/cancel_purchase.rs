//! `POST /admin/checkouts/{code}/cancel`

use super::checkout_items::write_units;
use super::checkouts::given_code;
use crate::http::answer::Answer;
use crate::http::body;
use crate::http::json::{self, write_code, write_number};
use crate::http::parameters::{Field, Parameters};
use crate::http::problem::Problem;
use crate::http::routes::RoutedRequest;
use crate::http::values::{Flag, GivenReference, not_up_to};
use crate::record::ReleasedLine;
use crate::sale::{CancelOutcome, CancelRequest, Sale};
use crate::telemetry::Outcome;
use crate::types::{CheckoutCode, Reference};

/// Cancels a purchase, an item of it, or some units, once for each reference. Answers when that is on the disk.
pub(in crate::http) async fn cancel(request: RoutedRequest<'_>) -> Result<Answer, Problem> {
    let (api, code) = (request.api, given_code(request.names[0])?);
    let body = body::read(&request.head.headers, &mut *request.body).await?;
    let mut parameters = Parameters::from_request(request.head, &body);
    let reference: Option<GivenReference> = parameters.required(Field::Reference);
    let restock = parameters.optional(Field::Restock);
    let restock = restock.is_none_or(|Flag(set)| set);
    let quantity = parameters.quantity_of_item();
    let item = parameters.item()?;
    let GivenReference(reference) = reference.ok_or_else(Problem::internal)?;
    let code = code.ok_or_else(Problem::checkout_not_found)?;
    let wanted = CancelRequest {
        code,
        item,
        quantity,
        restock,
        reference: Reference::new(&reference).map_err(|_| Problem::internal())?,
    };
    let decided = api.engine.cancel(&wanted);
    let again = |sale: &Sale| api.engine.cancel_in(sale, &wanted);
    let (outcome, sale) = super::settled(api, code, decided, again).await?;
    let CancelOutcome::Cancelled { lines, replayed } = outcome else {
        return Err(outcome.into());
    };
    if !replayed {
        tracing::info!(sale = %code.sale, restock, "units of a purchase cancelled by the shop");
    }
    let sale = sale.ok_or_else(Problem::internal)?;
    Ok(Answer::json(Outcome::Ok, cancelled(&sale, code, &lines)))
}

fn cancelled(sale: &Sale, code: CheckoutCode, lines: &[ReleasedLine]) -> hyper::body::Bytes {
    let units: u64 = lines.iter().map(|line| u64::from(line.quantity)).sum();
    json::body(|out| {
        out.extend_from_slice(b"{\"code\":\"");
        write_code(code, out);
        out.push(b'"');
        write_units("cancelled", sale, lines, out);
        out.extend_from_slice(b",\"total_cancelled\":");
        write_number(units, out);
        out.push(b'}');
    })
}

impl From<CancelOutcome> for Problem {
    fn from(outcome: CancelOutcome) -> Self {
        match outcome {
            CancelOutcome::Cancelled { .. } | CancelOutcome::SaleArchived => Self::internal(),
            CancelOutcome::CheckoutNotFound => Self::checkout_not_found(),
            CancelOutcome::NotPurchased => {
                Self::conflict(Outcome::NotPurchased, "Nothing of this checkout was sold")
            }
            CancelOutcome::ItemNotPurchased => {
                let message = "This checkout did not buy such an item";
                Self::missing(Outcome::ItemNotInCheckout, message)
            }
            CancelOutcome::AlreadyCancelled => {
                let message = "All of that is cancelled already, by another ref";
                Self::conflict(Outcome::AlreadyCancelled, message)
            }
            CancelOutcome::QuantityNotAllowed { max } => {
                Self::validation(vec![("quantity".into(), not_up_to(max).into())])
            }
            CancelOutcome::ReferenceReused => Self::reference_reused(),
            CancelOutcome::SaleClosed => Self::conflict(Outcome::SaleClosed, "The sale is over"),
            CancelOutcome::Unavailable(reason) => reason.into(),
        }
    }
}
