//! `GET /health/histogram`: distributions of latencies, for tools that read HDR histograms.

use std::time::Duration;

use hyper::header::HeaderValue;
use serde::Serialize;

use crate::http::answer::{Answer, JSON, TEXT};
use crate::http::problem::Problem;
use crate::http::query_enums::QueryEnums;
use crate::http::routes::RoutedRequest;
use crate::operations::{Query, View};
use crate::telemetry::{
    Class, Counts, LatencySummary, Outcome, Route, Series, Stage, Window, hgrm, hlog, micros,
};
use crate::types::Timestamp;

const LOG: HeaderValue = HeaderValue::from_static("text/csv; charset=utf-8");

/// `GET /health/histogram`: the distributions that the query asks for.
pub(in crate::http) async fn histogram(request: RoutedRequest<'_>) -> Result<Answer, Problem> {
    let query = HistogramQuery::parse(request.query())?;
    let shared = Query::Custom(format!("{query:?}"));
    let body = request
        .api
        .observe_whole(shared, move |view| query.render(view))
        .await?;
    Ok(Answer::shown(query.format.content_type(), body).not_stored())
}

/// The query of a request for distributions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct HistogramQuery {
    route: Option<Route>,
    outcome: Option<Outcome>,
    class: Option<Class>,
    stage: Option<Stage>,
    window: Window,
    format: HistogramFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum HistogramFormat {
    #[default]
    Json,
    Hgrm,
    Hlog,
}

impl HistogramFormat {
    fn content_type(self) -> HeaderValue {
        match self {
            Self::Json => JSON,
            Self::Hgrm => TEXT,
            Self::Hlog => LOG,
        }
    }
}

const FORMATS: [(&str, HistogramFormat); 3] = [
    ("json", HistogramFormat::Json),
    ("hgrm", HistogramFormat::Hgrm),
    ("hlog", HistogramFormat::Hlog),
];

/// The value of `outcome`: one outcome, or all of a class.
#[derive(Clone, Copy)]
enum Outcomes {
    One(Outcome),
    All(Class),
}

impl HistogramQuery {
    fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let mut choices = QueryEnums::of(query);
        let route = choices.one_of("route", &named(Route::ALL, Route::as_str));
        let stage = choices.one_of("stage", &named(Stage::ALL, Stage::as_str));
        let one = named(Outcome::ALL, Outcome::as_str).into_iter();
        let all = named(Class::ALL, Class::as_str).into_iter();
        let outcomes: Vec<_> = all
            .map(|(name, class)| (name, Outcomes::All(class)))
            .chain(one.map(|(name, outcome)| (name, Outcomes::One(outcome))))
            .collect();
        let outcomes = choices.one_of("outcome", &outcomes);
        let window = choices.one_of("window", &Window::NAMES);
        let format = choices.one_of("format", &FORMATS);
        if stage.is_some() && (route.is_some() || outcomes.is_some()) {
            choices.wrong("stage", "cannot be combined with route or outcome");
        }
        choices.check()?;
        let (outcome, class) = match outcomes {
            None => (None, None),
            Some(Outcomes::One(outcome)) => (Some(outcome), None),
            Some(Outcomes::All(class)) => (None, Some(class)),
        };
        let format = format.unwrap_or_default();
        // A single curve over everything would show the refusals, which are many and fast.
        let is_one_curve = format == HistogramFormat::Hgrm && stage.is_none() && outcomes.is_none();
        let is_of_selling = route.is_none_or(|route| Class::of(route, Outcome::Ok) != Class::Shown);
        Ok(Self {
            route,
            outcome,
            class: class.or((is_one_curve && is_of_selling).then_some(Class::Confirmed)),
            stage,
            window: window.unwrap_or_default(),
            format,
        })
    }

    fn includes(&self, series: Series) -> bool {
        match series {
            Series::Stage(stage) => self.stage == Some(stage),
            Series::Request(route, outcome) => {
                self.stage.is_none()
                    && self.route.is_none_or(|only| only == route)
                    && self.outcome.is_none_or(|only| only == outcome)
                    && self.class.is_none_or(|only| series.class() == Some(only))
            }
        }
    }

    /// Returns the body of the answer.
    fn render(&self, view: &View) -> Option<Vec<u8>> {
        let windowed = view.window(self.window);
        let length = Duration::from_micros(view.now_us().saturating_sub(windowed.since_us));
        let filled = windowed.counts.filled();
        let series = filled.filter(|(series, _)| self.includes(*series));
        match self.format {
            HistogramFormat::Json => {
                serde_json::to_vec(&Distributions::of(series, self, length)).ok()
            }
            HistogramFormat::Hgrm => {
                let mut sum = Counts::default();
                series.for_each(|(_, counts)| sum.add(counts));
                let mut out = Vec::new();
                hgrm::write(&sum.to_histogram(), &mut out).ok()?;
                Some(out)
            }
            HistogramFormat::Hlog => {
                let since = Timestamp(view.now().0 - i64::try_from(length.as_micros()).ok()?);
                let tagged = series.map(|(series, counts)| (tag(series), counts.to_histogram()));
                Some(hlog::log(tagged, since, length))
            }
        }
    }
}

