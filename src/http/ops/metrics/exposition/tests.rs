use hyper::header::HeaderValue;

use super::*;

fn text(format: MetricsFormat, write: impl FnOnce(&mut Exposition)) -> String {
    let mut exposition = Exposition::new(format);
    write(&mut exposition);
    exposition.finish()
}

fn asked(accept: &'static str) -> MetricsFormat {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    MetricsFormat::asked_by(&headers)
}

#[test]
fn each_format_names_a_family_in_its_own_way() {
    let write = |out: &mut Exposition| {
        out.counter("busy_seconds_total", "Time.", 1.5);
        out.gauge("up", "Whether it is.", true);
        out.family("build_info", FamilyKind::Info, "What it is.")
            .sample(&[("version", "1")], 1_u64);
    };
    let prometheus = "# HELP busy_seconds_total Time.\n# TYPE busy_seconds_total counter\n\
        busy_seconds_total 1.5\n\
        # HELP up Whether it is.\n# TYPE up gauge\nup 1\n\
        # HELP build_info What it is.\n# TYPE build_info gauge\nbuild_info{version=\"1\"} 1\n";
    assert_eq!(text(MetricsFormat::Prometheus, write), prometheus);
    let open_metrics = "# HELP busy_seconds Time.\n# TYPE busy_seconds counter\n\
        # UNIT busy_seconds seconds\nbusy_seconds_total 1.5\n\
        # HELP up Whether it is.\n# TYPE up gauge\nup 1\n\
        # HELP build What it is.\n# TYPE build info\nbuild_info{version=\"1\"} 1\n# EOF\n";
    assert_eq!(text(MetricsFormat::OpenMetrics, write), open_metrics);
}

#[test]
fn a_histogram_ends_with_everything() {
    let buckets = Buckets {
        bounds: &[0.000_05, 0.5, 1.0],
        cumulative: &[1, 2, 4],
        count: 5,
        sum: 12.25,
    };
    let text = text(MetricsFormat::Prometheus, |out| {
        out.family("a_seconds", FamilyKind::Histogram, "Times.")
            .histogram(&[("route", "x")], &buckets);
    });
    let expected = "# HELP a_seconds Times.\n# TYPE a_seconds histogram\n\
        a_seconds_bucket{route=\"x\",le=\"0.00005\"} 1\n\
        a_seconds_bucket{route=\"x\",le=\"0.5\"} 2\n\
        a_seconds_bucket{route=\"x\",le=\"1.0\"} 4\n\
        a_seconds_bucket{route=\"x\",le=\"+Inf\"} 5\n\
        a_seconds_sum{route=\"x\"} 12.25\n\
        a_seconds_count{route=\"x\"} 5\n";
    assert_eq!(text, expected);
}

#[test]
fn labels_can_hold_anything() {
    let text = text(MetricsFormat::Prometheus, |out| {
        let mut family = out.family("a", FamilyKind::Gauge, "Any.");
        family.sample(&[("x", "a\\b \"c\"\nd{}=é"), ("y", "")], 7_u64);
    });
    let sample = text.lines().last();
    assert_eq!(sample, Some(r#"a{x="a\\b \"c\"\nd{}=é",y=""} 7"#));
}

#[test]
fn values_are_numbers_that_prometheus_reads() {
    for (value, expected) in [
        (Value::from(u64::MAX), "18446744073709551615"),
        (Value::from(false), "0"),
        (Value::from(0.000_000_12), "0.00000012"),
        (Value::from(f64::INFINITY), "+Inf"),
        (Value::from(f64::NAN), "NaN"),
    ] {
        assert_eq!(value.to_string(), expected);
    }
}

#[test]
fn the_format_is_the_one_that_is_preferred() {
    for accept in [
        "application/openmetrics-text",
        "Application/OpenMetrics-Text; version=\"1.0.0\"; charset=utf-8",
        // What Prometheus 2 and Prometheus 3 send.
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
         text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
         application/openmetrics-text;version=0.0.1;q=0.5,\
         text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
    ] {
        assert_eq!(asked(accept), MetricsFormat::OpenMetrics, "{accept}");
    }
    for accept in [
        "*/*",
        "",
        "text/html,*/*;q=0.8",
        "text/plain",
        "text/plain;version=0.0.4;q=0.9,application/openmetrics-text;version=1.0.0;q=0.8",
        "application/openmetrics-text;version=0.0.1",
        "application/openmetrics-text;q=0",
        "application/openmetrics-text;q=much",
    ] {
        assert_eq!(asked(accept), MetricsFormat::Prometheus, "{accept}");
    }
    assert_eq!(
        MetricsFormat::asked_by(&HeaderMap::new()),
        MetricsFormat::Prometheus
    );
}
