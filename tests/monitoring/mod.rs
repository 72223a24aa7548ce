//! What operators see: `/metrics`, the rules of Prometheus, and the dashboards of Grafana, tried with the
//! real server and a real Prometheus.

mod dashboard;
mod exposition;
mod expression;
mod layout;
mod live;
mod prometheus;
mod promtool;
mod rules;
mod shoppers;
