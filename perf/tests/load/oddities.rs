//! Servers that say what the interface does not describe, or nothing.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flashsale_perf::load::audit::Audit;
use flashsale_perf::load::report::Report;
use flashsale_perf::load::{
    Arrivals, Class, Invalid, LoadError, Mode, Outcome, Plan, Shape, Workload, run,
};

use crate::place::outcome;
use crate::stub;

fn summary(outcome: &Outcome) -> String {
    let mut text = Vec::new();
    let report = Report::new(outcome, Audit::of(outcome, false, None));
    report.summarize(&mut text).expect("into memory");
    String::from_utf8(text).expect("UTF-8")
}

#[test]
fn an_unknown_answer_stands_out() {
    let address = stub::start(|_| Some(stub::response(418, r#"{"message":"x","error":"teapot"}"#)));
    let outcome = outcome(&stub::plan(address, 200));
    let record = &outcome.record;
    assert!(record.answered() > 0);
    assert_eq!(record.unknown_answers(), record.answered());
    assert_eq!(record.of_class(Class::Error), record.answered());
    let audit = Audit::of(&outcome, false, None);
    assert!(!audit.passed());
    let said = summary(&outcome);
    assert!(said.starts_with("AUDIT FAILED"), "{said}");
    assert!(
        said.contains("status 418") && said.contains("teapot"),
        "{said}"
    );
}

#[test]
fn a_run_for_items_that_are_not_there_is_invalid() {
    let missing = r#"{"message":"Item not found","error":"item_not_found"}"#;
    let address = stub::start(|_| Some(stub::response(404, missing)));
    let outcome = outcome(&stub::plan(address, 200));
    let answered = outcome.record.answered();
    assert!(answered > 0);
    // A busy machine may add reasons of its own.
    let missing = outcome
        .invalid()
        .into_iter()
        .find_map(|reason| match reason {
            Invalid::NoSuchItem(count, sale) => Some((count, sale.id)),
            _ => None,
        });
    assert_eq!(missing, Some((answered, 1)));
    let said = summary(&outcome);
    for part in ["INVALID: ", "item_not_found", "ITM-1-0 to ITM-1-999"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_code_that_is_none_is_no_accepted_checkout() {
    let address = stub::start(|_| Some(stub::response(200, r#"{"code":"CHK-1-short"}"#)));
    let record = outcome(&stub::plan(address, 200)).record;
    assert_eq!(
        (record.of_class(Class::Ok), record.unknown_answers()),
        (0, record.answered())
    );
}

#[test]
fn a_response_without_a_length_is_malformed() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    let address = stub::start(|_| Some(chunked.to_owned()));
    let outcome = outcome(&stub::plan(address, 200));
    assert_eq!(outcome.record.answered(), 0);
    assert!(outcome.record.lost.malformed > 0);
    assert!(summary(&outcome).contains("INVALID: nothing was answered"));
}

#[test]
fn a_connection_that_ends_is_opened_again_and_its_purchase_unknown() {
    let count = AtomicU64::new(0);
    let address = stub::start(move |request| {
        // Every other checkout is answered, no purchase.
        let odd = count.fetch_add(1, Ordering::Relaxed) % 2 == 1;
        (request.starts_with("POST /checkout") && odd).then(stub::accepted)
    });
    let plan = Plan {
        workload: Workload::Buy,
        duration: Duration::from_millis(500),
        ..stub::plan(address, 200)
    };
    let record = outcome(&plan).record;
    assert!(
        record.reconnected > 0 && record.lost.disconnected > 0,
        "{record:?}"
    );
    assert!(!record.receipts.unknown().is_empty());
    assert_eq!(record.receipts.units_sold(), 0);
}

#[test]
fn a_server_that_does_not_answer_is_waited_for_so_long() {
    // Connections are taken by the kernel; nobody reads them.
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let plan = Plan {
        mode: Mode::Open {
            rate: 100.0,
            arrivals: Arrivals::Poisson,
            shape: Shape::Steady,
            queue: 4,
        },
        timeout: Duration::from_millis(200),
        ..stub::plan(listener.local_addr().expect("bound"), 200)
    };
    let outcome = outcome(&plan);
    assert_eq!(outcome.record.answered(), 0);
    assert!(outcome.record.lost.timed_out >= 2);
    let (record, causes) = (&outcome.record, outcome.record.not_sent);
    assert!(causes.queue_full > 0, "{causes:?}");
    assert_eq!(record.planned, record.begun + causes.total(), "{causes:?}");
    let invalid: String = outcome.invalid().iter().map(ToString::to_string).collect();
    assert!(
        invalid.contains("because the queue for a connection was full"),
        "{invalid}"
    );
}

#[test]
fn nobody_there_is_said() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let error = run(&stub::plan(address, 200)).expect_err("nobody listens");
    assert!(matches!(error, LoadError::Connect(..)), "{error}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}
