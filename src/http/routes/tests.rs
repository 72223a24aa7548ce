use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::http::ops::openapi;

/// The methods that a request may have.
const METHODS: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
    Method::TRACE,
    Method::CONNECT,
];

/// The pattern that `path` matches, and its names.
fn matched(path: &str) -> Option<(&'static str, [&str; NAMES_MAX])> {
    find(&Method::GET, path).map(|found| (found.endpoint.path, found.names))
}

#[test]
fn paths_answer_with_and_without_version() {
    for (path, pattern, names) in [
        ("/checkout", "/checkout", ["", ""]),
        ("/purchase", "/purchase", ["", ""]),
        ("/sales", "/sales", ["", ""]),
        ("/sales/active", "/sales/active", ["", ""]),
        ("/sales/12", "/sales/{id}", ["12", ""]),
        ("/sales/12/items", "/sales/{id}/items", ["12", ""]),
        ("/sales/active/items", "/sales/{id}/items", ["active", ""]),
        (
            "/sales/12/items/a%2Fb",
            "/sales/{id}/items/{item}",
            ["12", "a%2Fb"],
        ),
        (
            "/sales/12/items/items",
            "/sales/{id}/items/{item}",
            ["12", "items"],
        ),
        ("/sales/12/stream", "/sales/{id}/stream", ["12", ""]),
        ("/images/a.b.svg", "/images/{name}.svg", ["a.b", ""]),
        ("/images/.svg.svg", "/images/{name}.svg", [".svg", ""]),
        ("/health", "/health", ["", ""]),
        ("/health/histogram", "/health/histogram", ["", ""]),
        ("/metrics", "/metrics", ["", ""]),
        ("/livez", "/livez", ["", ""]),
        ("/readyz", "/readyz", ["", ""]),
        ("/ops/stream", "/ops/stream", ["", ""]),
        ("/ops/history", "/ops/history", ["", ""]),
        ("/admin/sales", "/admin/sales", ["", ""]),
        ("/admin/sales/3/close", "/admin/sales/{id}/close", ["3", ""]),
        (
            "/admin/sales/3/purchases",
            "/admin/sales/{id}/purchases",
            ["3", ""],
        ),
        ("/admin/checkouts/C", "/admin/checkouts/{code}", ["C", ""]),
        (
            "/admin/checkouts/C/confirm",
            "/admin/checkouts/{code}/confirm",
            ["C", ""],
        ),
        ("/payment", "/payment", ["", ""]),
        ("/admin/events", "/admin/events", ["", ""]),
        (
            "/admin/replication/hand-over",
            "/admin/replication/hand-over",
            ["", ""],
        ),
        ("/", "/", ["", ""]),
        ("/ops", "/ops", ["", ""]),
        ("/openapi.json", "/openapi.json", ["", ""]),
        ("/assets/page.css", "/assets/{*name}", ["page.css", ""]),
        ("/assets/a/b", "/assets/{*name}", ["a/b", ""]),
        ("/assets/", "/assets/{*name}", ["", ""]),
        ("/favicon.ico", "/favicon.ico", ["", ""]),
    ] {
        let expected = Some((pattern, names));
        assert_eq!(matched(path), expected, "{path}");
        assert_eq!(matched(&format!("/api/v1{path}")), expected, "{path}");
    }
}

#[test]
fn near_misses_are_unknown() {
    for path in [
        "",
        "*",
        "//",
        "/checkout/",
        "/Checkout",
        "/api/v1",
        "/api/v1checkout",
        "/api/v1/api/v1/checkout",
        "/sales/",
        "/sales/1/",
        "/sales/1/items/",
        "/sales/1/items/a/b",
        "/sales//items/a",
        "/sales//items",
        "/sales//stream",
        "/sales/1/stream/",
        "/sales/1/2/stream",
        "/images/.svg",
        "/images/a/b.svg",
        "/images/a.png",
        "/admin",
        "/admin/",
        "/admin/sales/",
        "/admin/sales/3",
        "/admin/sales/3/4/close",
        "/admin/sales//close",
        "/admin/checkouts",
        "/admin/checkouts/",
        "/admin/checkouts/a/b",
        "/admin/events/",
    ] {
        assert_eq!(matched(path), None, "{path}");
    }
}

