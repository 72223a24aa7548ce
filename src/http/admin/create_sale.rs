//! `POST /admin/sales`

use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::{HeaderValue, LOCATION};

use super::create_request::CreateRequest;
use crate::http::answer::{Answer, JSON};
use crate::http::body::check_encoding;
use crate::http::json::{self, write_number, write_time};
use crate::http::parameters::media_type;
use crate::http::problem::Problem;
use crate::http::routes::RoutedRequest;
use crate::sale::{CreateError, Engine, Sale};
use crate::schedule::Rotation;
use crate::telemetry::Outcome;

/// Creates the sale that the body describes, and answers when it is on the disk.
pub(in crate::http) async fn create(request: RoutedRequest<'_>) -> Result<Answer, Problem> {
    let RoutedRequest {
        api,
        head,
        body,
        peer,
        ..
    } = request;
    if !media_type(&head.headers).eq_ignore_ascii_case(b"application/json") {
        let wrong = ("content_type".into(), "must be application/json".into());
        return Err(Problem::validation(vec![wrong]));
    }
    check_encoding(&head.headers)?;
    super::check_available(&api.engine)?;
    let administration = &api.administration;
    let mut body = administration.body_limits.read(body, peer).await?;
    let (engine, defaults) = (Arc::clone(&api.engine), administration.defaults);
    let work = move || create_from(&engine, body.bytes(), &defaults);
    let sale = administration.blocking_pool.run(work).await?;
    created(&sale)
}

fn create_from(
    engine: &Engine,
    json: &mut [u8],
    defaults: &Rotation,
) -> Result<Arc<Sale>, Problem> {
    let request = CreateRequest::parse(json, defaults, engine.clock().now())?;
    let decision = engine.create_sale(&request.sale())?;
    if let Some(lsn) = decision.lsn {
        engine.wait_durable(lsn)?;
    }
    let sale = decision.outcome;
    let (id, from, until) = (sale.id(), sale.started_at(), sale.ended_at());
    let items = sale.item_count();
    tracing::info!(sale = %id, %from, %until, items, "sale created by an administrator");
    Ok(sale)
}

fn created(sale: &Sale) -> Result<Answer, Problem> {
    let body = json::body(|out| {
        out.extend_from_slice(b"{\"data\":{\"id\":\"");
        write_number(sale.id().0, out);
        out.extend_from_slice(b"\",\"started_at\":\"");
        write_time(sale.started_at(), out);
        out.extend_from_slice(b"\",\"ended_at\":\"");
        write_time(sale.ended_at(), out);
        out.extend_from_slice(b"\",\"total_items\":");
        write_number(sale.figures().total, out);
        out.extend_from_slice(b"}}");
    });
    let mut answer = Answer::new(Outcome::Created, StatusCode::CREATED, JSON, body);
    // Relative to `admin/sales`, below whatever prefix that is.
    let location = HeaderValue::try_from(format!("../sales/{}", sale.id()));
    let location = location.map_err(|_| Problem::internal())?;
    answer.response.headers_mut().insert(LOCATION, location);
    Ok(answer)
}

impl From<CreateError> for Problem {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Invalid { field, what } => {
                Self::validation(vec![(field.into(), what.into())])
            }
            CreateError::TooManyOpen => {
                let message = "As many sales are open as may be; close one first";
                Self::conflict(Outcome::TooManySales, message)
            }
            CreateError::Unavailable(reason) => reason.into(),
        }
    }
}
