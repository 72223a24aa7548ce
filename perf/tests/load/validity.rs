//! A run that met something else than its plan says nothing about the server, and must not pass for one
//! that does.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flashsale::telemetry::Outcome as Label;
use flashsale_perf::load::{
    Arrivals, Class, Goals, Invalid, Kind, LoadError, Mode, Outcome, Plan, Shape, Workload, run,
};

use crate::place::{self, outcome};
use crate::stub;

const SOLD_OUT: &str = r#"{"message":"Item sold out","error":"item_sold_out"}"#;
const UNAVAILABLE: &str = r#"{"message":"Journal unavailable","error":"journal_unavailable"}"#;

fn open(rate: f64) -> Mode {
    Mode::Open {
        rate,
        arrivals: Arrivals::Uniform,
        shape: Shape::Steady,
        queue: 10_000,
    }
}

fn plan(address: SocketAddr, workload: Workload) -> Plan {
    Plan {
        workload,
        ..stub::plan(address, 300)
    }
}

/// The reasons in words. A busy machine may add that the generator was late.
fn reasons(outcome: &Outcome) -> String {
    let reasons = outcome.invalid().into_iter();
    let reasons = reasons.filter(|reason| !matches!(reason, Invalid::Late(..)));
    reasons
        .map(|it| it.to_string())
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_purchase_in_the_middle_of_a_sale_does_not_turn_a_buy_into_refusals() {
    let server = place::server(2_000);
    let sold = outcome(&Plan {
        workload: Workload::Purchase,
        prepare: 400,
        first_item: 300,
        ..place::plan(&server, 60_000)
    });
    assert_eq!(sold.record.receipts.units_sold(), 400);
    // The 400 items from 300 on are sold: behind as many units as were sold lies none that is free.
    for mode in [open(300.0), Mode::Closed] {
        let bought = outcome(&Plan {
            workload: Workload::Buy,
            mode,
            ..place::plan(&server, 500)
        });
        let record = &bought.record;
        assert_eq!(record.of_class(Class::Refused), 0, "{mode:?}");
        assert!(record.answers.count(Kind::Purchase, Label::Sold) >= 150);
        assert_eq!(reasons(&bought), "");
    }
    // Another closed loop buys the rest, if there is any on a slow machine, and nothing is left.
    let _ = run(&Plan {
        workload: Workload::Buy,
        ..place::plan(&server, 60_000)
    });
    let Err(LoadError::Plan(said)) = run(&Plan {
        workload: Workload::Buy,
        mode: open(200.0),
        ..place::plan(&server, 500)
    }) else {
        panic!("a run without items");
    };
    assert!(
        said.contains("buy needs 100 free items, and sale 1 has 0 of 2000"),
        "{said}"
    );
}

#[test]
fn a_closed_loop_that_has_bought_everything_says_that_it_ended_early() {
    let server = place::server(40);
    let bought = outcome(&Plan {
        workload: Workload::Buy,
        ..place::plan(&server, 60_000)
    });
    assert_eq!(bought.record.receipts.units_sold(), 40);
    assert!(bought.ended_early().is_some());
    assert_eq!(reasons(&bought), "");
}

#[test]
fn a_checkout_asks_only_for_items_that_are_free() {
    let server = place::server(600);
    let sold = Plan {
        workload: Workload::Purchase,
        prepare: 500,
        ..place::plan(&server, 60_000)
    };
    assert_eq!(outcome(&sold).record.receipts.units_sold(), 500);
    for workload in [Workload::Checkout, Workload::HotItem] {
        let asked = outcome(&Plan {
            workload,
            ..place::plan(&server, 300)
        });
        let accepted = asked.record.answers.count(Kind::Checkout, Label::Accepted);
        assert!(accepted >= 4, "{workload:?}");
        assert_eq!(reasons(&asked), "", "{workload:?}");
    }
}

#[test]
fn a_buy_that_is_refused_throughout_is_invalid() {
    let address = stub::start(|_| Some(stub::response(409, SOLD_OUT)));
    for workload in [Workload::Buy, Workload::Checkout] {
        let refused = outcome(&plan(address, workload));
        let (said, name) = (reasons(&refused), workload.name());
        let answered = refused.record.answered();
        let expected = format!(
            "{answered} of {answered} answers (100.0 %) were refusals that the workload {name} does not \
             expect, most of them checkout item_sold_out ({answered}); 1 % are allowed (--max-refused-percent)"
        );
        assert_eq!(said, expected);
        let allowed = Plan {
            refused_percent_max: 100.0,
            ..plan(address, workload)
        };
        assert_eq!(reasons(&outcome(&allowed)), "");
    }
    // Whoever asks for what is sold out is refused according to plan.
    let asked = outcome(&plan(address, Workload::HotItem));
    assert_eq!(reasons(&asked), "");
}

#[test]
fn a_sale_that_is_over_is_in_no_plan() {
    let over = r#"{"message":"Sale is not active","error":"sale_not_active"}"#;
    let address = stub::start(move |_| Some(stub::response(400, over)));
    for workload in [Workload::OneUser, Workload::Realistic, Workload::ManyUsers] {
        let plan = Plan {
            mode: open(100.0),
            ..plan(address, workload)
        };
        assert!(
            reasons(&outcome(&plan)).contains("sale_not_active"),
            "{workload:?}"
        );
    }
}

#[test]
fn a_full_disk_is_no_fast_server() {
    let count = AtomicU64::new(0);
    // 84 of 100 are refused for want of room, at once; the others are answered when they are on the disk.
    let address = stub::start(move |_| {
        if count.fetch_add(1, Ordering::Relaxed) % 25 < 21 {
            return Some(stub::response(503, UNAVAILABLE));
        }
        std::thread::sleep(Duration::from_millis(5));
        Some(stub::accepted())
    });
    let full = outcome(&plan(address, Workload::Checkout));
    let said = reasons(&full);
    assert!(
        said.contains(
            "ended in an error or without an answer, most of them checkout journal_unavailable"
        ) && said.contains("1 % are allowed (--max-error-percent)"),
        "{said}"
    );
    let ok = full.record.answers.of_class(Class::Ok);
    let errors = full.record.answers.of_class(Class::Error);
    assert!(errors.count() > ok.count() && ok.count() > 0);
    assert!(ok.service_ns.min() >= 4_900_000, "apart from the errors");
    assert!(full.ok_per_second() < full.answers_per_second() / 2.0);
    let lenient = Plan {
        error_percent_max: 100.0,
        ..plan(address, Workload::Checkout)
    };
    assert_eq!(reasons(&outcome(&lenient)), "");
}

#[test]
fn errors_count_as_longer_than_any_goal() {
    let count = AtomicU64::new(0);
    let address = stub::start(move |_| {
        let odd = count.fetch_add(1, Ordering::Relaxed).is_multiple_of(20);
        Some(match odd {
            true => stub::response(503, UNAVAILABLE),
            false => stub::accepted(),
        })
    });
    let hour = Some(Duration::from_secs(600));
    let goals = Goals {
        p99: hour,
        p999: None,
    };
    let failing = outcome(&plan(address, Workload::Checkout));
    let judged = goals.judge(&failing);
    assert!(!judged[0].met, "{judged:?}");
    assert!(judged[0].figure.contains("never answered"), "{judged:?}");
    let accepting = stub::start(|_| Some(stub::accepted()));
    let judged = goals.judge(&outcome(&plan(accepting, Workload::Checkout)));
    assert!(judged[0].met, "{judged:?}");
}

#[test]
fn every_arrival_that_was_not_sent_has_a_cause() {
    // The server answers nobody and is gone with the first request.
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("bound");
    let gone = std::thread::spawn(move || {
        let connections: Vec<_> = listener.incoming().take(2).collect();
        let mut first = connections[0].as_ref().expect("a connection");
        let _ = std::io::Read::read(&mut first, &mut [0; 16]);
        drop((connections, listener));
    });
    let refused = outcome(&Plan {
        mode: Mode::Open {
            rate: 200.0,
            arrivals: Arrivals::Uniform,
            shape: Shape::Steady,
            queue: 4,
        },
        timeout: Duration::from_millis(200),
        ..plan(address, Workload::Checkout)
    });
    gone.join().expect("it ends");
    let (record, causes) = (&refused.record, refused.record.not_sent);
    assert!(causes.no_connection > 0, "{causes:?}");
    assert_eq!(record.planned, record.begun + causes.total(), "{causes:?}");
    assert!(
        reasons(&refused).contains("because no connection was open"),
        "{}",
        reasons(&refused)
    );

    // Fewer checkouts were prepared than there are arrivals.
    let server = place::server(1_000);
    let short = outcome(&Plan {
        workload: Workload::Purchase,
        mode: open(200.0),
        prepare: 20,
        ..place::plan(&server, 1_000)
    });
    let (record, causes) = (&short.record, short.record.not_sent);
    assert_eq!(causes.nothing_left, 180, "{causes:?}");
    assert_eq!(record.planned, record.begun + causes.total(), "{causes:?}");
}

#[test]
fn a_journey_that_the_server_cuts_short_is_counted() {
    let address = stub::start(|_| {
        let whole = stub::accepted();
        Some(whole.replacen("\r\n", "\r\nConnection: close\r\n", 1))
    });
    let cut = outcome(&plan(address, Workload::Buy));
    assert!(cut.record.cut_short > 0);
    assert!(
        reasons(&cut).contains("connections that ended within a journey"),
        "{}",
        reasons(&cut)
    );
}