#[test]
fn methods_are_checked() {
    for (path, taken) in [
        ("/purchase", &[Method::POST][..]),
        ("/checkout", &[Method::GET, Method::HEAD, Method::POST]),
        ("/sales", &[Method::GET, Method::HEAD]),
        ("/admin/sales/1/close", &[Method::POST]),
        ("/admin/checkouts/1", &[Method::GET, Method::HEAD]),
    ] {
        for method in METHODS {
            let endpoint = find(&method, path).expect("a route").endpoint;
            assert_eq!(endpoint.takes(&method), taken.contains(&method), "{path}");
        }
    }
}

#[test]
fn each_path_leads_to_its_own_row() {
    for endpoint in &ENDPOINTS {
        // Any names will do.
        let path = endpoint.path.replace(['{', '*', '}'], "");
        let method = if endpoint.is_post {
            Method::POST
        } else {
            Method::GET
        };
        let found = find(&method, &path).expect("a route");
        assert!(std::ptr::eq(found.endpoint, endpoint), "{path}");
    }
}

#[test]
fn the_405_and_options_name_the_methods_that_are_taken() {
    for endpoint in &ENDPOINTS {
        let path = endpoint.path.replace(['{', '*', '}'], "");
        let takes = |method: &&Method| {
            let found = find(method, &path).expect("a route");
            found.endpoint.takes(method)
        };
        let taken = METHODS.iter().filter(takes);
        let mut taken: Vec<_> = taken.map(Method::as_str).collect();
        assert_eq!(endpoint.methods(), taken.join(", "), "{}", endpoint.path);
        taken.push("OPTIONS");
        let listed = endpoint.methods_and_options();
        assert_eq!(listed, taken.join(", "), "{}", endpoint.path);
    }
}

#[test]
fn every_label_has_a_route() {
    let used: BTreeSet<_> = ENDPOINTS.iter().map(|endpoint| endpoint.label).collect();
    let labels = Route::ALL.iter().copied();
    let expected = labels.filter(|label| *label != Route::Unknown).collect();
    assert_eq!(used, expected);
}

#[test]
fn the_description_has_the_paths_methods_and_labels_of_the_table() {
    let document: Value = serde_json::from_str(openapi::TEXT).expect("JSON");
    let mut described = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let label = match operation["operationId"].as_str().expect("an id") {
                "favicon" => "asset",
                id => id,
            };
            described.insert((path.clone(), method.clone(), label.to_owned()));
        }
    }
    let rows = ENDPOINTS.iter().map(|endpoint| {
        let method = if endpoint.is_post { "post" } else { "get" };
        let path = endpoint.path.replace('*', "");
        (path, method.to_owned(), endpoint.label.as_str().to_owned())
    });
    assert_eq!(rows.collect::<BTreeSet<_>>(), described);
}

#[test]
fn the_token_of_the_shop_opens_these() {
    let is_open = |endpoint: &&Endpoint| endpoint.access == Access::Shop;
    let paths = ENDPOINTS.iter().filter(is_open).map(|it| it.path);
    let expected = [
        "/admin/checkouts/{code}",
        "/admin/checkouts/{code}/cancel",
        "/admin/checkouts/{code}/confirm",
        "/admin/events",
    ];
    assert_eq!(paths.collect::<Vec<_>>(), expected);
}

/// Only a [`Handler::Wait`] is called behind the check of the token.
#[test]
fn administration_needs_the_token_and_nothing_else_does() {
    for endpoint in &ENDPOINTS {
        let is_admin = matches!(endpoint.access, Access::Admin | Access::Shop);
        assert_eq!(
            is_admin,
            endpoint.path.starts_with("/admin/"),
            "{}",
            endpoint.path
        );
        assert!(!is_admin || matches!(endpoint.handler, Handler::Wait(_)));
    }
}
