//! Figures of connections.

use super::exposition::{Exposition, FamilyKind};
use crate::operations::View;
use crate::types::LimitedBy;

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
        (
            "http_connections_unproxied_total",
            "Connections closed because they do not come from a trusted proxy, or begin with no PROXY header.",
            connections.unproxied,
        ),
        (
            "http_clients_unknown_total",
            "Requests and connections whose client a trusted proxy did not name, which count as the proxy's own.",
            connections.clients_unknown,
        ),
    ] {
        out.counter(name, help, value);
    }
    let mut limited = out.family(
        "http_requests_limited_total",
        FamilyKind::Counter,
        "Requests refused because too many came, by what the limit holds for.",
    );
    for by in LimitedBy::ALL {
        limited.sample(&[("limit", by.name())], view.requests_limited(by));
    }
    out.gauge(
        "http_forwarded_headers_ignored",
        "1 if requests came by a proxy that says of whom, and this is not configured to be read.",
        u64::from(connections.ignores_forwarded),
    );
}
