//! HTTP/1 below hyper: which bytes belong to one request, and answers to what is no request.

pub mod framing;
pub mod raw_response;

mod framed;

pub(super) use framed::Framed;
