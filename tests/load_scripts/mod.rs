//! The load scripts of `perf`, run for real and short: their answers are all known ones, and what
//! they count as sold is what the server has sold. How fast it was is not looked at.

mod k6;
mod tool;
mod wrk;
