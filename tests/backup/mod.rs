//! Copies of a journal that is being written: each is a journal that holds at least what was durable when
//! the copying began, wherever the writer was.

mod refusing;
mod shop;
mod stepping;
mod threads;
