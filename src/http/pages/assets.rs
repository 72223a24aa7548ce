//! The styles, scripts and the icon of the pages, embedded into the binary.
//!
//! A page names an asset by `"assets/NAME"`, and a script another one by `"./NAME"`: each relative to itself,
//! so that both work below any prefix that a proxy adds. Where it is served, the address also has the version
//! of the content, `"assets/NAME?v=VERSION"`. A browser may keep such a file forever, and still gets every change at
//! once.

use std::sync::LazyLock;

use hyper::body::Bytes;
use hyper::header::{HeaderMap, HeaderValue};

use crate::http::answer::{Answer, IMMUTABLE, REVALIDATED};
use crate::http::browser_file::{BrowserFile, version};
use crate::http::problem::Problem;
use crate::http::routes::RoutedRequest;

const SVG: &str = "image/svg+xml";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

const ICON: &str = "icon.svg";

/// The files: name, content type and text. Each may name those before it.
const FILES: &[(&str, &str, &str)] = &[
    (ICON, SVG, include_str!("icon.svg")),
    ("base.css", CSS, include_str!("base.css")),
    ("page.css", CSS, include_str!("page.css")),
    ("items.css", CSS, include_str!("items.css")),
    ("checkout.css", CSS, include_str!("checkout.css")),
    ("words.js", JAVASCRIPT, include_str!("words.js")),
    ("kept.js", JAVASCRIPT, include_str!("kept.js")),
    ("server.js", JAVASCRIPT, include_str!("server.js")),
    (
        "shared-stream.js",
        JAVASCRIPT,
        include_str!("shared-stream.js"),
    ),
    ("checkouts.js", JAVASCRIPT, include_str!("checkouts.js")),
    ("orders.js", JAVASCRIPT, include_str!("orders.js")),
    ("payments.js", JAVASCRIPT, include_str!("payments.js")),
    ("result.js", JAVASCRIPT, include_str!("result.js")),
    ("basket.js", JAVASCRIPT, include_str!("basket.js")),
    ("items.js", JAVASCRIPT, include_str!("items.js")),
    ("page.js", JAVASCRIPT, include_str!("page.js")),
    ("ops.css", CSS, include_str!("ops.css")),
    ("ops-panels.css", CSS, include_str!("ops-panels.css")),
    ("ops-format.js", JAVASCRIPT, include_str!("ops-format.js")),
    ("ops-history.js", JAVASCRIPT, include_str!("ops-history.js")),
    ("ops-choice.js", JAVASCRIPT, include_str!("ops-choice.js")),
    ("ops-class.js", JAVASCRIPT, include_str!("ops-class.js")),
    ("ops-labels.js", JAVASCRIPT, include_str!("ops-labels.js")),
    ("ops-scale.js", JAVASCRIPT, include_str!("ops-scale.js")),
    ("ops-theme.js", JAVASCRIPT, include_str!("ops-theme.js")),
    ("ops-canvas.js", JAVASCRIPT, include_str!("ops-canvas.js")),
    ("ops-pointer.js", JAVASCRIPT, include_str!("ops-pointer.js")),
    ("ops-plot.js", JAVASCRIPT, include_str!("ops-plot.js")),
    ("ops-time.js", JAVASCRIPT, include_str!("ops-time.js")),
    (
        "ops-forecast.js",
        JAVASCRIPT,
        include_str!("ops-forecast.js"),
    ),
    (
        "ops-burndown.js",
        JAVASCRIPT,
        include_str!("ops-burndown.js"),
    ),
    ("ops-heatmap.js", JAVASCRIPT, include_str!("ops-heatmap.js")),
    (
        "ops-spectrum.js",
        JAVASCRIPT,
        include_str!("ops-spectrum.js"),
    ),
    ("ops-lanes.js", JAVASCRIPT, include_str!("ops-lanes.js")),
    ("ops-commit.js", JAVASCRIPT, include_str!("ops-commit.js")),
    (
        "ops-replication.js",
        JAVASCRIPT,
        include_str!("ops-replication.js"),
    ),
    ("ops-sinks.js", JAVASCRIPT, include_str!("ops-sinks.js")),
    ("ops-table.js", JAVASCRIPT, include_str!("ops-table.js")),
    ("ops-cores.js", JAVASCRIPT, include_str!("ops-cores.js")),
    (
        "ops-refusals.js",
        JAVASCRIPT,
        include_str!("ops-refusals.js"),
    ),
    ("ops-stages.js", JAVASCRIPT, include_str!("ops-stages.js")),
    ("ops-figures.js", JAVASCRIPT, include_str!("ops-figures.js")),
    ("ops-verdict.js", JAVASCRIPT, include_str!("ops-verdict.js")),
    ("ops-header.js", JAVASCRIPT, include_str!("ops-header.js")),
    ("ops-feed.js", JAVASCRIPT, include_str!("ops-feed.js")),
    ("ops.js", JAVASCRIPT, include_str!("ops.js")),
];

