//! What operators and their load balancers ask: `/health`, `/livez` and `/readyz`.

use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};

use crate::http::Api;
use crate::http::answer::{Answer, JSON, TEXT};
use crate::http::choices::Choices;
use crate::http::problem::{Format, Problem};
use crate::operations::Question;
use crate::telemetry::Window;

/// Everything at a glance, with the latencies of a window of time; with `?pretty` in lines for people.
pub(in crate::http) async fn health(api: &Api, query: Option<&str>) -> Result<Answer, Problem> {
    let mut choices = Choices::of(query);
    let window = choices.one_of("window", &Window::NAMES).unwrap_or_default();
    let is_pretty = choices.is_set("pretty");
    choices.check()?;
    let question = if is_pretty {
        "health, pretty"
    } else {
        "health"
    };
    let question = Question::Usual(question, window.name());
    let body = api.ask_whole(question, move |view| {
        if is_pretty {
            view.pretty_report(window)
        } else {
            view.report(window)
        }
    });
    let body = body.await?;
    Ok(fresh(Answer::shown(JSON, body)))
}

/// The process turns over, or nobody would answer.
pub(in crate::http) fn livez() -> Answer {
    fresh(Answer::shown(TEXT, "ok\n"))
}

/// Whether requests should be sent here. With `?verbose` every condition is listed.
pub(in crate::http) fn readyz(api: &Api, query: Option<&str>) -> Result<Answer, Problem> {
    let mut choices = Choices::of(query);
    let verbose = choices.is_set("verbose");
    choices.check()?;
    // Nothing is served before recovery has ended.
    let journal = api.engine.journal();
    let (writable, draining) = (journal.is_writable(), api.engine.is_draining());
    let commits = journal.stalled().is_none();
    let conditions = [
        ("recovered", true),
        ("journal writable", writable),
        ("journal commits", commits),
        ("not draining", !draining),
    ];
    let text = if verbose {
        conditions
            .map(|(name, holds)| format!("[{}]{name}\n", if holds { '+' } else { '-' }))
            .concat()
    } else {
        "ready\n".to_owned()
    };
    let problem = if draining {
        Problem::draining()
    } else if !writable || !commits {
        Problem::journal_unavailable()
    } else {
        return Ok(fresh(Answer::shown(TEXT, text)));
    };
    if !verbose {
        return Err(problem);
    }
    let mut answer = problem.into_answer(Format::Plain);
    answer.response.headers_mut().insert(CONTENT_TYPE, TEXT);
    *answer.response.body_mut() = Bytes::from(text).into();
    Ok(fresh(answer))
}

/// What was true a moment ago need not be true now.
pub(in crate::http) fn fresh(mut answer: Answer) -> Answer {
    let headers = answer.response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
