//! What reads bytes from outside, each as a function of bytes that must not panic. `tests/corpus` of the server
//! includes the same files, and gives them what is known here to be of interest.

pub mod client;
pub mod config;
mod disk;
pub mod http;
pub mod journal;
pub mod record;
pub mod sale_file;
pub mod token;
