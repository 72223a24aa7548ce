//! Which path means what, and which methods it takes.

use hyper::Method;

use super::admin::AdminPath;
use super::is_looking;
use super::problem::Problem;
use crate::telemetry::Route;

/// Every path also answers under this prefix.
const VERSION_PREFIX: &str = "/api/v1";

/// Figures of the whole server, which the observer puts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Observed {
    Health,
    Histogram,
    Metrics,
}

impl Observed {
    fn route(self) -> Route {
        match self {
            Self::Health => Route::Health,
            Self::Histogram => Route::Histogram,
            Self::Metrics => Route::Metrics,
        }
    }
}

/// A known path with what it names. A trailing slash makes another path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path<'a> {
    Checkout,
    Purchase,
    SalesActive,
    Sales,
    Sale(&'a str),
    SaleItems(&'a str),
    /// The sale and the item, the item as it is encoded.
    SaleItem(&'a str, &'a str),
    SaleStream(&'a str),
    Image(&'a str),
    Observed(Observed),
    OpsStream,
    OpsHistory,
    Livez,
    Readyz,
    Page,
    Ops,
    Asset(&'a str),
    OpenApi,
    Admin(AdminPath<'a>),
    Unknown,
}

impl<'a> Path<'a> {
    /// What `path` means. Nothing is decoded: but for the names of items no known path needs an escape.
    pub(super) fn parse(path: &'a str) -> Self {
        let path = match path.strip_prefix(VERSION_PREFIX) {
            Some(rest) if rest.starts_with('/') => rest,
            _ => path,
        };
        match path {
            "/checkout" => Self::Checkout,
            "/purchase" => Self::Purchase,
            "/sales/active" => Self::SalesActive,
            "/sales" => Self::Sales,
            "/health" => Self::Observed(Observed::Health),
            "/health/histogram" => Self::Observed(Observed::Histogram),
            "/livez" => Self::Livez,
            "/readyz" => Self::Readyz,
            "/metrics" => Self::Observed(Observed::Metrics),
            "/ops/stream" => Self::OpsStream,
            "/ops/history" => Self::OpsHistory,
            "/" => Self::Page,
            "/ops" => Self::Ops,
            "/openapi.json" => Self::OpenApi,
            // Where browsers look for an icon that nothing names.
            "/favicon.ico" => Self::Asset("icon.svg"),
            _ => Self::parse_with_name(path),
        }
    }

    fn parse_with_name(path: &'a str) -> Self {
        let plain = |name: &str| !name.is_empty() && !name.contains('/');
        if let Some(name) = path
            .strip_prefix("/images/")
            .and_then(|p| p.strip_suffix(".svg"))
        {
            return if plain(name) {
                Self::Image(name)
            } else {
                Self::Unknown
            };
        }
        if let Some(name) = path.strip_prefix("/assets/") {
            return Self::Asset(name);
        }
        if let Some(path) = path.strip_prefix("/admin/") {
            return AdminPath::parse(path).map_or(Self::Unknown, Self::Admin);
        }
        let Some(sale) = path.strip_prefix("/sales/") else {
            return Self::Unknown;
        };
        match sale.split_once('/') {
            Some((id, "items")) if plain(id) => Self::SaleItems(id),
            Some((id, "stream")) if plain(id) => Self::SaleStream(id),
            Some((id, rest)) if plain(id) => match rest.strip_prefix("items/") {
                Some(item) if plain(item) => Self::SaleItem(id, item),
                _ => Self::Unknown,
            },
            None if plain(sale) => Self::Sale(sale),
            _ => Self::Unknown,
        }
    }

    /// The label of this path's figures.
    pub(super) fn route(self) -> Route {
        match self {
            Self::Checkout => Route::Checkout,
            Self::Purchase => Route::Purchase,
            Self::SalesActive => Route::SalesActive,
            Self::Sales => Route::Sales,
            Self::Sale(_) => Route::Sale,
            Self::SaleItems(_) => Route::SaleItems,
            Self::SaleItem(..) => Route::SaleItem,
            Self::SaleStream(_) => Route::Stream,
            Self::Image(_) => Route::Image,
            Self::Observed(figures) => figures.route(),
            Self::OpsStream => Route::OpsStream,
            Self::OpsHistory => Route::OpsHistory,
            Self::Livez => Route::Livez,
            Self::Readyz => Route::Readyz,
            Self::Page => Route::Page,
            Self::Ops => Route::OpsPage,
            Self::Asset(_) => Route::Asset,
            Self::OpenApi => Route::OpenApi,
            Self::Admin(path) => path.route(),
            Self::Unknown => Route::Unknown,
        }
    }

    /// Whether something may be sold on this path.
    pub(super) fn sells(self) -> bool {
        matches!(self, Self::Checkout | Self::Purchase)
    }

    /// Whether the path is for everybody: pages of other origins may be allowed to call it.
    pub(super) fn is_public(self) -> bool {
        !matches!(
            self,
            Self::Observed(_)
                | Self::OpsStream
                | Self::OpsHistory
                | Self::Ops
                | Self::Livez
                | Self::Readyz
                | Self::Admin(_)
                | Self::Unknown
        )
    }

    /// The methods that the path takes, as a list; of an unknown one, and of `*`, those that any takes.
    pub(super) fn methods(self) -> &'static str {
        match self {
            Self::Unknown => "GET, HEAD, POST, OPTIONS",
            path if path.changes() => "POST, OPTIONS",
            _ => "GET, HEAD, OPTIONS",
        }
    }

    /// Whether something may change on this path. All others only show.
    fn changes(self) -> bool {
        self.sells() || matches!(self, Self::Admin(path) if path.changes())
    }

    /// An error when the path is unknown or does not take `method`.
    pub(super) fn check_method(self, method: &Method) -> Result<(), Problem> {
        match self {
            Self::Unknown => Err(Problem::not_found()),
            path if path.changes() && *method == Method::POST => Ok(()),
            path if path.changes() => Err(Problem::method_not_allowed("POST")),
            _ if is_looking(method) => Ok(()),
            _ => Err(Problem::method_not_allowed("GET, HEAD")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_answer_with_and_without_version() {
        for (path, expected) in [
            ("/checkout", Path::Checkout),
            ("/purchase", Path::Purchase),
            ("/sales", Path::Sales),
            ("/sales/active", Path::SalesActive),
            ("/sales/12", Path::Sale("12")),
            ("/sales/12/items", Path::SaleItems("12")),
            ("/sales/12/items/a%2Fb", Path::SaleItem("12", "a%2Fb")),
            ("/sales/12/stream", Path::SaleStream("12")),
            ("/images/a.b.svg", Path::Image("a.b")),
            ("/health", Path::Observed(Observed::Health)),
            ("/health/histogram", Path::Observed(Observed::Histogram)),
            ("/ops/stream", Path::OpsStream),
            ("/admin/sales", Path::Admin(AdminPath::Sales)),
            ("/admin/sales/3/close", Path::Admin(AdminPath::Close("3"))),
            (
                "/admin/sales/3/purchases",
                Path::Admin(AdminPath::Purchases("3")),
            ),
            ("/admin/checkouts/C", Path::Admin(AdminPath::Checkout("C"))),
            ("/", Path::Page),
            ("/ops", Path::Ops),
            ("/openapi.json", Path::OpenApi),
            ("/assets/page.css", Path::Asset("page.css")),
            ("/favicon.ico", Path::Asset("icon.svg")),
        ] {
            assert_eq!(Path::parse(path), expected, "{path}");
            assert_eq!(Path::parse(&format!("/api/v1{path}")), expected, "{path}");
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
        ] {
            assert_eq!(Path::parse(path), Path::Unknown, "{path}");
        }
    }

    #[test]
    fn methods_are_checked() {
        assert!(Path::Checkout.check_method(&Method::POST).is_ok());
        assert!(Path::Checkout.check_method(&Method::HEAD).is_err());
        assert!(Path::Sales.check_method(&Method::HEAD).is_ok());
        let close = Path::Admin(AdminPath::Close("1"));
        assert!(close.check_method(&Method::POST).is_ok());
        assert!(close.check_method(&Method::GET).is_err());
        let checkout = Path::Admin(AdminPath::Checkout("1"));
        assert!(checkout.check_method(&Method::GET).is_ok());
        assert!(checkout.check_method(&Method::POST).is_err());
    }
}
