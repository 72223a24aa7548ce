//! The state of the server for operators and load balancers: `/health`, `/livez` and `/readyz`.

use hyper::body::Bytes;

use crate::http::answer::{Answer, JSON, TEXT};
use crate::http::problem::{Problem, ProblemFormat};
use crate::http::query_enums::QueryEnums;
use crate::http::routes::RoutedRequest;
use crate::operations::Query;
use crate::telemetry::Window;

/// `GET /health`: the report of the server, with the latencies of a window of time; with `?pretty` indented for people.
pub(in crate::http) async fn health(request: RoutedRequest<'_>) -> Result<Answer, Problem> {
    let mut choices = QueryEnums::of(request.query());
    let window = choices.one_of("window", &Window::NAMES).unwrap_or_default();
    let is_pretty = choices.is_set("pretty");
    choices.check()?;
    let query = if is_pretty {
        "health, pretty"
    } else {
        "health"
    };
    let query = Query::Common(query, window.name());
    let body = request.api.observe_whole(query, move |view| {
        if is_pretty {
            view.pretty_report(window)
        } else {
            view.report(window)
        }
    });
    let body = body.await?;
    Ok(Answer::shown(JSON, body).not_stored())
}

/// `GET /livez`: always 200, because a process that hangs does not answer.
pub(in crate::http) fn livez(_: &RoutedRequest<'_>) -> Result<Answer, Problem> {
    Ok(Answer::shown(TEXT, "ok\n").not_stored())
}

/// `GET /readyz`: whether the server takes requests. With `?verbose` every condition is listed.
pub(in crate::http) fn readyz(request: &RoutedRequest<'_>) -> Result<Answer, Problem> {
    let mut choices = QueryEnums::of(request.query());
    let verbose = choices.is_set("verbose");
    // Buyers belong to the leader alone, so that the two questions have one answer.
    let _ = choices.one_of("role", &[("leader", ())]);
    choices.check()?;
    // Nothing is served before recovery has ended.
    let engine = &request.api.engine;
    let (writable, draining) = (engine.is_able(), engine.is_draining());
    let commits = !engine.is_stalled();
    let not_selling = request.api.not_selling();
    let mut conditions = vec![
        ("recovered", true),
        ("journal writable", writable),
        ("journal commits", commits),
        ("not draining", !draining),
    ];
    if request.api.is_replica() {
        conditions.push(("leader", not_selling.is_none()));
    }
    let text = if verbose {
        let line = |(name, holds)| format!("[{}]{name}\n", if holds { '+' } else { '-' });
        conditions.into_iter().map(line).collect()
    } else {
        "ready\n".to_owned()
    };
    let problem = if draining {
        Problem::draining()
    } else if !writable || !commits {
        Problem::journal_unavailable()
    } else if let Some(problem) = not_selling {
        problem
    } else {
        return Ok(Answer::shown(TEXT, text).not_stored());
    };
    if !verbose {
        return Err(problem);
    }
    let mut answer = problem.into_answer(ProblemFormat::Plain);
    answer.content_type = Some(TEXT);
    *answer.response.body_mut() = Bytes::from(text).into();
    Ok(answer.not_stored())
}
