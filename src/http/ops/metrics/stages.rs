//! Times of the stages on the way to an answer and to the sinks.

use super::exposition::{Exposition, FamilyKind};
use super::latency::{self, STAGE_BOUNDS_NS};
use crate::telemetry::{Merged, Series, Stage};

pub(super) fn write(merged: &Merged, out: &mut Exposition) {
    let mut stages = out.family(
        "stage_duration_seconds",
        FamilyKind::Histogram,
        "What each stage on the way to an answer, and to the sinks, takes.",
    );
    for &stage in Stage::ALL {
        let counts = merged.of(Series::Stage(stage));
        let labels = [("stage", stage.as_str())];
        latency::write(&mut stages, &labels, counts, &STAGE_BOUNDS_NS);
    }
}
