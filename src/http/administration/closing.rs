//! `POST /admin/sales/{id}/close`

use std::sync::Arc;

use super::find_sale;
use crate::http::Api;
use crate::http::answer::{self, Answer};
use crate::http::looking::{sale_not_found, write_sale};
use crate::http::problem::Problem;
use crate::telemetry::Outcome;
use crate::types::Lsn;

/// Ends a sale at once and for good. A sale that was closed before stays closed. Answers when that is
/// on the disk.
pub(super) async fn close(api: &Api, id: &str) -> Result<Answer, Problem> {
    let sale = find_sale(api, id).await?;
    super::check_available(&api.engine)?;
    let (engine, closing) = (Arc::clone(&api.engine), Arc::clone(&sale));
    // It locks out all buyers of the sale, one after the other.
    let work = move || {
        let sale = closing;
        let closed = engine.close_sale(sale.id()).ok_or_else(sale_not_found)?;
        // Who closed it before has appended the record that says so.
        let journal = engine.journal();
        let lsn = closed.unwrap_or_else(|| Lsn(journal.status().appended_lsn));
        let durable = journal.wait(lsn);
        durable.map_err(|_| Problem::journal_unavailable())?;
        if closed.is_some() {
            tracing::info!(sale = %sale.id(), "sale closed as asked");
        }
        Ok(())
    };
    api.administration.aside.run(work).await?;
    let body = answer::body(|out| {
        out.extend_from_slice(b"{\"data\":");
        write_sale(&sale, api.engine.clock().now(), out);
        out.push(b'}');
    });
    Ok(Answer::json(Outcome::Ok, body))
}
