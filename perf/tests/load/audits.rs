//! An audit that could not fail would prove nothing.

use flashsale_perf::load::audit::Audit;
use flashsale_perf::load::server::Server;
use flashsale_perf::load::{Outcome, Plan, Receipts, Workload};

use crate::place;

/// An honest run and its server, which has ended.
fn honest() -> (Server, Outcome) {
    let mut server = place::server(50_000);
    let plan = Plan {
        workload: Workload::Buy,
        ..place::plan(&server, 300)
    };
    let outcome = place::outcome(&plan);
    server.stop().expect("it ends");
    (server, outcome)
}

/// The claims that do not hold.
fn broken(outcome: &Outcome, server: &Server) -> Vec<&'static str> {
    let audit = Audit::of(outcome, true, Some(&server.journal_dir()));
    let broken = audit.checks.iter().filter(|check| !check.holds);
    broken.map(|check| check.claim).collect()
}

fn has(broken: &[&str], part: &str) -> bool {
    broken.iter().any(|claim| claim.contains(part))
}

#[test]
fn every_lie_is_caught() {
    let (server, honest) = honest();
    assert!(broken(&honest, &server).is_empty());

    let mut invented = honest.clone();
    let code = "CHK-1-000102030405060708090a0b0c0d0e0f"
        .parse()
        .expect("a code");
    let body = br#"{"success":true,"purchased_items":[{"id":"ITM-1-49999","name":"n","sold":true}],"total_purchased":1,"failed_count":0}"#;
    assert!(invented.record.receipts.keep(code, body));
    let found = broken(&invented, &server);
    assert!(has(&found, "answered 200 is in the journal"), "{found:?}");
    assert!(has(&found, "items_sold rose"), "{found:?}");

    let (code, lines) = honest.record.receipts.iter().next().expect("a purchase");
    let item = lines[0].item;
    let mut twice = honest.clone();
    let again = format!(
        r#"{{"purchased_items":[{{"id":"ITM-1-{item}","name":"n","sold":true}}],"total_purchased":1,"failed_count":0}}"#
    );
    assert!(twice.record.receipts.keep(code, again.as_bytes()));
    assert!(has(&broken(&twice, &server), "two buyers"));

    let mut other_lines = honest.clone();
    let none = br#"{"purchased_items":[{"id":"ITM-1-7","name":"n","sold":false}],"total_purchased":0,"failed_count":1}"#;
    assert!(other_lines.record.receipts.keep(code, none));
    assert!(has(&broken(&other_lines, &server), "the same lines"));

    let mut silent = honest.clone();
    silent.record.receipts = Receipts::default();
    let found = broken(&silent, &server);
    assert!(
        has(&found, "was answered, or its answer was lost"),
        "{found:?}"
    );

    let mut boasting = honest.clone();
    boasting.items_sold = boasting
        .items_sold
        .map(|(before, after)| (before, after + 1));
    let found = broken(&boasting, &server);
    assert!(
        has(&found, "items_sold rose") && has(&found, "what the server says"),
        "{found:?}"
    );
}

#[test]
fn a_lost_answer_widens_the_comparison() {
    let (server, mut outcome) = honest();
    let code = "CHK-1-000102030405060708090a0b0c0d0e0f"
        .parse()
        .expect("a code");
    outcome.record.receipts.lose(code, 1);
    assert!(
        broken(&outcome, &server).is_empty(),
        "it may not have happened"
    );
}

#[test]
fn a_journal_that_is_not_there_is_no_proof() {
    let (_server, outcome) = honest();
    let nowhere = tempfile::tempdir().expect("a directory");
    let audit = Audit::of(&outcome, true, Some(&nowhere.path().join("journal")));
    assert!(!audit.passed(), "{audit:#?}");
}
