//! Figures of the whole server for operators and monitoring, and the description of the interface.

pub(super) mod health;
pub(super) mod histogram;
pub(super) mod metrics;
pub(super) mod openapi;
