//! The table of routes: every path of the server, what it takes, who may call it, and its handler.
//!
//! A new route is a row of the table and a handler, besides its label in [`Route`] and its entry in `openapi.json`,
//! which tests hold against the table.

use std::net::IpAddr;
use std::pin::Pin;

use hyper::Method;
use hyper::body::{Body, Bytes};
use hyper::http::request::Parts;

use super::admin::{
    cancel_purchase, change_sale, change_stock, checkouts, close_sale, confirm, create_sale,
    events, hand_over, purchases,
};
use super::answer::Answer;
use super::api::Api;
use super::buy::{Decided, SellRequest, checkout, contents, payment, purchase};
use super::live::stream;
use super::ops::{health, histogram, metrics, openapi};
use super::peer::Peer;
use super::problem::Problem;
use super::sales::images;
use super::stopwatch::Stopwatch;
use super::{pages, sales, session};
use crate::sale::Engine;
use crate::telemetry::Route;

/// Every path also answers under this prefix.
const VERSION_PREFIX: &str = "/api/v1";

/// The number of routes.
const ROUTES: usize = 37;

/// The most names in one path.
const NAMES_MAX: usize = 2;

/// A handler of the table: its kind, and the function.
macro_rules! handler {
    (Decide $function:path) => {
        Handler::Decide($function)
    };
    (Show $function:path) => {
        Handler::Show($function)
    };
    (Wait $function:path) => {
        Handler::Wait(|request| Box::pin($function(request)))
    };
}

/// The rows of the table: method, path, label, access, and handler.
macro_rules! endpoints {
    ($($method:ident $path:literal $label:ident $access:ident $kind:ident $function:path;)*) => {
        [$($method($path, Route::$label, Access::$access, handler!($kind $function)),)*]
    };
}

/// All routes. [`find`] compares them in this order, so a fixed path stands before a pattern that it also matches.
pub(super) static ENDPOINTS: [Endpoint; ROUTES] = TABLE;

#[rustfmt::skip]
const TABLE: [Endpoint; ROUTES] = endpoints! {
    // The paths of these four are compared first, without a walk over the table.
    post "/checkout"                    Checkout       Public    Decide checkout::decide;
    post "/purchase"                    Purchase       Public    Decide purchase::decide;
    get  "/sales/active"                SalesActive    Public    Show   sales::active_sale;
    get  "/checkout"                    Contents       Public    Decide contents::show;
    post "/release"                     Release        Public    Decide contents::release;
    post "/payment"                     Payment        Public    Decide payment::begin;
    post "/session"                     Session        Public    Show   session::exchange;
    get  "/sales/{id}/items"            SaleItems      Public    Wait   sales::sale_items;
    get  "/sales/{id}/stream"           Stream         Public    Wait   stream::of_sale;
    get  "/sales/{id}/items/{item}"     SaleItem       Public    Wait   sales::sale_item;
    get  "/sales"                       Sales          Public    Show   sales::sales;
    get  "/sales/{id}"                  Sale           Public    Show   sales::sale;
    get  "/images/{name}.svg"           Image          Public    Show   images::image;
    get  "/"                            Page           Public    Show   pages::sale_page;
    get  "/assets/{*name}"              Asset          Public    Show   pages::asset;
    // Where browsers look for an icon that no page names.
    get  "/favicon.ico"                 Asset          Public    Show   pages::favicon;
    get  "/openapi.json"                OpenApi        Public    Show   openapi::document;
    get  "/livez"                       Livez          Operators Show   health::livez;
    get  "/readyz"                      Readyz         Operators Show   health::readyz;
    get  "/health"                      Health         Operators Wait   health::health;
    get  "/health/histogram"            Histogram      Operators Wait   histogram::histogram;
    get  "/metrics"                     Metrics        Operators Wait   metrics::metrics;
    get  "/ops"                         OpsPage        Operators Show   pages::ops_page;
    get  "/ops/stream"                  OpsStream      Operators Show   stream::of_server;
    get  "/ops/history"                 OpsHistory     Operators Wait   stream::history;
    post "/admin/sales"                 AdminSales     Admin     Wait   create_sale::create;
    post "/admin/sales/{id}/close"      AdminClose     Admin     Wait   close_sale::close;
    post "/admin/sales/{id}/pause"      AdminPause     Admin     Wait   change_sale::pause;
    post "/admin/sales/{id}/resume"     AdminResume    Admin     Wait   change_sale::resume;
    post "/admin/sales/{id}/extend"     AdminExtend    Admin     Wait   change_sale::extend;
    post "/admin/sales/{id}/stock"      AdminStock     Admin     Wait   change_stock::change;
    get  "/admin/sales/{id}/purchases"  AdminPurchases Admin     Wait   purchases::list;
    get  "/admin/checkouts/{code}"      AdminCheckout  Shop      Wait   checkouts::show;
    post "/admin/checkouts/{code}/cancel" AdminCancel  Shop      Wait   cancel_purchase::cancel;
    post "/admin/checkouts/{code}/confirm" AdminConfirm Shop     Wait   confirm::confirm;
    get  "/admin/events"                AdminEvents    Shop      Wait   events::events;
    post "/admin/replication/hand-over" AdminHandOver  Admin     Wait   hand_over::hand_over;
};

