//! `POST /admin/sales/{id}/pause`, `…/resume` and `…/extend`

use std::sync::Arc;

use crate::http::answer::Answer;
use crate::http::body;
use crate::http::json;
use crate::http::parameters::{Field, Parameters};
use crate::http::problem::Problem;
use crate::http::routes::RoutedRequest;
use crate::http::sales::{sale_id, write_sale};
use crate::http::values::GivenTime;
use crate::sale::{ChangeError, Overview, SaleChange};
use crate::telemetry::Outcome;

/// Lets a sale take no checkouts until it is resumed.
pub(in crate::http) async fn pause(request: RoutedRequest<'_>) -> Result<Answer, Problem> {
    change(request, SaleChange::Paused).await
}

/// Lets a sale that was paused take checkouts again.
pub(in crate::http) async fn resume(request: RoutedRequest<'_>) -> Result<Answer, Problem> {
    change(request, SaleChange::Resumed).await
}

/// Lets a sale end later.
pub(in crate::http) async fn extend(request: RoutedRequest<'_>) -> Result<Answer, Problem> {
    let body = body::read(&request.head.headers, &mut *request.body).await?;
    let mut parameters = Parameters::from_request(request.head, &body);
    let ended_at = parameters.required(Field::EndedAt);
    parameters.check()?;
    let GivenTime(ended_at) = ended_at.ok_or_else(Problem::internal)?;
    change(request, SaleChange::Extended(ended_at)).await
}

/// Changes a sale, and answers with it when that is on the disk. One that is as wanted already stays so.
async fn change(request: RoutedRequest<'_>, change: SaleChange) -> Result<Answer, Problem> {
    let (api, id) = (request.api, sale_id(request.names[0])?);
    super::check_available(&api.engine)?;
    let engine = Arc::clone(&api.engine);
    // It blocks: to pause takes the locks of all buyers' shards, one after the other.
    let work = move || Ok(engine.change_sale(id, change)?);
    if api.administration.blocking_pool.run(work).await?.is_some() {
        tracing::info!(sale = %id, "sale {} by an administrator", change.name());
    }
    super::all_durable(api).await?;
    let sale = api.find_sale(id).await?;
    let overview = Overview::of(&sale, api.engine.clock().now());
    let body = json::body(|out| {
        out.extend_from_slice(b"{\"data\":");
        write_sale(&overview, out);
        if !overview.is_paused {
            out.pop();
            out.extend_from_slice(b",\"paused\":false}");
        }
        out.push(b'}');
    });
    Ok(Answer::json(Outcome::Ok, body))
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        let wrong = |what: String| Self::validation(vec![("ended_at".into(), what.into())]);
        match error {
            ChangeError::NotFound => Self::sale_not_found(),
            ChangeError::Over => Self::conflict(Outcome::SaleClosed, "The sale is over"),
            ChangeError::NotLater { ends_at } => {
                wrong(format!("must not be before {ends_at}, when the sale ends"))
            }
            ChangeError::TooLong => wrong("must be within a year of started_at".to_owned()),
            ChangeError::Unavailable(reason) => reason.into(),
        }
    }
}
