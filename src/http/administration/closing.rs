//! `POST /admin/sales/{id}/close`

use std::sync::Arc;

use super::find_sale;
use crate::http::Api;
use crate::http::answer::Answer;
use crate::http::looking::{sale_not_found, shown_sale};
use crate::http::problem::Problem;
use crate::types::Lsn;

/// Ends a sale at once and for good. A sale that was closed before stays closed. Answers when that is
/// on the disk.
pub(super) async fn close(api: &Api, id: &str) -> Result<Answer, Problem> {
    let sale = find_sale(api, id).await?;
    super::check_available(&api.engine)?;
    let engine = Arc::clone(&api.engine);
    // It locks out all buyers of the sale, one after the other.
    let work = move || {
        let closed = engine.close_sale(sale.id()).ok_or_else(sale_not_found)?;
        // Who closed it before has appended the record that says so.
        let journal = engine.journal();
        let lsn = closed.unwrap_or_else(|| Lsn(journal.status().appended_lsn));
        let durable = journal.wait(lsn);
        durable.map_err(|_| Problem::journal_unavailable())?;
        if closed.is_some() {
            tracing::info!(sale = %sale.id(), "sale closed as asked");
        }
        Ok(shown_sale(&sale, engine.clock().now()))
    };
    api.administration.aside.run(work).await
}
