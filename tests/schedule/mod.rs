//! What happens by the clock, with clocks that jump, machines that sleep and servers that are down over a
//! boundary. Time is simulated; nothing here waits.

mod anything;
mod clocks;
mod holds;
mod rotating;
mod world;
