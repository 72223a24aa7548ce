//! The description of the interface (`src/http/openapi.json`), held against the code and, with the fuzzer,
//! against the server; clients that are generated from it buy. What the other tests are answered is held against it by their client.

mod clients;
mod codes;
mod examples;
mod fuzzing;
mod integration;
mod limits;
mod lossy;
mod routes;

use crate::client::document;
