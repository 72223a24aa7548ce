//! Whether the sinks follow the journal, and how far behind it they are.

use super::exposition::{Exposition, Kind, Value};
use crate::operations::View;
use crate::telemetry::{SinkFigures, SinkStatus};

/// A family of each sink: its names at the database and at Redis, and what it tells.
struct SinkFamily {
    names: [&'static str; 2],
    kind: Kind,
    help: &'static str,
    value: fn(&SinkFigures) -> Option<Value>,
}

const FAMILIES: [SinkFamily; 7] = [
    SinkFamily {
        names: ["db_up", "redis_up"],
        kind: Kind::Gauge,
        help: "1 while the sink takes what it is given, else 0.",
        value: |figures| Some((figures.status == SinkStatus::Up).into()),
    },
    SinkFamily {
        names: ["db_applied_lsn", "redis_applied_lsn"],
        kind: Kind::Gauge,
        help: "Number of the last record that the sink has.",
        value: |figures| figures.applied_lsn.map(Value::from),
    },
    SinkFamily {
        names: ["db_lag_records", "redis_lag_records"],
        kind: Kind::Gauge,
        help: "Records on the disk that the sink does not have yet.",
        value: |figures| figures.lag_records.map(Value::from),
    },
    SinkFamily {
        names: ["db_lag_seconds", "redis_lag_seconds"],
        kind: Kind::Gauge,
        help: "Age of the oldest record that the sink does not have yet.",
        value: |figures| figures.lag_seconds.map(Value::from),
    },
    SinkFamily {
        names: ["db_batches_total", "redis_batches_total"],
        kind: Kind::Counter,
        help: "Batches that the sink took since the start.",
        value: |figures| Some(figures.batches.into()),
    },
    SinkFamily {
        names: ["db_failures_total", "redis_failures_total"],
        kind: Kind::Counter,
        help: "Attempts that failed since the start.",
        value: |figures| Some(figures.failures.into()),
    },
    SinkFamily {
        names: ["db_rebuilds_total", "redis_rebuilds_total"],
        kind: Kind::Counter,
        help: "Times since the start that the sink had to be filled again from nothing.",
        value: |figures| Some(figures.rebuilds.into()),
    },
];

/// Only of sinks that are configured.
pub(super) fn write(view: &View, out: &mut Exposition) {
    for (index, figures) in view.sinks().into_iter().enumerate() {
        if figures.status == SinkStatus::Disabled {
            continue;
        }
        for family in &FAMILIES {
            let mut samples = out.family(family.names[index], family.kind, family.help);
            if let Some(value) = (family.value)(&figures) {
                samples.sample(&[], value);
            }
        }
    }
}