const CHECKOUT: &str = TABLE[0].path;
const PURCHASE: &str = TABLE[1].path;
const SALES_ACTIVE: &str = TABLE[2].path;

/// One route.
pub(super) struct Endpoint {
    /// The path. `{name}` stands for a part of it that is not empty, and `{*name}` for all of its rest.
    path: &'static str,
    /// The length of the path before its first name.
    fixed_bytes: usize,
    /// Whether it takes `POST`; otherwise `GET` and `HEAD`.
    is_post: bool,
    /// The label of its figures.
    pub(super) label: Route,
    pub(super) access: Access,
    pub(super) handler: Handler,
}

impl Endpoint {
    /// Returns whether only a server can answer its requests that sells: they are recorded, or say what is in an open checkout, which
    /// another server may have sold meanwhile.
    pub(super) fn needs_seller(&self) -> bool {
        let is_of_server = matches!(self.label, Route::AdminHandOver | Route::Session);
        self.is_post && !is_of_server || self.label == Route::Contents
    }
}

/// The callers of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Everybody; pages of other origins where the configuration allows them.
    Public,
    /// Operators and their tools: no pages of other origins.
    Operators,
    /// Administrators, who have the token.
    Admin,
    /// Administrators, and the shop that the server sells for, which has a token of its own.
    Shop,
}

/// The function that answers a route.
#[derive(Clone, Copy)]
pub(super) enum Handler {
    /// Decides without suspending. The request is dropped before the answer waits for the disk.
    Decide(Decide),
    /// Answers without suspending.
    Show(fn(&RoutedRequest<'_>) -> Result<Answer, Problem>),
    /// Answers in a future of its own. It is boxed, so that the futures of all other requests need no room for it.
    Wait(WaitingHandler),
}

/// The function of a [`Handler::Decide`].
pub(super) type Decide =
    fn(&Engine, &SellRequest<'_>, &mut Stopwatch<'_>) -> Result<Decided, Problem>;

/// The function of a [`Handler::Wait`].
pub(super) type WaitingHandler = for<'r> fn(RoutedRequest<'r>) -> HandlerFuture<'r>;

/// The future of a [`Handler::Wait`].
pub(super) type HandlerFuture<'r> = Pin<Box<dyn Future<Output = Result<Answer, Problem>> + 'r>>;

/// A request of a route, as its handler receives it.
pub(super) struct RoutedRequest<'r> {
    pub(super) api: &'r Api,
    pub(super) head: &'r Parts,
    pub(super) body: &'r mut RequestBody<'r>,
    pub(super) peer: &'r Peer,
    /// The parts of the path that stand for the names of the pattern, in their order, still encoded.
    pub(super) names: [&'r str; NAMES_MAX],
}

/// The body of a request, whatever its type. An error is the client's, and says nothing more.
pub(super) type RequestBody<'r> = dyn Body<Data = Bytes, Error = ()> + Unpin + 'r;

impl RoutedRequest<'_> {
    /// The query of the request's target.
    pub(super) fn query(&self) -> Option<&str> {
        self.head.uri.query()
    }

