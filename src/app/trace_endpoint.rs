//! The environment variables that say where traces go. They are those of OpenTelemetry's standard.

/// The variables that name the collector.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];

/// Returns the value of `name`; `None` when it is unset or empty.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns the variable that names a collector; `None` when none does, or when traces are switched off.
pub(super) fn configured() -> Option<&'static str> {
    let is_off = variable("OTEL_SDK_DISABLED").is_some_and(|it| it.eq_ignore_ascii_case("true"));
    let mut endpoints = ENDPOINTS.into_iter().filter(|_| !is_off);
    endpoints.find(|name| variable(name).is_some())
}

/// Warns that this build exports no traces, where somebody waits for them.
#[cfg(not(feature = "otel"))]
pub(super) fn warn_without_traces() {
    if let Some(variable) = configured() {
        tracing::warn!(
            variable,
            "{variable} is set, but this build exports no traces: build with `cargo build --release --features otel`, or \
             unset it"
        );
    }
}
