//! Every route is described, and nothing else; the paths are held against the code where that is private
//! (`http::routes`).

use std::collections::BTreeSet;

use flashsale::telemetry::Route;
use serde_json::Value;

use crate::contract::document::{DOCUMENT, TEXT};
use crate::server::Server;

/// All operations: path, method and description.
pub fn operations() -> impl Iterator<Item = (&'static str, &'static str, &'static Value)> {
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    paths.iter().flat_map(|(path, operations)| {
        let operations = operations.as_object().expect("operations");
        let operations = operations.iter();
        operations.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

#[test]
fn every_route_is_described() {
    let ids: Vec<_> = operations()
        .map(|(_, _, operation)| operation["operationId"].as_str().expect("an id"))
        .collect();
    let described: BTreeSet<_> = ids.iter().copied().collect();
    assert_eq!(described.len(), ids.len(), "an id twice");
    let routes = Route::ALL.iter().filter(|route| **route != Route::Unknown);
    // The icon is an asset with an address that browsers know.
    let expected: BTreeSet<_> = routes
        .map(|route| route.as_str())
        .chain(["favicon"])
        .collect();
    assert_eq!(described, expected);
}

#[test]
fn parameters_of_paths_are_described() {
    for (path, method, operation) in operations() {
        let parameters = operation["parameters"].as_array();
        let described: Vec<_> = parameters
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().expect("a name"))
            .collect();
        let named = path.split('{').skip(1);
        let named: Vec<_> = named
            .filter_map(|rest| Some(rest.split_once('}')?.0))
            .collect();
        assert_eq!(described, named, "{method} {path}");
    }
}

#[test]
fn the_document_is_of_this_release() {
    assert_eq!(DOCUMENT["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_server_hands_out_what_the_repository_has() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let answer = client.get("/openapi.json").ok();
    assert_eq!(answer.text(), TEXT);
    assert_eq!(client.get("/api/v1/openapi.json").ok(), answer);
    let tag = answer.header("etag").expect("a tag").to_owned();
    let again = client.send("GET", "/openapi.json", &[("If-None-Match", &tag)], b"");
    assert_eq!((again.status, again.text()), (304, ""));
    client
        .post("/openapi.json")
        .refused(405, "method_not_allowed", "method");
}
