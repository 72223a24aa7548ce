//! `POST /admin/sales/{id}/close`

use std::sync::Arc;

use crate::http::Api;
use crate::http::answer::{self, Answer};
use crate::http::problem::Problem;
use crate::http::sales::{sale_id, write_sale};
use crate::sale::Overview;
use crate::telemetry::Outcome;

/// Ends a sale at once and for good. A sale that was closed before stays closed. Answers when that is
/// on the disk.
pub(super) async fn close(api: &Api, id: &str) -> Result<Answer, Problem> {
    let sale = api.find_sale(sale_id(id)?).await?;
    if sale.closing().is_none() {
        super::check_available(&api.engine)?;
        let (engine, id) = (Arc::clone(&api.engine), sale.id());
        // It locks out all buyers of the sale, one after the other.
        let close = move || Ok(engine.close_sale(id));
        if let Some(Some(_)) = api.administration.aside.run(close).await? {
            tracing::info!(sale = %id, "sale closed as asked");
        }
    }
    let closing = sale.closing().ok_or_else(Problem::internal)?;
    api.durable(Some(closing.lsn)).await?;
    let body = answer::body(|out| {
        out.extend_from_slice(b"{\"data\":");
        write_sale(&Overview::of(&sale, api.engine.clock().now()), out);
        out.push(b'}');
    });
    Ok(Answer::json(Outcome::Ok, body))
}
