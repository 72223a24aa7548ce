//! The server as its users meet it: the real binary, real sockets, a real disk, real signals.

mod client;
mod crash;
mod history;
mod server;