/// Returns the tag of a distribution in a log.
fn tag(series: Series) -> String {
    match series {
        Series::Request(route, outcome) => format!("{}.{}", route.as_str(), outcome.as_str()),
        Series::Stage(stage) => format!("stage.{}", stage.as_str()),
    }
}

/// The answer in JSON.
#[derive(Serialize)]
struct Distributions {
    unit: &'static str,
    window: &'static str,
    seconds: f64,
    histograms: Vec<Distribution>,
}

#[derive(Serialize)]
struct Distribution {
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<&'static str>,
    #[serde(flatten)]
    summary: LatencySummary,
    /// The filled buckets: the longest latency and the count of each.
    buckets: Vec<(f64, u64)>,
}

impl Distributions {
    fn of<'a>(
        series: impl Iterator<Item = (Series, &'a Counts)>,
        query: &HistogramQuery,
        length: Duration,
    ) -> Self {
        Self {
            unit: "us",
            window: query.window.name(),
            seconds: length.as_millis() as f64 / 1e3,
            histograms: series.map(Distribution::of).collect(),
        }
    }
}

impl Distribution {
    fn of((series, counts): (Series, &Counts)) -> Self {
        let (route, outcome, stage) = match series {
            Series::Request(route, outcome) => (Some(route), Some(outcome), None),
            Series::Stage(stage) => (None, None, Some(stage)),
        };
        Self {
            route: route.map(Route::as_str),
            outcome: outcome.map(Outcome::as_str),
            stage: stage.map(Stage::as_str),
            summary: counts.into(),
            buckets: counts.filled().map(|(ns, n)| (micros(ns), n)).collect(),
        }
    }
}

/// Returns the names and values of an enum.
fn named<T: Copy>(all: &[T], name: fn(T) -> &'static str) -> Vec<(&'static str, T)> {
    all.iter().map(|&value| (name(value), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Recorder;

    fn includes(query: &str, route: Route, outcome: Outcome) -> bool {
        let query = HistogramQuery::parse(Some(query)).expect("a query");
        query.includes(Series::Request(route, outcome))
    }

    #[test]
    fn no_two_buckets_have_the_same_bound() {
        let recorder = Recorder::default();
        (0..2_000).for_each(|step| recorder.record(1_000 * step));
        let counts = recorder.read();
        let shown = Distribution::of((Series::Stage(Stage::Parse), &counts));
        assert!(shown.buckets.is_sorted_by(|(a, _), (b, _)| a < b));
        let last = shown.buckets.last().expect("a bucket");
        assert!(last.0 >= 1_999.0 && shown.summary.max == last.0);
    }

    #[test]
    fn a_query_without_filters_includes_everything() {
        assert!(includes("", Route::Checkout, Outcome::ItemSoldOut));
        assert!(includes(
            "route=&outcome=",
            Route::Checkout,
            Outcome::Accepted
        ));
        assert!(includes(
            "route=checkout",
            Route::Checkout,
            Outcome::Accepted
        ));
        assert!(!includes("route=checkout", Route::Purchase, Outcome::Sold));
        assert!(includes(
            "outcome=confirmed",
            Route::Purchase,
            Outcome::Sold
        ));
        assert!(!includes("outcome=refused", Route::Purchase, Outcome::Sold));
        assert!(!includes("stage=fsync", Route::Purchase, Outcome::Sold));
        let query =
            HistogramQuery::parse(Some("stage=fsync&window=10s&format=hlog")).expect("a query");
        assert!(query.includes(Series::Stage(Stage::Fsync)));
        assert_eq!(
            (query.window, query.format),
            (Window::TenSeconds, HistogramFormat::Hlog)
        );
    }

    #[test]
    fn a_single_curve_leaves_out_refusals() {
        let refused = (Route::Checkout, Outcome::ItemSoldOut);
        for query in ["format=hgrm", "format=hgrm&route=checkout"] {
            assert!(!includes(query, refused.0, refused.1), "{query}");
            assert!(
                includes(query, Route::Checkout, Outcome::Accepted),
                "{query}"
            );
        }
        assert!(includes(
            "format=hgrm&outcome=refused",
            refused.0,
            refused.1
        ));
        assert!(includes(
            "format=hgrm&route=sales_active",
            Route::SalesActive,
            Outcome::Ok
        ));
    }

    #[test]
    fn an_unknown_value_is_an_error() {
        for query in [
            "window=2m",
            "format=xml",
            "route=/checkout",
            "stage=wait",
            "window=10s&window=10s",
            "stage=fsync&route=checkout",
            "format=%zz",
        ] {
            assert!(HistogramQuery::parse(Some(query)).is_err(), "{query}");
        }
        let window = |query| HistogramQuery::parse(query).expect("it is known").window;
        assert_eq!(window(None), Window::Sale);
        assert_eq!(window(Some("x=1&window=1m")), Window::Minute);
    }
}
