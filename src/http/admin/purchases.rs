//! `GET /admin/sales/{id}/purchases`

use std::str::FromStr;

use super::checkout_items::{write_cancellations, write_purchased};
use super::purchases_csv;
use crate::http::answer::Answer;
use crate::http::json::{write_code, write_number, write_separator, write_string, write_time};
use crate::http::pagination::{page, page_limit};
use crate::http::parameters::{Field, Parameters};
use crate::http::problem::Problem;
use crate::http::query_enums::QueryEnums;
use crate::http::routes::RoutedRequest;
use crate::http::sales::sale_id;
use crate::sale::{PurchaseView, Sale};
use crate::types::{Malformed, UserId};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Csv,
}

/// The purchases of a sale, or of one user in it, in the order of their times: a page of them, or as CSV all.
pub(in crate::http) async fn list(request: RoutedRequest<'_>) -> Result<Answer, Problem> {
    let (api, id) = (request.api, request.names[0]);
    let sale = api.find_sale(sale_id(id)?).await?;
    let mut choices = QueryEnums::of(request.query());
    let formats = [("json", Format::Json), ("csv", Format::Csv)];
    let format = choices.one_of("format", &formats);
    choices.check()?;
    let mut parameters = Parameters::from_query(request.query());
    let user: Option<BuyerId> = parameters.optional(Field::UserId);
    if format == Some(Format::Csv) {
        for field in [Field::Limit, Field::Cursor] {
            parameters.refuse(field, "must be left out: CSV has all purchases");
        }
        parameters.check()?;
        let user = user.map(|BuyerId(id)| id);
        return purchases_csv::answer(&request, sale, user);
    }
    let limit = page_limit(&mut parameters);
    let after = parameters.chosen(Field::Cursor);
    parameters.check()?;

    let read = move || {
        let user = user.as_ref().map(|BuyerId(id)| &**id);
        let found = sale.purchases(user, after, limit as usize);
        Ok((list_of(&sale, &found.purchases), found.next))
    };
    let (body, next) = api.administration.blocking_pool.run(read).await?;
    super::all_durable(api).await?;
    page(body, &request.head.uri, next)
}

fn list_of(sale: &Sale, purchases: &[PurchaseView]) -> Vec<u8> {
    let mut body = vec![b'['];
    for purchase in purchases {
        write_separator(&mut body);
        write_purchase(sale, purchase, &mut body);
    }
    body.push(b']');
    body
}

fn write_purchase(sale: &Sale, purchase: &PurchaseView, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"code\":\"");
    write_code(purchase.code, out);
    out.extend_from_slice(b"\",\"user_id\":");
    write_string(&purchase.user, out);
    out.extend_from_slice(b",\"purchased_at\":\"");
    write_time(purchase.at, out);
    out.extend_from_slice(if purchase.has_key {
        b"\",\"idempotency_key\":true"
    } else {
        b"\",\"idempotency_key\":false"
    });
    if let Some(payment_ref) = &purchase.payment_ref {
        out.extend_from_slice(b",\"payment_ref\":");
        write_string(payment_ref, out);
    }
    let units = |sold: bool| -> u64 {
        let lines = purchase
            .result
            .lines
            .iter()
            .filter(|line| line.sold == sold);
        lines.map(|line| u64::from(line.quantity)).sum()
    };
    write_purchased(sale, &purchase.result.lines, out);
    write_cancellations(sale, &purchase.cancelled, out);
    out.extend_from_slice(b",\"total_purchased\":");
    write_number(units(true), out);
    out.extend_from_slice(b",\"failed_count\":");
    write_number(units(false), out);
    out.push(b'}');
}

/// The value of `user_id`.
struct BuyerId(Box<str>);

impl FromStr for BuyerId {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        Ok(Self(UserId::new(text)?.as_str().into()))
    }
}
