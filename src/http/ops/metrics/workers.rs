//! Figures of each worker.

use super::exposition::{Exposition, FamilyKind, Value};
use crate::operations::View;
use crate::telemetry::WorkerFigures;

pub(super) fn write(view: &View, out: &mut Exposition) {
    let workers = view.workers();
    let mut family = |name, kind, help, value: fn(&WorkerFigures) -> Value| {
        let mut family = out.family(name, kind, help);
        for (number, figures) in workers.iter().enumerate() {
            family.sample(&[("worker", &number.to_string())], value(figures));
        }
    };
    family(
        "worker_connections_open",
        FamilyKind::Gauge,
        "Connections of a worker that are open.",
        |figures| figures.connections.into(),
    );
    family(
        "worker_requests_total",
        FamilyKind::Counter,
        "Requests that a worker answered.",
        |figures| figures.requests.into(),
    );
    family(
        "worker_busy_seconds_total",
        FamilyKind::Counter,
        "Time in which a worker did not wait for something to do.",
        |figures| (figures.busy_us as f64 / 1e6).into(),
    );
}
