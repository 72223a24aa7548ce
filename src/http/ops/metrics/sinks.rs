//! Figures of the sinks: their state and their lag.

use super::exposition::{Exposition, FamilyKind, Value};
use crate::operations::View;
use crate::telemetry::{SinkFigures, SinkStatus};

/// A family that each sink has under its own prefix.
struct SinkFamily {
    name: &'static str,
    kind: FamilyKind,
    help: &'static str,
    value: fn(&SinkFigures) -> Option<Value>,
}

const FAMILIES: [SinkFamily; 7] = [
    SinkFamily {
        name: "up",
        kind: FamilyKind::Gauge,
        help: "1 while the sink takes what it is given, else 0.",
        value: |figures| Some((figures.status == SinkStatus::Up).into()),
    },
    SinkFamily {
        name: "applied_lsn",
        kind: FamilyKind::Gauge,
        help: "Number of the last record that the sink has.",
        value: |figures| figures.applied_lsn.map(Value::from),
    },
    SinkFamily {
        name: "lag_records",
        kind: FamilyKind::Gauge,
        help: "Records on the disk that the sink does not have yet.",
        value: |figures| figures.lag_records.map(Value::from),
    },
    SinkFamily {
        name: "lag_seconds",
        kind: FamilyKind::Gauge,
        help: "Age of the oldest record that the sink does not have yet.",
        value: |figures| figures.lag_seconds.map(Value::from),
    },
    SinkFamily {
        name: "batches_total",
        kind: FamilyKind::Counter,
        help: "Batches that the sink took since the start.",
        value: |figures| Some(figures.batches.into()),
    },
    SinkFamily {
        name: "failures_total",
        kind: FamilyKind::Counter,
        help: "Attempts that failed since the start.",
        value: |figures| Some(figures.failures.into()),
    },
    SinkFamily {
        name: "rebuilds_total",
        kind: FamilyKind::Counter,
        help: "Times since the start that the sink had to be filled again from nothing.",
        value: |figures| Some(figures.rebuilds.into()),
    },
];

/// Adds the families of the sinks that are configured.
pub(super) fn write(view: &View, out: &mut Exposition) {
    for (sink, figures) in view.sinks() {
        if figures.status == SinkStatus::Disabled {
            continue;
        }
        for family in &FAMILIES {
            let name = format!("{}_{}", sink.metric_prefix(), family.name);
            let mut samples = out.family(name, family.kind, family.help);
            if let Some(value) = (family.value)(&figures) {
                samples.sample(&[], value);
            }
        }
    }
    write_webhooks(&view.webhooks(), out);
}

/// Adds the same families of the webhooks, each under its number.
fn write_webhooks(webhooks: &[SinkFigures], out: &mut Exposition) {
    for family in &FAMILIES {
        let name = format!("webhook_{}", family.name);
        let mut samples = out.family(name, family.kind, family.help);
        for (index, figures) in webhooks.iter().enumerate() {
            if let Some(value) = (family.value)(figures) {
                samples.sample(&[("endpoint", &(index + 1).to_string())], value);
            }
        }
    }
}
