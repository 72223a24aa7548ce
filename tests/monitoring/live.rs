//! What a real Prometheus makes of a real server.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::log_database::LogDatabase;
use crate::monitoring::dashboard::{Dashboard, dashboards, list, text};
use crate::monitoring::exposition::{metrics, names};
use crate::monitoring::expression::{filled_in, metrics_of};
use crate::monitoring::prometheus::Prometheus;
use crate::monitoring::rules;
use crate::monitoring::shoppers::Shopper;
use crate::places::{place, place_with_both, postgres, redis, use_redis};
use crate::receiver::Receiver;
use crate::server::{PATIENCE, Server, wait_for};

/// Metrics that Prometheus makes itself.
const OF_PROMETHEUS: [&str; 2] = ["up", "ALERTS"];
/// Alerts that may be under consideration on a machine that does much else at the same time.
const ABOUT_SPEED: [&str; 4] = [
    "LatencyBudgetBurnsFast",
    "LatencyBudgetBurnsSlowly",
    "CoresUneven",
    "ReplicationAppendSlow",
];
/// The alert that may be under consideration because only one server runs.
const ABOUT_ALONE: &str = "ReplicationNoStandby";
/// How long queries rest that gave nothing yet.
const POLL: Duration = Duration::from_millis(200);

#[test]
fn a_healthy_server_fills_every_panel_and_fires_no_alert() {
    let (postgres, redis) = (postgres(), redis(&[]));
    let log = LogDatabase::start();
    let mut place = place_with_both(&postgres, &redis);
    place.set("SALE_HOLD_SECONDS", "600");
    let receiver = Receiver::plain();
    place.set("WEBHOOKS", &json!([receiver.endpoint()]).to_string());
    log.use_for(&mut place);
    let server = log.start_leader(place);
    let prometheus = Prometheus::start(&server);
    let shopper = Shopper::start(&server);
    is_scraped(&prometheus);
    let dashboards = dashboards();
    fill(&prometheus, &dashboards);
    for dashboard in &dashboards {
        check_surroundings(&prometheus, dashboard);
    }
    let groups = prometheus.get("rules", &[]).expect("the rules");
    rules::check(&groups);
    all_rules_work(&groups);
    names_only_what_is_there(&dashboards, &groups, &metrics(&server));
    is_calm(&prometheus);
    drop(shopper);
}

#[test]
fn what_is_wrong_raises_its_alert() {
    let redis = redis(&[]);
    let mut place = place();
    use_redis(&mut place, &redis);
    let mut server = Server::start_in(place);
    let prometheus = Prometheus::start(&server);
    let shopper = Shopper::start(&server);
    is_scraped(&prometheus);
    redis.pause();
    is_raised(&prometheus, r#"ALERTS{alertname="SinkDown", sink="redis"}"#);
    drop(shopper);
    server.kill_9();
    is_raised(&prometheus, r#"ALERTS{alertname="ServerDown"}"#);
}

/// Waits until an alert is considered; that it fires after its time is tested without waiting for it.
fn is_raised(prometheus: &Prometheus, alert: &str) {
    wait_for(alert, || {
        let series = prometheus.query(alert).expect("an expression");
        (!series.is_empty()).then_some(())
    });
}

/// Waits until Prometheus has got metrics, which it asks for as OpenMetrics. On a busy machine a scrape may
/// take too long once.
fn is_scraped(prometheus: &Prometheus) {
    wait_for("a scrape", || {
        let targets = prometheus.get("targets", &[]).ok()?;
        let mut targets = list(&targets, "activeTargets").iter();
        let target = targets.find(|it| it["labels"]["job"] == "flashsale")?;
        let error = text(target, "lastError");
        let is_late = error.contains("deadline exceeded");
        assert!(error.is_empty() || is_late, "/metrics: {error}");
        (target["health"] == "up").then_some(())
    });
}

/// Waits until every query of every panel gives something.
fn fill(prometheus: &Prometheus, dashboards: &[Dashboard]) {
    let panels = dashboards.iter().flat_map(Dashboard::panels);
    let queries = panels.flat_map(|panel| {
        let name = panel.name();
        panel
            .expressions()
            .map(move |it| (name.clone(), filled_in(it)))
    });
    let mut empty: Vec<_> = queries.collect();
    let deadline = Instant::now() + PATIENCE;
    while !empty.is_empty() {
        assert!(Instant::now() < deadline, "they show nothing: {empty:#?}");
        empty.retain(|(panel, expression)| {
            let series = prometheus.query(expression);
            let series = series.unwrap_or_else(|error| panic!("{panel}: {expression}: {error}"));
            series.is_empty()
        });
        thread::sleep(POLL);
    }
}

/// Checks the annotations and variables of a dashboard.
fn check_surroundings(prometheus: &Prometheus, dashboard: &Dashboard) {
    for expression in dashboard.annotations() {
        let series = prometheus.query(&filled_in(expression));
        assert!(series.is_ok(), "{expression}: {series:?}");
    }
    let variables = dashboard.variables().iter();
    for variable in variables.filter(|it| it["type"] == "query") {
        let query = text(variable, "definition");
        let asked = query.strip_prefix("label_values(");
        let asked = asked.expect("values of a label").trim_end_matches(')');
        let (series, label) = asked.rsplit_once(", ").expect("a label");
        let expression = filled_in(&format!("count by ({label}) ({series})"));
        let has_label = |it: &Value| it["metric"][label].is_string();
        wait_for(query, || {
            let values = prometheus.query(&expression).expect(query);
            values.iter().any(has_label).then_some(())
        });
    }
}

fn all_rules_work(groups: &Value) {
    for rule in rules::rules(groups) {
        assert_ne!(rule["health"], "err", "{rule}");
    }
}

/// A metric that is not there makes an alert that never fires.
fn names_only_what_is_there(dashboards: &[Dashboard], groups: &Value, metrics: &str) {
    let mut known = names(metrics);
    known.extend(OF_PROMETHEUS.map(str::to_owned));
    let recorded = rules::rules(groups).filter(|rule| rule["type"] == "recording");
    known.extend(recorded.map(|rule| text(rule, "name").to_owned()));
    let panels = dashboards.iter().flat_map(Dashboard::panels);
    let shown = panels.flat_map(|panel| panel.expressions());
    let marked = dashboards.iter().flat_map(Dashboard::annotations);
    let ruled = rules::rules(groups).map(|rule| text(rule, "query"));
    let named: BTreeSet<_> = shown
        .chain(marked)
        .chain(ruled)
        .flat_map(metrics_of)
        .collect();
    let unknown: Vec<_> = named.difference(&known).collect();
    assert!(unknown.is_empty(), "no server has {unknown:?}");
}

/// Waits until no alert is even considered; none may fire meanwhile.
fn is_calm(prometheus: &Prometheus) {
    wait_for("the alerts to pass", || {
        let alerts = prometheus.get("alerts", &[]).expect("the alerts");
        let alerts = list(&alerts, "alerts");
        let fires = alerts.iter().find(|alert| alert["state"] == "firing");
        assert!(fires.is_none(), "{fires:?}");
        let may_be = |alert: &Value| {
            let name = text(&alert["labels"], "alertname");
            ABOUT_SPEED.contains(&name) || name == ABOUT_ALONE
        };
        alerts.iter().all(may_be).then_some(())
    });
}
