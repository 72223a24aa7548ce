//! HTTP/1 below hyper: the framing of requests, and raw responses.

pub mod framing;
pub mod raw_response;

mod framed;
mod known_fields;

pub(super) use framed::Framed;
