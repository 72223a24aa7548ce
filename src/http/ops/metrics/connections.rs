//! Figures of connections.

use super::exposition::Exposition;
use crate::operations::View;

pub(super) fn write(view: &View, out: &mut Exposition) {
    let connections = view.connections();
    out.gauge(
        "http_connections_open",
        "Connections that are open.",
        connections.open,
    );
    for (name, help, value) in [
        (
            "http_connections_accepted_total",
            "Connections opened since the start.",
            connections.accepted,
        ),
        (
            "http_connections_refused_total",
            "Connections turned away because too many were open.",
            connections.refused,
        ),
        (
            "http_connections_refused_of_peers_total",
            "Connections turned away because their peer had too many.",
            connections.refused_of_peers,
        ),
        (
            "http_connections_overdue_total",
            "Connections closed because their client was too slow.",
            connections.overdue,
        ),
    ] {
        out.counter(name, help, value);
    }
}
