//! `POST /payment`

use std::io::Write;

use super::contents::{known, write_lines};
use super::purchase::{all_items_sold, already_processed, checkout_expired};
use super::{ArchivedRequest, Decided, SellDecision, SellRequest};
use crate::http::answer::Answer;
use crate::http::json::{self, write_code};
use crate::http::parameters::{Field, Parameters};
use crate::http::problem::Problem;
use crate::http::stopwatch::Stopwatch;
use crate::sale::{BegunPayment, Engine, PaymentOutcome, Sale};
use crate::telemetry::{Outcome, Stage};

/// Begins the payment of a checkout.
pub(in crate::http) fn begin(
    engine: &Engine,
    request: &SellRequest<'_>,
    watch: &mut Stopwatch<'_>,
) -> Result<Decided, Problem> {
    let mut parameters = Parameters::from_request(request.head, request.body);
    let code = parameters.required(Field::Code);
    parameters.check()?;
    let code = known(code)?;
    watch.lap(Stage::Parse);
    request.admit(None)?;
    let owner = request.owner_of(code, engine)?;
    let decision = engine.begin_payment(code);
    watch.lap(Stage::Decide);
    Ok(match decision.outcome {
        PaymentOutcome::SaleArchived => {
            Decided::Archived(Box::new(ArchivedRequest::Payment(code, owner)))
        }
        _ => Decided::Now(SellDecision::Payment(decision)),
    })
}

/// Returns the answer to who begins a payment. It needs the sale where the outcome names items.
pub(in crate::http) fn answer(
    outcome: PaymentOutcome,
    sale: Option<&Sale>,
) -> Result<Answer, Problem> {
    let sale = || sale.ok_or_else(Problem::internal);
    Err(match outcome {
        PaymentOutcome::Begun(payment) => {
            let sale = sale()?;
            let body = json::body(|out| write_payment(sale, &payment, out));
            return Ok(Answer::json(Outcome::Ok, body).not_stored());
        }
        PaymentOutcome::AllItemsSold { result } => all_items_sold(sale()?, &result),
        PaymentOutcome::NotOffered => {
            let message = "This sale reserves nothing for payments: purchase at once";
            Problem::bad_request(Outcome::PaymentNotOffered, message)
        }
        PaymentOutcome::CheckoutNotFound => Problem::checkout_not_found(),
        PaymentOutcome::SaleNotActive => Problem::sale_not_active(),
        PaymentOutcome::SaleArchived => Problem::internal(),
        PaymentOutcome::CheckoutExpired => checkout_expired(),
        PaymentOutcome::AlreadyProcessed { result } => already_processed(sale()?, &result, None),
        PaymentOutcome::Unavailable(reason) => reason.into(),
    })
}

fn write_payment(sale: &Sale, payment: &BegunPayment, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"code\":\"");
    write_code(payment.code, out);
    out.extend_from_slice(b"\",\"items\":");
    write_lines(sale, &payment.lines, out);
    out.extend_from_slice(b",\"held_until\":\"");
    // Each payment has its own time: it would only displace kept texts.
    write!(out, "{}", payment.held_until).expect("writing into memory cannot fail");
    out.extend_from_slice(b"\"}");
}
