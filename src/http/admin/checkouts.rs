//! `GET /admin/checkouts/{code}`

use super::lines::{write_chosen_lines, write_sold_lines};
use crate::http::Api;
use crate::http::answer::{
    self, Answer, write_code, write_number, write_purchase, write_string, write_time,
};
use crate::http::buy::purchase::checkout_not_found;
use crate::http::encoding::decode;
use crate::http::problem::Problem;
use crate::http::sales::write_sale;
use crate::http::values::GivenCode;
use crate::sale::{CheckoutState, CheckoutView, Overview, Sale, SaleStatus};
use crate::telemetry::Outcome;
use crate::types::{Malformed, Timestamp};

/// What became of a checkout.
pub(super) async fn show(api: &Api, code: &str) -> Result<Answer, Problem> {
    let GivenCode(code) = decode(code)
        .and_then(|code| code.parse())
        .map_err(|Malformed(wrong)| Problem::validation(vec![("code".into(), wrong.into())]))?;
    let code = code.ok_or_else(checkout_not_found)?;
    let sale = api.find_sale_of_checkout(code.sale).await?;
    let checkout = sale.checkout_view(code.secret);
    let checkout = checkout.ok_or_else(checkout_not_found)?;
    super::all_durable(api).await?;
    let clock = api.engine.clock();
    let (now, steady) = (clock.now(), clock.steady());
    let by_wall_clock = |held_until: Timestamp| Timestamp(now.0 + (held_until.0 - steady.0));
    let body = answer::body(|out| {
        write_checkout(&sale, &checkout, now, by_wall_clock, out);
    });
    Ok(Answer::json(Outcome::Ok, body))
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
        CheckoutState::Purchased { at, .. } => write_moment("purchased_at", *at, out),
        CheckoutState::Expired { at } => write_moment("expired_at", *at, out),
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
        CheckoutState::Open { .. } if sale == SaleStatus::Ended => "closed",
        CheckoutState::Open { .. } => "open",
        CheckoutState::Purchased { .. } => "purchased",
        CheckoutState::Expired { .. } => "expired",
    }
}

/// What is in the checkout, as far as it is known, and what was answered to its purchase.
fn write_contents(sale: &Sale, state: &CheckoutState, out: &mut Vec<u8>) {
    match state {
        CheckoutState::Open { lines, .. } => write_chosen_lines(sale, lines, out),
        CheckoutState::Expired { .. } => {}
        CheckoutState::Purchased { result, .. } => {
            write_sold_lines(sale, &result.lines, out);
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
