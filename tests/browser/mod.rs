//! The pages in a real browser, clicked on like visitors do, before the real server.

mod chromium;
mod page;
mod wire;

mod buying;
mod choices;
mod looks;
mod losses;
mod ops;
mod ops_orders;
mod orders;
mod origins;
mod payments;
mod prefix;
mod refusals;
mod sales;
mod stock;
mod tabs;
mod times;
mod windows;