/// A file as it is served.
struct Asset {
    name: &'static str,
    content_type: HeaderValue,
    version: String,
    body: Bytes,
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let mut assets = Vec::with_capacity(FILES.len());
    for &(name, content_type, text) in FILES {
        let text = with_versions(text, &assets);
        assets.push(Asset {
            name,
            content_type: HeaderValue::from_static(content_type),
            version: version(text.as_bytes()),
            body: text.into(),
        });
    }
    assets
});

/// `GET /assets/{name}`: an asset.
pub(in crate::http) fn asset(request: &RoutedRequest<'_>) -> Result<Answer, Problem> {
    file(request.names[0], request.query(), &request.head.headers)
}

/// `GET /favicon.ico`: the icon.
pub(in crate::http) fn favicon(request: &RoutedRequest<'_>) -> Result<Answer, Problem> {
    file(ICON, request.query(), &request.head.headers)
}

fn file(name: &str, query: Option<&str>, headers: &HeaderMap) -> Result<Answer, Problem> {
    let asset = ASSETS.iter().find(|asset| asset.name == name);
    let asset = asset.ok_or_else(Problem::not_found)?;
    let version = query.and_then(|query| query.strip_prefix("v="));
    let file = BrowserFile {
        content_type: asset.content_type.clone(),
        version: &asset.version,
        body: asset.body.clone(),
        cache_control: match version == Some(&asset.version) {
            true => IMMUTABLE,
            false => REVALIDATED,
        },
    };
    file.into_answer(headers)
}

/// Returns `text` with the version of every asset that it names.
pub(super) fn linked(text: &str) -> String {
    with_versions(text, &ASSETS)
}

fn with_versions(text: &str, assets: &[Asset]) -> String {
    let mut text = text.to_owned();
    for Asset { name, version, .. } in assets {
        for dir in ["assets/", "./"] {
            let (plain, versioned) = (
                format!("\"{dir}{name}\""),
                format!("\"{dir}{name}?v={version}\""),
            );
            text = text.replace(&plain, &versioned);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The assets that a text names, with their versions.
    fn named(text: &str) -> impl Iterator<Item = &str> {
        let texts = text.split('"').skip(1);
        let names =
            texts.filter_map(|text| text.strip_prefix("assets/").or(text.strip_prefix("./")));
        names.filter(|name| !name.is_empty())
    }

    #[test]
    fn every_asset_is_named_with_its_version() {
        let known: BTreeSet<_> = ASSETS
            .iter()
            .map(|asset| format!("{}?v={}", asset.name, asset.version))
            .collect();
        let pages = [include_str!("page.html"), include_str!("ops.html")].map(linked);
        let scripts = ASSETS
            .iter()
            .map(|asset| String::from_utf8(asset.body.to_vec()).expect("UTF-8"));
        let mut used = BTreeSet::new();
        for text in pages.into_iter().chain(scripts) {
            used.extend(named(&text).map(str::to_owned));
        }
        assert_eq!(used, known);
    }

    #[test]
    fn only_the_right_version_is_immutable() {
        let cache_control = |query: &str| {
            let query = query.strip_prefix('?');
            let answer = file("base.css", query, &HeaderMap::new()).expect("an asset");
            answer.response.headers()["cache-control"].clone()
        };
        let version = &ASSETS.iter().find(|asset| asset.name == "base.css");
        let version = &version.expect("an asset").version;
        assert_eq!(cache_control(&format!("?v={version}")), IMMUTABLE);
        for other in ["", "?v=", "?v=0123456789abcdef", "?w=1"] {
            assert_eq!(cache_control(other), REVALIDATED, "{other}");
        }
    }

    #[test]
    fn an_unknown_asset_is_not_found() {
        assert!(file("page.html", None, &HeaderMap::new()).is_err());
    }
}
