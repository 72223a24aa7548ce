//! `GET /openapi.json`: the description of the interface in OpenAPI 3.1.

use std::sync::LazyLock;

use hyper::body::Bytes;

use crate::http::answer::{Answer, JSON, REVALIDATED};
use crate::http::browser_file::{BrowserFile, version};
use crate::http::problem::Problem;
use crate::http::routes::RoutedRequest;

/// The description, as it is served.
pub(in crate::http) const TEXT: &str = include_str!("../openapi.json");

/// `GET /openapi.json`: the description of the interface.
pub(in crate::http) fn document(request: &RoutedRequest<'_>) -> Result<Answer, Problem> {
    static VERSION: LazyLock<String> = LazyLock::new(|| version(TEXT.as_bytes()));
    let file = BrowserFile {
        content_type: JSON,
        version: &VERSION,
        body: Bytes::from_static(TEXT.as_bytes()),
        cache_control: REVALIDATED,
    };
    file.into_answer(&request.head.headers)
}
