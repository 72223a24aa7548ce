//! HTTP: route → parameters → engine → answer.
//!
//! `routes` has every path with its handler, `dispatch` takes a request to it. The engine's
//! outcomes know nothing of HTTP; each kind becomes an answer in one place (`buy`). What cannot be answered as asked
//! is a `Problem`, and every failure becomes one: nothing here panics on what a client sent.

mod admin;
mod answer;
mod api;
mod bearer;
mod body;
mod browser_file;
mod buy;
mod common_headers;
mod cors;
mod dispatch;
mod encoding;
mod json;
mod kept_bodies;
mod live;
mod ops;
mod pages;
mod pagination;
mod parameters;
mod payload;
mod peer;
mod problem;
mod query_enums;
mod rates;
mod refused_token;
mod routes;
mod sales;
mod session;
mod stopwatch;
#[cfg(feature = "otel")]
mod trace;
mod values;

pub use self::admin::Administration;
pub use self::api::Api;
pub use self::cors::CrossOrigin;
pub use self::dispatch::{Begun, Unanswered};
pub use self::payload::{Payload, Pieces};
pub use self::peer::Peer;
