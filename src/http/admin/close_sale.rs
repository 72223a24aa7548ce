//! `POST /admin/sales/{id}/close`

use std::sync::Arc;

use crate::http::answer::Answer;
use crate::http::json;
use crate::http::problem::Problem;
use crate::http::routes::RoutedRequest;
use crate::http::sales::{sale_id, write_sale};
use crate::sale::Overview;
use crate::telemetry::Outcome;

/// Closes a sale for good, and answers when that is on the disk. A sale that was closed before stays closed.
pub(in crate::http) async fn close(request: RoutedRequest<'_>) -> Result<Answer, Problem> {
    let (api, id) = (request.api, request.names[0]);
    let sale = api.find_sale(sale_id(id)?).await?;
    if sale.closing().is_none() {
        super::check_available(&api.engine)?;
        let (engine, id) = (Arc::clone(&api.engine), sale.id());
        // It blocks: it takes the locks of all buyers' shards, one after the other.
        let close = move || Ok(engine.close_sale(id));
        if let Some(Some(_)) = api.administration.blocking_pool.run(close).await? {
            tracing::info!(sale = %id, "sale closed by an administrator");
        }
    }
    let closing = sale.closing().ok_or_else(Problem::internal)?;
    api.durable(Some(closing.lsn)).await?;
    let body = json::body(|out| {
        out.extend_from_slice(b"{\"data\":");
        write_sale(&Overview::of(&sale, api.engine.clock().now()), out);
        out.push(b'}');
    });
    Ok(Answer::json(Outcome::Ok, body))
}
