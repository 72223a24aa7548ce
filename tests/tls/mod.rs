//! Connections that are encrypted by the server itself: everything that works on plain ones works on
//! these, and nothing else does.

mod buying;
mod commands;
pub mod encrypted;
mod files;
mod handshakes;
