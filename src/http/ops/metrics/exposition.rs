//! The two text formats that Prometheus reads: its own, version 0.0.4, and OpenMetrics 1.0.

use std::borrow::Cow;
use std::fmt::{self, Display, Write};

use hyper::header::{ACCEPT, HeaderMap};

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MetricsFormat {
    /// The format of Prometheus, version 0.0.4.
    Prometheus,
    /// OpenMetrics, version 1.0.
    OpenMetrics,
}

impl MetricsFormat {
    /// Returns the format that the `Accept` header prefers; that of Prometheus where it has no preference.
    pub(super) fn asked_by(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(ACCEPT).into_iter();
        let ranges = accepted.filter_map(|value| value.to_str().ok());
        let ranges: Vec<_> = ranges.flat_map(|value| value.split(',')).collect();
        let weight = |media_type| {
            let weights = ranges.iter().filter_map(|it| weight_of(it, media_type));
            weights.reduce(f64::max)
        };
        let open_metrics = weight("application/openmetrics-text");
        let prometheus = weight("text/plain");
        match (open_metrics, prometheus.unwrap_or(0.0)) {
            (Some(weight), other) if weight > 0.0 && weight >= other => Self::OpenMetrics,
            _ => Self::Prometheus,
        }
    }

    /// The media type of an answer in this format.
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Returns the weight that a range of `Accept` gives this media type, 0 to 1; `None` when it is of another type or
/// version.
fn weight_of(range: &str, media_type: &str) -> Option<f64> {
    let mut parts = range.split(';').map(str::trim);
    let named = parts.next()?;
    let (mut weight, mut version) = (1.0, None);
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        match name.trim() {
            "q" => weight = value.trim().parse().ok()?,
            "version" => version = Some(value.trim().trim_matches('"')),
            _ => {}
        }
    }
    let known = version.is_none_or(|version| matches!(version, "1.0.0" | "0.0.4"));
    (known && named.eq_ignore_ascii_case(media_type)).then_some(weight)
}

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FamilyKind {
    /// A value that only grows, from 0 at the start; its name ends with `_total`.
    Counter,
    /// A value that goes up and down.
    Gauge,
    /// Observations counted by upper bounds.
    Histogram,
    /// A 1 whose labels are the information; its name ends with `_info`.
    Info,
}

/// The value of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    Whole(u64),
    Real(f64),
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Whole(u64::from(value))
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(value) => write!(f, "{value}"),
            Self::Real(f64::INFINITY) => f.write_str("+Inf"),
            Self::Real(value) => write!(f, "{value}"),
        }
    }
}

/// Observations counted by upper bounds.
#[derive(Clone, Debug)]
pub(super) struct Buckets<'a> {
    /// The bounds, in the family's unit, ascending.
    pub(super) bounds: &'a [f64],
    /// The number of observations up to each bound.
    pub(super) cumulative: &'a [u64],
    /// The number of all observations.
    pub(super) count: u64,
    /// Their sum, in the family's unit.
    pub(super) sum: f64,
}

/// The name and the value of a label.
pub(super) type Label<'a> = (&'a str, &'a str);

/// Writes families of samples as text.
#[derive(Debug)]
pub(super) struct Exposition {
    format: MetricsFormat,
    text: String,
}

impl Exposition {
    pub(super) fn new(format: MetricsFormat) -> Self {
        Self {
            format,
            text: String::with_capacity(16 * 1024),
        }
    }

