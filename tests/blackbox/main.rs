//! The server as its users meet it: the real binary, real sockets, a real disk, real signals.

mod archive;
mod bounds;
mod buying;
mod client;
mod crash;
mod disk;
mod history;
mod holds;
mod journal;
mod lifecycle;
mod looking;
mod parameters;
mod rotation;
mod server;
