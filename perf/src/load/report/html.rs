//! A report as one page that needs nothing but itself.

use super::super::goals::Goal;
use super::super::plan::Mode;
use super::rows::Latency;
use super::text::{count, escape, time_us};
use super::{Report, charts, summary, tables};

pub(super) fn page(report: &Report) -> String {
    let title = escape(&format!("flashsale load: {}", summary::title(&report.plan)));
    let parts = [
        header(report, &title),
        verdicts(report),
        tiles(report),
        section("Latency by percentile", &charts::percentiles(report)),
        section("Throughput", &charts::throughput(report)),
        section("Latency over time", &charts::latency_over_time(report)),
        section("Percentiles", &tables::latency_table(report)),
        section("Answers", &tables::outcome_table(report)),
        section("Audit", &tables::audit_table(report)),
        section("Cost", &tables::cpu_table(report)),
        section("Plan and machine", &tables::facts(report)),
    ];
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>\n{}</style>\n</head>\n<body>\n{}\n</body>\n</html>\n",
        include_str!("style.css"),
        parts.join("\n")
    )
}

fn section(title: &str, content: &str) -> String {
    format!("<section>\n<h2>{title}</h2>\n{content}\n</section>")
}

fn header(report: &Report, title: &str) -> String {
    let (plan, host) = (&report.plan, &report.host);
    format!(
        "<header><h1>{title}</h1><p class=\"faint\">{} · {} s · {} connections · {} · {} cores</p></header>",
        report.started_at,
        plan.duration.as_secs_f64(),
        plan.connections,
        escape(&host.cpu),
        host.cores
    )
}

/// Writes whether the figures below may be believed, before any of them.
fn verdicts(report: &Report) -> String {
    format!(
        "<div class=\"verdicts\">{}{}{}</div>",
        validity(report),
        books(report),
        goals(report)
    )
}

/// Nothing where there are no goals.
fn goals(report: &Report) -> String {
    if report.goals.is_empty() {
        return String::new();
    }
    let line = |goal: &Goal| {
        let class = if goal.met { "" } else { " class=\"bad\"" };
        format!("<p{class}>{} ({}).</p>", goal.goal, goal.figure)
    };
    let title = if report.goals_met {
        "The goals are met"
    } else {
        "The goals are not met"
    };
    let lines: String = report.goals.iter().map(line).collect();
    verdict(report.goals_met, title, &lines)
}

fn verdict(good: bool, title: &str, text: &str) -> String {
    let class = if good { "" } else { " bad" };
    format!("<section class=\"verdict{class}\"><h2>{title}</h2>{text}</section>")
}

fn validity(report: &Report) -> String {
    if !report.valid {
        let reason = |text: &String| format!("<p class=\"bad\">{}</p>", escape(text));
        let reasons: String = report.invalid.iter().map(reason).collect();
        return verdict(false, "The run is invalid", &reasons);
    }
    let (max, late) = (report.plan.late_percent_max, report.plan.late.as_micros());
    let mut text = match report.plan.mode {
        Mode::Closed => "<p>Each connection asked again once it had its answer.</p>".to_owned(),
        Mode::Open { .. } => format!(
            "<p>All that was planned was sent, {:.3} % of it more than {late} µs late by the generator’s fault; {max} % are allowed.</p>",
            report.totals.late_percent
        ),
    };
    if let Some(why) = &report.ended_early {
        text += &format!("<p>{why}.</p>");
    }
    verdict(true, "The run is valid", &text)
}

fn books(report: &Report) -> String {
    let checks = &report.audit.checks;
    let broken = checks.iter().filter(|check| !check.holds);
    let mut text: String = broken
        .map(|check| {
            let (claim, figures) = (check.claim, escape(&check.figures));
            format!("<p class=\"bad\">Not true that {claim} ({figures}).</p>")
        })
        .collect();
    if text.is_empty() {
        let sold = count(report.totals.units_sold as f64);
        let compared = checks.len();
        text = format!("<p>{sold} units sold; {compared} of {compared} comparisons hold.</p>");
    }
    for what in &report.audit.left_out {
        text += &format!("<p class=\"faint\">Not compared: {}.</p>", escape(what));
    }
    let title = match (report.audit_passed, report.audit.left_out.is_empty()) {
        (false, _) => "The books are wrong",
        (true, true) => "The books are right",
        (true, false) => "The books are right as far as they were seen",
    };
    verdict(report.audit_passed, title, &text)
}

fn tiles(report: &Report) -> String {
    let totals = &report.totals;
    // The answers that gave what was asked for, where there are any: refusals are faster.
    let of = if totals.ok > 0 { "ok" } else { "all" };
    let rows = &report.latency;
    let felt = rows.iter().find(|row| row.of == of);
    let felt = felt.and_then(Latency::felt_us);
    let mut tiles = vec![(count(totals.answers_per_second), "answers a second")];
    if totals.ok < totals.answered {
        tiles.push((count(totals.ok_per_second), "of these ok"));
    }
    if let Some(felt) = felt {
        tiles.push((time_us(felt.p50), "median latency"));
        tiles.push((time_us(felt.p99), "99 % latency"));
        tiles.push((time_us(felt.p999), "99.9 % latency"));
        tiles.push((time_us(felt.max), "longest latency"));
    }
    if let Some(cpu) = &report.server_cpu {
        tiles.push((time_us(cpu.us_per_request), "server CPU a request"));
    }
    let tile = |(figure, what): &(String, &str)| {
        format!("<div><b>{figure}</b><small>{what}</small></div>")
    };
    let tiles: String = tiles.iter().map(tile).collect();
    format!("<section class=\"tiles\">{tiles}</section>")
}
