//! What flashsale is measured with and against.
//!
//! [`load`] asks a server for checkouts and purchases, in a closed loop or at a rate that is planned
//! ahead, and says how long the answers took and whether the books are right afterwards. [`compare`] has
//! the server and the other [`contestants`], such as bare hyper, answer the same in turns. [`instructions`] counts the
//! instructions of both. [`curve`] draws latency against rate, and [`opening`] has everybody come in the second in which a
//! sale opens. [`maintenance`] shows whether the server's work in the background is felt,
//! [`connections`] what very many of them cost, [`handshakes`] what TLS does.

#![forbid(unsafe_code)]

pub mod compare;
pub mod connections;
pub mod contestants;
pub mod curve;
mod exit;
pub mod handshakes;
pub mod instructions;
mod json_file;
pub mod load;
pub mod maintenance;
pub mod opening;
