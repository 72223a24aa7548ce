//! Each workload, in short, on the real server, with its audit.

use flashsale::telemetry::Outcome as Label;
use flashsale_perf::load::audit::Audit;
use flashsale_perf::load::{
    Arrivals, Class, Kind, LoadError, Mode, Outcome, Plan, Shape, Workload, run,
};

use crate::place;

const ITEMS: u32 = 200_000;

/// Runs a workload on a server of its own, and audits it when the server has ended.
fn audited(workload: Workload, mode: Mode) -> Outcome {
    let mut server = place::server(ITEMS);
    let plan = Plan {
        workload,
        mode,
        prepare: 400,
        ..place::plan(&server, millis(workload))
    };
    let outcome = place::outcome(&plan);
    server.stop().expect("it ends");
    let audit = Audit::of(&outcome, true, Some(&server.journal_dir()));
    assert!(audit.passed(), "{workload:?}: {audit:#?}");
    assert!(audit.left_out.is_empty(), "{audit:#?}");
    assert!(outcome.record.answered() > 0, "{workload:?}");
    outcome
}

/// Long enough for what a test wants to see, also beside others.
fn millis(workload: Workload) -> u64 {
    match workload {
        // It ends with what was prepared.
        Workload::Purchase => 60_000,
        _ => 1_000,
    }
}

fn count(outcome: &Outcome, kind: Kind, label: Label) -> u64 {
    outcome.record.answers.count(kind, label)
}

fn open() -> Mode {
    Mode::Open {
        rate: 200.0,
        arrivals: Arrivals::Poisson,
        shape: Shape::Steady,
        queue: 10_000,
    }
}

#[test]
fn every_checkout_of_a_new_user_is_accepted() {
    let outcome = audited(Workload::Checkout, Mode::Closed);
    let accepted = count(&outcome, Kind::Checkout, Label::Accepted);
    assert_eq!(accepted, outcome.record.answered());
    assert!(outcome.server_cpu.is_some_and(|cpu| cpu.total_ns > 0));
    assert!(outcome.server_resident_kib.is_some_and(|kib| kib > 0));
}

#[test]
fn buyers_of_the_next_item_get_it() {
    for mode in [Mode::Closed, open()] {
        let outcome = audited(Workload::Buy, mode);
        let sold = count(&outcome, Kind::Purchase, Label::Sold);
        assert_eq!(sold, outcome.record.receipts.units_sold());
        assert_eq!(sold * 2, outcome.record.answered());
        assert_eq!(outcome.items_sold, Some((0, sold as u32)));
    }
}

#[test]
fn prepared_checkouts_are_purchased() {
    let outcome = audited(Workload::Purchase, Mode::Closed);
    assert_eq!(count(&outcome, Kind::Purchase, Label::Sold), 400);
    assert_eq!(
        outcome.record.answered(),
        400,
        "and nothing else is measured"
    );
}

#[test]
fn what_is_sold_out_is_refused() {
    let outcome = audited(Workload::SoldOut, open());
    let refused = count(&outcome, Kind::Checkout, Label::ItemSoldOut);
    assert_eq!(refused, outcome.record.answered());
    assert_eq!(outcome.record.of_class(Class::Refused), refused);
}

#[test]
fn a_hot_item_is_sold_once() {
    let outcome = audited(Workload::HotItem, Mode::Closed);
    assert_eq!(outcome.record.receipts.units_sold(), 4, "one of each");
    assert!(outcome.record.of_class(Class::Refused) > 0);
}

#[test]
fn one_user_soon_reaches_the_limit() {
    let outcome = audited(Workload::OneUser, Mode::Closed);
    assert_eq!(count(&outcome, Kind::Checkout, Label::Accepted), 10);
    assert!(count(&outcome, Kind::Checkout, Label::UserLimitExceeded) > 0);
}

#[test]
fn a_crowd_comes_again() {
    let outcome = audited(Workload::ManyUsers, Mode::Closed);
    assert!(count(&outcome, Kind::Checkout, Label::Accepted) > 0);
}

#[test]
fn who_looks_buys_nothing() {
    for workload in [Workload::Active, Workload::Browse] {
        let outcome = audited(workload, open());
        let seen = count(&outcome, Kind::Get, Label::Ok);
        assert_eq!(seen, outcome.record.answered(), "{workload:?}");
    }
}

#[test]
fn listed_items_are_refused_before_anything_is_sent() {
    let server = place::server(10);
    let listed = r#"{"items":[{"id":"mug","name":"Mug","stock":5}]}"#;
    let token = std::fs::read_to_string(server.journal_dir().join("admin.token"));
    let created = ureq::post(format!("http://{}/admin/sales", server.address()))
        .header(
            "Authorization",
            format!("Bearer {}", token.expect("a token")),
        )
        .content_type("application/json")
        .send(listed);
    assert_eq!(created.expect("an answer").status(), 201);
    let plan = place::plan(&server, 200);
    let Err(LoadError::Plan(said)) = run(&plan) else {
        panic!("nobody knows these items");
    };
    for part in ["sale 2", "\"mug\"", "ITM-2-0", "\"total_items\"", "--spawn"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // Whoever asks for no item need not know any.
    let workload = Workload::Active;
    assert!(place::outcome(&Plan { workload, ..plan }).record.answered() > 0);
}

#[test]
fn a_realistic_crowd_does_all_of_it() {
    let shape = Mode::Open {
        rate: 1000.0,
        arrivals: Arrivals::Poisson,
        shape: Shape::Spike,
        queue: 10_000,
    };
    let outcome = audited(Workload::Realistic, shape);
    for (kind, label) in [
        (Kind::Get, Label::Ok),
        (Kind::Checkout, Label::Accepted),
        (Kind::Purchase, Label::Sold),
    ] {
        assert!(count(&outcome, kind, label) > 0, "{kind:?} {label:?}");
    }
    assert_eq!(outcome.record.unknown_answers(), 0);
}
