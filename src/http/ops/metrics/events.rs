//! Figures of those who read events.

use super::exposition::Exposition;
use crate::operations::View;

pub(super) fn write(view: &View, out: &mut Exposition) {
    let figures = view.events();
    for (name, help, value) in [
        (
            "events_streams_open",
            "Streams of events that are open.",
            figures.streams,
        ),
        (
            "events_requests_waiting",
            "Requests that wait for an event.",
            figures.waiting,
        ),
        (
            "events_stream_lag_records",
            "Records that the slowest stream of events has not got to.",
            figures.lag_records,
        ),
    ] {
        out.gauge(name, help, value);
    }
    out.counter(
        "events_sent_total",
        "Events that readers were given since the start.",
        figures.sent,
    );
}
