//! Connections that are encrypted by the server itself: everything that works on plain ones works on
//! these, and nothing else does.

#[path = "../servers/certificates.rs"]
mod certificates;
#[path = "../blackbox/client.rs"]
mod client;
#[path = "../blackbox/server.rs"]
mod server;

mod buying;
mod commands;
mod encrypted;
mod files;
mod handshakes;
