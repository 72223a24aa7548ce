//! `GET /openapi.json`: the interface as OpenAPI 3.1 describes it. The file beside this one is what is served.

use std::sync::LazyLock;

use hyper::body::Bytes;
use hyper::header::HeaderMap;

use crate::http::answer::{Answer, JSON};
use crate::http::pages::{CHECKED_EACH_TIME, Document, version};
use crate::http::problem::Problem;

const TEXT: &str = include_str!("../openapi.json");

/// The description of the interface.
pub(in crate::http) fn document(headers: &HeaderMap) -> Result<Answer, Problem> {
    static VERSION: LazyLock<String> = LazyLock::new(|| version(TEXT.as_bytes()));
    let document = Document {
        content_type: JSON,
        version: &VERSION,
        body: Bytes::from_static(TEXT.as_bytes()),
        cache_control: CHECKED_EACH_TIME,
    };
    document.into_answer(headers)
}

#[cfg(test)]
mod tests {
    use hyper::Method;
    use serde_json::Value;

    use super::*;
    use crate::http::route::Path;

    #[test]
    fn paths_and_methods_are_those_of_the_routes() {
        let document: Value = serde_json::from_str(TEXT).expect("JSON");
        for (template, operations) in document["paths"].as_object().expect("paths") {
            // Any name will do.
            let address = template.replace(['{', '}'], "");
            let path = Path::parse(&address);
            let allowed: &[_] = match operations.get("post") {
                Some(_) => &[Method::POST],
                None => &[Method::GET, Method::HEAD],
            };
            for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT] {
                let takes = path.check_method(&method).is_ok();
                assert_eq!(takes, allowed.contains(&method), "{method} {template}");
            }
            let (_, operation) = operations
                .as_object()
                .and_then(|operations| operations.iter().next())
                .expect("an operation");
            let route = match operation["operationId"].as_str() {
                Some("favicon") => "asset",
                id => id.expect("an id"),
            };
            assert_eq!(path.route().as_str(), route, "{template}");
        }
    }
}
