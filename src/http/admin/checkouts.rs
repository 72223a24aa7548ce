//! `GET /admin/checkouts/{code}`

use super::checkout_items::{write_cancellations, write_chosen, write_purchased};
use crate::http::answer::Answer;
use crate::http::buy::purchase_result::write_purchase;
use crate::http::encoding::decode;
use crate::http::json::{self, write_code, write_number, write_string, write_time};
use crate::http::problem::Problem;
use crate::http::routes::RoutedRequest;
use crate::http::sales::write_sale;
use crate::http::values::GivenCode;
use crate::sale::{CheckoutState, CheckoutView, Overview, Sale, SaleStatus};
use crate::telemetry::Outcome;
use crate::types::{CheckoutCode, Malformed, Timestamp};

/// The state of a checkout.
pub(in crate::http) async fn show(request: RoutedRequest<'_>) -> Result<Answer, Problem> {
    let (api, code) = (request.api, given_code(request.names[0])?);
    let code = code.ok_or_else(Problem::checkout_not_found)?;
    let sale = api.find_sale_of_checkout(code.sale).await?;
    let checkout = sale.checkout_view(code.secret);
    let checkout = checkout.ok_or_else(Problem::checkout_not_found)?;
    super::all_durable(api).await?;
    let clock = api.engine.clock();
    let (now, steady) = (clock.now(), clock.steady());
    let by_wall_clock = |held_until: Timestamp| Timestamp(now.0 + (held_until.0 - steady.0));
    let body = json::body(|out| {
        write_checkout(&sale, &checkout, now, by_wall_clock, out);
    });
    Ok(Answer::json(Outcome::Ok, body))
}

/// Parses the code of the checkout that a path names; `None` where no checkout can have it.
pub(super) fn given_code(code: &str) -> Result<Option<CheckoutCode>, Problem> {
    let parsed = decode(code).and_then(|code| code.parse());
    parsed
        .map(|GivenCode(code)| code)
        .map_err(|Malformed(wrong)| Problem::validation(vec![("code".into(), wrong.into())]))
}

fn write_checkout(
    sale: &Sale,
    checkout: &CheckoutView,
    now: Timestamp,
    by_wall_clock: impl Fn(Timestamp) -> Timestamp,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"{\"code\":\"");
    write_code(checkout.code, out);
    out.extend_from_slice(b"\",\"sale_id\":\"");
    write_number(sale.id().0, out);
    out.extend_from_slice(b"\",\"user_id\":");
    write_string(&checkout.user, out);
    out.extend_from_slice(b",\"status\":");
    let state = &checkout.state;
    write_string(status(state, sale.status(now)), out);
    match state {
        CheckoutState::Purchased {
            at, payment_ref, ..
        } => {
            write_moment("purchased_at", *at, out);
            if let Some(payment_ref) = payment_ref {
                out.extend_from_slice(b",\"payment_ref\":");
                write_string(payment_ref, out);
            }
        }
        CheckoutState::Expired { at, .. } => write_moment("expired_at", *at, out),
        CheckoutState::Open {
            opened_at,
            held_until,
            ..
        } => {
            write_moment("opened_at", *opened_at, out);
            if let Some(until) = held_until {
                write_moment("held_until", by_wall_clock(*until), out);
            }
        }
    }
    out.extend_from_slice(b",\"sale\":");
    write_sale(&Overview::of(sale, now), out);
    write_contents(sale, state, out);
    out.push(b'}');
}

fn status(state: &CheckoutState, sale: SaleStatus) -> &'static str {
    match state {
        CheckoutState::Open { is_paid: true, .. } => "payment_under_way",
        CheckoutState::Open { .. } if sale == SaleStatus::Ended => "closed",
        CheckoutState::Open { .. } => "open",
        CheckoutState::Purchased { .. } => "purchased",
        CheckoutState::Expired { .. } => "expired",
    }
}

/// Appends the items of the checkout, as far as they are known, and the result of its purchase.
fn write_contents(sale: &Sale, state: &CheckoutState, out: &mut Vec<u8>) {
    match state {
        CheckoutState::Open { lines, .. } => {
            let lines = lines.iter();
            let lines = lines.map(|line| (line.item, line.quantity));
            write_chosen(sale, lines, out);
        }
        CheckoutState::Expired { lines, .. } if lines.is_empty() => {}
        CheckoutState::Expired { lines, .. } => {
            write_chosen(sale, lines.iter().copied(), out);
        }
        CheckoutState::Purchased {
            result, cancelled, ..
        } => {
            write_purchased(sale, &result.lines, out);
            write_cancellations(sale, cancelled, out);
            out.extend_from_slice(b",\"result\":");
            write_purchase(sale, result, out);
        }
    }
}

fn write_moment(name: &str, at: Timestamp, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":\"");
    write_time(at, out);
    out.push(b'"');
}