    /// The address of the client.
    pub(super) fn client_address(&self) -> IpAddr {
        self.api.client_of(self.peer, &self.head.headers)
    }
}

const fn get(path: &'static str, label: Route, access: Access, handler: Handler) -> Endpoint {
    endpoint(path, false, label, access, handler)
}

const fn post(path: &'static str, label: Route, access: Access, handler: Handler) -> Endpoint {
    endpoint(path, true, label, access, handler)
}

const fn endpoint(
    path: &'static str,
    is_post: bool,
    label: Route,
    access: Access,
    handler: Handler,
) -> Endpoint {
    let mut fixed_bytes = 0;
    while fixed_bytes < path.len() && path.as_bytes()[fixed_bytes] != b'{' {
        fixed_bytes += 1;
    }
    Endpoint {
        path,
        fixed_bytes,
        is_post,
        label,
        access,
        handler,
    }
}

/// The route of a path, and the parts of the path that stand for its names.
#[derive(Clone, Copy)]
pub(super) struct RouteMatch<'p> {
    pub(super) endpoint: &'static Endpoint,
    pub(super) names: [&'p str; NAMES_MAX],
}

/// Returns the route of `path`, where it has several that of `method` if there is one; `None` when no route has the path. A trailing slash
/// makes another path. Nothing is decoded: except in the ids of items no known path needs an escape.
pub(super) fn find<'p>(method: &Method, path: &'p str) -> Option<RouteMatch<'p>> {
    let path = match path.strip_prefix(VERSION_PREFIX) {
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    };
    let fixed = |endpoint| RouteMatch {
        endpoint,
        names: [""; NAMES_MAX],
    };
    match path {
        CHECKOUT if ENDPOINTS[3].takes(method) => Some(fixed(&ENDPOINTS[3])),
        CHECKOUT => Some(fixed(&ENDPOINTS[0])),
        PURCHASE => Some(fixed(&ENDPOINTS[1])),
        SALES_ACTIVE => Some(fixed(&ENDPOINTS[2])),
        _ => ENDPOINTS.iter().find_map(|endpoint| {
            let names = endpoint.names_in(path)?;
            Some(RouteMatch { endpoint, names })
        }),
    }
}

impl Endpoint {
    /// Whether the route takes `method`.
    pub(super) fn takes(&self, method: &Method) -> bool {
        match *method {
            Method::POST => self.is_post,
            Method::GET | Method::HEAD => !self.is_post,
            _ => false,
        }
    }

    /// The methods that the path takes, as a list.
    pub(super) fn methods(&self) -> &'static str {
        match (self.path, self.is_post) {
            (CHECKOUT, _) => "GET, HEAD, POST",
            (_, true) => "POST",
            (_, false) => "GET, HEAD",
        }
    }

    /// The methods that the path takes, and `OPTIONS`.
    pub(super) fn methods_and_options(&self) -> &'static str {
        match (self.path, self.is_post) {
            (CHECKOUT, _) => "GET, HEAD, POST, OPTIONS",
            (_, true) => "POST, OPTIONS",
            (_, false) => "GET, HEAD, OPTIONS",
        }
    }

    /// Returns the parts of `path` that stand for the names of the pattern; `None` when it does not match.
    fn names_in<'p>(&self, path: &'p str) -> Option<[&'p str; NAMES_MAX]> {
        let (fixed, pattern) = self.path.split_at(self.fixed_bytes);
        let rest = path.strip_prefix(fixed)?;
        if pattern.is_empty() {
            return rest.is_empty().then_some([""; NAMES_MAX]);
        }
        let mut names = [""; NAMES_MAX];
        if pattern.starts_with("{*") {
            names[0] = rest;
            return Some(names);
        }
        let mut next = names.iter_mut();
        let mut parts = rest.split('/');
        for segment in pattern.split('/') {
            let part = parts.next()?;
            let Some((before, after)) = segment.split_once('{') else {
                if part == segment {
                    continue;
                }
                return None;
            };
            let (_, after) = after.split_once('}')?;
            let name = part.strip_prefix(before)?.strip_suffix(after)?;
            if name.is_empty() {
                return None;
            }
            *next.next()? = name;
        }
        parts.next().is_none().then_some(names)
    }
}

#[cfg(test)]
mod tests;
