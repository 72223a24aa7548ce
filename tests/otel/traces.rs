//! Contents of the traces, and sales that go on whatever happens to them.

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::client::Client;
use crate::collector::{Collector, Manner, attribute};
use crate::server::{Place, Server, wait_for};

const USER: &str = "user-who-wants-no-fame";

/// A server that sends `ratio` of its requests to `endpoint`, soon.
fn server(endpoint: &str, ratio: &str) -> Server {
    Server::start_in(Place::new(&[
        ("SALE_TOTAL_ITEMS", "100"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_TRACES_SAMPLER_ARG", ratio),
        ("OTEL_SERVICE_NAME", "shop-7"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ]))
}

/// Buys an item; its code.
fn buy(client: &mut Client, item: u32) -> String {
    let code = client.checkout(USER, &format!("ITM-1-{item}")).ok().code();
    client.purchase(&code).ok();
    code
}

/// The spans of requests, in the order of their ends.
fn of_requests(collector: &Collector) -> Vec<Span> {
    let all = collector.spans().into_iter();
    all.filter(|span| span.kind() == SpanKind::Server).collect()
}

fn outcome(span: &Span) -> String {
    attribute(&span.attributes, "flashsale.outcome").expect("an outcome")
}

#[test]
fn every_sampled_request_to_sell_is_a_span_that_names_nobody() {
    let collector = Collector::start(Manner::Takes);
    let mut server = server(&collector.endpoint(), "1");
    let mut client = server.client();
    let code = buy(&mut client, 1);
    client.purchase(&code).refused(409, "already_processed", "");
    // Not of interest, and not a request to sell.
    client.get("/sales/active").ok();
    drop(client);
    wait_for("spans while the server runs", || {
        (of_requests(&collector).len() == 3).then_some(())
    });
    let mut client = server.client();
    buy(&mut client, 2);
    drop(client);
    assert!(server.terminate().success());

    let all = collector.spans();
    let names: Vec<_> = all.iter().map(|span| span.name.as_str()).collect();
    // The first requests are answered before "start" has ended.
    assert_eq!(names[0], "recover the journal", "{names:?}");
    assert!(names.contains(&"start"), "{names:?}");
    let spans = of_requests(&collector);
    let outcomes: Vec<_> = spans.iter().map(outcome).collect();
    let expected = ["accepted", "sold", "already_processed", "accepted", "sold"];
    assert_eq!(outcomes, expected, "the last ones at the end");
    let sold = &spans[1];
    assert_eq!(sold.name, "POST /purchase");
    let took_us = (sold.end_time_unix_nano - sold.start_time_unix_nano) as f64 / 1e3;
    let stages = ["parse", "decide", "commit_wait"].map(|stage| {
        let name = format!("flashsale.stage.{stage}_us");
        let text = attribute(&sold.attributes, &name).expect("a stage");
        text.parse::<f64>().expect("a number")
    });
    let sum_us: f64 = stages.iter().sum();
    assert!(sum_us > 0.0 && sum_us <= took_us, "{stages:?} of {took_us}");
    let of_sold = |key| attribute(&sold.attributes, key);
    assert_eq!(of_sold("http.route").as_deref(), Some("/purchase"));
    assert_eq!(of_sold("http.response.status_code").as_deref(), Some("200"));

    let secret = code.rsplit('-').next().expect("a secret");
    for request in collector.received() {
        assert!(
            request.head.starts_with("post /v1/traces http/1.1"),
            "{}",
            request.head
        );
        assert!(
            request
                .head
                .contains("content-type: application/x-protobuf")
        );
        let text = String::from_utf8_lossy(&request.body);
        for private in [USER, secret, "ITM-1"] {
            assert!(!text.contains(private), "{private} in {text}");
        }
        for spans in request.export().resource_spans {
            let resource = spans.resource.expect("who we are").attributes;
            let name = attribute(&resource, "service.name");
            assert_eq!(name.as_deref(), Some("shop-7"));
        }
    }
}

#[test]
fn nothing_is_sent_when_nothing_is_sampled_or_no_collector_is_named() {
    let collector = Collector::start(Manner::Takes);
    let endpoint = collector.endpoint();
    for (endpoint, ratio) in [(endpoint.as_str(), "0"), ("", "1")] {
        let mut server = server(endpoint, ratio);
        let mut client = server.client();
        for item in 0..10 {
            buy(&mut client, item);
        }
        drop(client);
        assert!(server.terminate().success());
        assert!(collector.received().is_empty());
    }
}

#[test]
fn a_collector_that_fails_does_not_harm_the_sale() {
    let (refusing, hanging) = (
        Collector::start(Manner::Refuses),
        Collector::start(Manner::Hangs),
    );
    for (endpoint, why) in [
        (refusing.endpoint(), "the collector answers 401"),
        (hanging.endpoint(), "timeout"),
        ("http://127.0.0.1:1".to_owned(), "refused"),
    ] {
        let mut server = server(&endpoint, "1");
        let mut client = server.client();
        (1..=5).for_each(|item| drop(buy(&mut client, item)));
        server.wait_for_log("traces cannot be exported");
        (6..=10).for_each(|item| drop(buy(&mut client, item)));
        drop(client);
        assert!(server.terminate().success());
        let log = server.log();
        let said: Vec<_> = log
            .lines()
            .filter(|line| line.contains("traces cannot be exported"))
            .collect();
        assert_eq!(said.len(), 1, "{log}");
        assert!(said[0].contains(why), "{said:?}");
    }
}

#[test]
fn wrong_variables_are_named_and_do_not_stop_the_start() {
    for (variable, value, said) in [
        (
            "OTEL_TRACES_SAMPLER_ARG",
            "most",
            "must be a number from 0 to 1",
        ),
        (
            "OTEL_TRACES_SAMPLER",
            "jaeger",
            "must be always_on, always_off",
        ),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "not an address",
            "no traces are exported",
        ),
    ] {
        let mut place = Place::new(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")]);
        place.set(variable, value);
        let server = Server::start_in(place);
        server.wait_for_log(said);
        server.wait_for_log(variable);
        buy(&mut server.client(), 1);
    }
}