    /// Begins a family. `name` is that of its samples; those of a histogram add to it.
    pub(super) fn family(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        kind: FamilyKind,
        help: &'static str,
    ) -> Family<'_> {
        let name = name.into();
        let open = self.format == MetricsFormat::OpenMetrics;
        let (suffix, kind) = match kind {
            FamilyKind::Counter => ("_total", "counter"),
            FamilyKind::Gauge => ("", "gauge"),
            FamilyKind::Histogram => ("", "histogram"),
            FamilyKind::Info if open => ("_info", "info"),
            FamilyKind::Info => ("_info", "gauge"),
        };
        debug_assert!(name.ends_with(suffix), "{name} is no name of a {kind}");
        let named = match open {
            true => name.strip_suffix(suffix).unwrap_or(&name),
            false => &*name,
        };
        self.line(format_args!("# HELP {named} {help}"));
        self.line(format_args!("# TYPE {named} {kind}"));
        if let (true, Some(unit)) = (open, unit_of(named)) {
            self.line(format_args!("# UNIT {named} {unit}"));
        }
        Family {
            exposition: self,
            name,
        }
    }

    /// Adds a counter with one sample.
    pub(super) fn counter(
        &mut self,
        name: &'static str,
        help: &'static str,
        value: impl Into<Value>,
    ) {
        self.family(name, FamilyKind::Counter, help)
            .sample(&[], value);
    }

    /// Adds a gauge with one sample.
    pub(super) fn gauge(
        &mut self,
        name: &'static str,
        help: &'static str,
        value: impl Into<Value>,
    ) {
        self.family(name, FamilyKind::Gauge, help)
            .sample(&[], value);
    }

    /// Returns the whole text.
    pub(super) fn finish(mut self) -> String {
        if self.format == MetricsFormat::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    fn line(&mut self, line: impl Display) {
        // Writing into memory cannot fail.
        let _ = writeln!(self.text, "{line}");
    }
}

/// Returns the unit for OpenMetrics, where the name ends with one.
fn unit_of(name: &str) -> Option<&'static str> {
    let units = ["seconds", "bytes"];
    units.into_iter().find(|unit| name.ends_with(unit))
}

/// Adds samples to one family.
pub(super) struct Family<'a> {
    exposition: &'a mut Exposition,
    name: Cow<'static, str>,
}

impl Family<'_> {
    /// Adds a sample. No two of a family have the same labels.
    pub(super) fn sample(&mut self, labels: &[Label<'_>], value: impl Into<Value>) {
        self.write("", labels, None, value.into());
    }

    /// Adds a histogram: a sample for each bound, the count, and the sum.
    pub(super) fn histogram(&mut self, labels: &[Label<'_>], buckets: &Buckets<'_>) {
        for (bound, below) in buckets.bounds.iter().zip(buckets.cumulative) {
            self.write("_bucket", labels, Some(*bound), (*below).into());
        }
        let count = Value::from(buckets.count);
        self.write("_bucket", labels, Some(f64::INFINITY), count);
        self.write("_sum", labels, None, buckets.sum.into());
        self.write("_count", labels, None, count);
    }

    fn write(&mut self, suffix: &str, labels: &[Label<'_>], bound: Option<f64>, value: Value) {
        let (name, labels) = (&*self.name, Labels { labels, bound });
        self.exposition
            .line(format_args!("{name}{suffix}{labels} {value}"));
    }
}

/// Returns the labels behind a name; the upper bound of a bucket comes last.
struct Labels<'a> {
    labels: &'a [Label<'a>],
    bound: Option<f64>,
}

impl Display for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = '{';
        for (name, value) in self.labels {
            write!(f, "{before}{name}=\"{}\"", Escaped(value))?;
            before = ',';
        }
        match self.bound {
            Some(f64::INFINITY) => write!(f, "{before}le=\"+Inf\"}}"),
            // OpenMetrics requires the point; with it a bound is the same in both formats.
            Some(bound) if bound.fract() == 0.0 => write!(f, "{before}le=\"{bound:.1}\"}}"),
            Some(bound) => write!(f, "{before}le=\"{bound}\"}}"),
            None if before == ',' => f.write_char('}'),
            None => Ok(()),
        }
    }
}

/// Returns the value of a label, escaped for the inside of quotes.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| match char {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            plain => f.write_char(plain),
        })
    }
}

#[cfg(test)]
mod tests;
