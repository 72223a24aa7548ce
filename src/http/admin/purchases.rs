//! `GET /admin/sales/{id}/purchases`

use std::str::FromStr;

use hyper::Uri;

use super::lines::write_sold_lines;
use crate::http::Api;
use crate::http::answer::{Answer, write_code, write_number, write_string, write_time};
use crate::http::parameters::{Field, Parameters};
use crate::http::problem::Problem;
use crate::http::sales::{page, page_limit, sale_id, separate};
use crate::sale::{PurchaseView, Sale};
use crate::types::{Malformed, UserId};

/// The purchases of a sale, or those of one user in it, in the order of their times.
pub(super) async fn list(api: &Api, id: &str, uri: &Uri) -> Result<Answer, Problem> {
    let sale = api.find_sale(sale_id(id)?).await?;
    let mut parameters = Parameters::from_query(uri.query());
    let user: Option<User> = parameters.optional(Field::UserId);
    let limit = page_limit(&mut parameters);
    let after = parameters.chosen(Field::Cursor);
    parameters.check()?;

    let look = move || {
        let user = user.as_ref().map(|User(id)| &**id);
        let found = sale.purchases(user, after, limit as usize);
        Ok((written(&sale, &found.purchases), found.next))
    };
    let (body, next) = api.administration.aside.run(look).await?;
    super::all_durable(api).await?;
    page(body, uri, next)
}

fn written(sale: &Sale, purchases: &[PurchaseView]) -> Vec<u8> {
    let mut body = vec![b'['];
    for purchase in purchases {
        separate(&mut body);
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
    let units = |sold: bool| -> u64 {
        let lines = purchase
            .result
            .lines
            .iter()
            .filter(|line| line.sold == sold);
        lines.map(|line| u64::from(line.quantity)).sum()
    };
    write_sold_lines(sale, &purchase.result.lines, out);
    out.extend_from_slice(b",\"total_purchased\":");
    write_number(units(true), out);
    out.extend_from_slice(b",\"failed_count\":");
    write_number(units(false), out);
    out.push(b'}');
}

/// The value of `user_id`.
struct User(Box<str>);

impl FromStr for User {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        Ok(Self(UserId::new(text)?.as_str().into()))
    }
}
