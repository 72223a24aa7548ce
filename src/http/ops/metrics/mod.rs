//! `GET /metrics`: the figures for Prometheus, in the format that it asks for.
//!
//! One file for each group of families. Every family is always there, also while it has no samples,
//! except for those of a sink that is not configured.

mod connections;
mod events;
mod exposition;
mod journal;
mod latency;
mod process;
mod replication;
mod requests;
mod sales;
mod sinks;
mod stages;
mod tokens;
mod workers;

use hyper::header::HeaderValue;

use self::exposition::{Exposition, MetricsFormat};
use crate::auth::Authority;
use crate::http::answer::Answer;
use crate::http::problem::Problem;
use crate::http::routes::RoutedRequest;
use crate::operations::{Query, View};

/// `GET /metrics`: the figures of the whole process, in the format that the `Accept` header asks for.
pub(in crate::http) async fn metrics(request: RoutedRequest<'_>) -> Result<Answer, Problem> {
    let format = MetricsFormat::asked_by(&request.head.headers);
    let authority = request.api.authority.clone();
    let query = Query::Common("metrics", format.media_type());
    let text = request
        .api
        .observe_whole(query, move |view| {
            Some(expose(view, authority.as_deref(), format))
        })
        .await?;
    let content_type = HeaderValue::from_static(format.media_type());
    Ok(Answer::shown(content_type, text).not_stored())
}

fn expose(view: &View, authority: Option<&Authority>, format: MetricsFormat) -> String {
    let mut out = Exposition::new(format);
    // Read once, so that no family contradicts another.
    let merged = view.merged();
    requests::write(&merged, &mut out);
    stages::write(&merged, &mut out);
    connections::write(view, &mut out);
    tokens::write(authority, &mut out);
    sales::write(view, &mut out);
    journal::write(view, &mut out);
    sinks::write(view, &mut out);
    events::write(view, &mut out);
    replication::write(view, &mut out);
    workers::write(view, &mut out);
    process::write(view, &mut out);
    out.finish()
}
