//! The server as its users meet it: the real binary, real sockets, a real disk, real signals.

mod admin;
mod administration;
mod archive;
mod bounds;
mod buying;
mod client;
mod clock;
mod closed_sales;
mod crash;
mod disk;
mod history;
mod holds;
mod journal;
mod lifecycle;
mod looking;
mod new_sales;
mod parameters;
mod rotation;
mod server;
mod stream;
mod support;
