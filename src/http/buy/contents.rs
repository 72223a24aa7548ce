//! `GET /checkout` and `POST /release`

use std::io::Write;

use super::proof::Owner;
use super::purchase::{ALREADY_PROCESSED, checkout_expired, write_result};
use super::{ArchivedRequest, Decided, SellDecision, SellRequest};
use crate::http::answer::Answer;
use crate::http::json::{self, escape_from, write_code, write_number, write_time};
use crate::http::parameters::{Field, Parameters};
use crate::http::problem::Problem;
use crate::http::stopwatch::Stopwatch;
use crate::http::values::{GivenCode, not_up_to};
use crate::record::ReleasedLine;
use crate::sale::{
    BasketLine, CheckoutContents, ContentsOutcome, Engine, ReleaseRequest, Sale, SaleDecision,
};
use crate::telemetry::{Outcome, Stage};
use crate::types::{CheckoutCode, ItemIndex};

/// Looks what is in an open checkout.
pub(in crate::http) fn show(
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
    let decision = engine.contents(code);
    watch.lap(Stage::Decide);
    Ok(decided(decision, code, owner))
}

/// Gives a checkout back, one item of it, or some units.
pub(in crate::http) fn release(
    engine: &Engine,
    request: &SellRequest<'_>,
    watch: &mut Stopwatch<'_>,
) -> Result<Decided, Problem> {
    let mut parameters = Parameters::from_request(request.head, request.body);
    let code = parameters.required(Field::Code);
    let quantity = parameters.quantity_of_item();
    let item = parameters.item()?;
    let code = known(code)?;
    watch.lap(Stage::Parse);
    request.admit(None)?;
    let owner = request.owner_of(code, engine)?;
    let decision = engine.release(&ReleaseRequest {
        code,
        item,
        quantity,
    });
    watch.lap(Stage::Decide);
    Ok(decided(decision, code, owner))
}

pub(super) fn known(code: Option<GivenCode>) -> Result<CheckoutCode, Problem> {
    let GivenCode(code) = code.ok_or_else(Problem::internal)?;
    code.ok_or_else(Problem::checkout_not_found)
}

fn decided(decision: SaleDecision<ContentsOutcome>, code: CheckoutCode, owner: Owner) -> Decided {
    match decision.outcome {
        // It is closed, so that nothing can be given back in it either.
        ContentsOutcome::SaleArchived => {
            Decided::Archived(Box::new(ArchivedRequest::Contents(code, owner)))
        }
        _ => Decided::Now(SellDecision::Contents(decision)),
    }
}

/// Returns the answer to who looks into a checkout, or gives of it back. It needs the sale where the outcome names items.
pub(in crate::http) fn answer(
    outcome: ContentsOutcome,
    sale: Option<&Sale>,
) -> Result<Answer, Problem> {
    let sale = || sale.ok_or_else(Problem::internal);
    Err(match outcome {
        ContentsOutcome::Contents(contents) => {
            let sale = sale()?;
            let body = json::body(|out| write_contents(sale, &contents, out));
            return Ok(Answer::json(Outcome::Ok, body).not_stored());
        }
        ContentsOutcome::CheckoutNotFound => Problem::checkout_not_found(),
        ContentsOutcome::ItemNotInCheckout => {
            let message = "This item is not in the checkout";
            Problem::missing(Outcome::ItemNotInCheckout, message)
        }
        ContentsOutcome::QuantityNotAllowed { max } => {
            Problem::validation(vec![("quantity".into(), not_up_to(max).into())])
        }
        ContentsOutcome::SaleNotActive => Problem::sale_not_active(),
        ContentsOutcome::SaleArchived => Problem::internal(),
        ContentsOutcome::CheckoutExpired => checkout_expired(),
        ContentsOutcome::AlreadyProcessed { result, cancelled } => {
            let (sale, mut members) = (sale()?, Vec::new());
            write_result(sale, &result, &mut members);
            if !cancelled.is_empty() {
                members.extend_from_slice(b",\"cancelled\":");
                write_cancelled(sale, &cancelled, &mut members);
            }
            Problem::conflict(Outcome::AlreadyProcessed, ALREADY_PROCESSED).with_members(members)
        }
        ContentsOutcome::Unavailable(reason) => reason.into(),
    })
}

fn write_contents(sale: &Sale, contents: &CheckoutContents, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"code\":\"");
    write_code(contents.code, out);
    out.extend_from_slice(b"\",\"items\":");
    write_lines(sale, &contents.lines, out);
    let units = contents.lines.iter().map(|line| line.quantity);
    out.extend_from_slice(b",\"items_count\":");
    write_number(units.sum::<u32>(), out);
    out.extend_from_slice(b",\"sale_ends_at\":\"");
    write_time(contents.sale_ends_at, out);
    if let Some(until) = contents.held_until {
        out.extend_from_slice(b"\",\"held_until\":\"");
        // Each checkout has its own time: it would only displace kept texts.
        write!(out, "{until}").expect("writing into memory cannot fail");
    }
    out.extend_from_slice(b"\"}");
}

/// Appends the lines of an open checkout as a JSON list.
pub(super) fn write_lines(sale: &Sale, lines: &[BasketLine], out: &mut Vec<u8>) {
    out.push(b'[');
    for line in lines {
        write_units(sale, line.item, line.quantity, out);
        out.extend_from_slice(if line.is_held {
            b",\"reserved\":true}"
        } else {
            b",\"reserved\":false}"
        });
    }
    out.push(b']');
}

/// Appends what was cancelled of a purchase as a JSON list.
fn write_cancelled(sale: &Sale, lines: &[ReleasedLine], out: &mut Vec<u8>) {
    out.push(b'[');
    for line in lines {
        write_units(sale, line.item, line.quantity, out);
        out.push(b'}');
    }
    out.push(b']');
}

/// Appends an element of a JSON list, an object that is not ended yet: an item, and some units of it.
fn write_units(sale: &Sale, item: ItemIndex, quantity: u32, out: &mut Vec<u8>) {
    if out.last() != Some(&b'[') {
        out.push(b',');
    }
    out.extend_from_slice(b"{\"id\":\"");
    let start = out.len();
    sale.write_item_id(item, out);
    escape_from(start, out);
    out.extend_from_slice(b"\",\"name\":\"");
    let start = out.len();
    sale.write_item_name(item, out);
    escape_from(start, out);
    out.extend_from_slice(b"\",\"quantity\":");
    write_number(quantity, out);
}
