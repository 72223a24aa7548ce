//! The tables of the page.

use std::fmt::Write;

use super::super::answer::Class;
use super::super::audit::Check;
use super::rows::Percentiles;
use super::text::{count, escape, time_us};
use super::{Report, summary};

pub(super) fn latency_table(report: &Report) -> String {
    let head = "<tr><th></th><th>count</th><th>50 %</th><th>90 %</th><th>99 %</th><th>99.9 %</th><th>99.99 %</th><th>max</th></tr>";
    let row = |name: &str, it: &Percentiles| {
        let cells: String = it
            .values()
            .iter()
            .map(|us| format!("<td>{}</td>", time_us(*us)))
            .collect();
        format!(
            "<tr><td>{name}</td><td>{}</td>{cells}</tr>",
            count(it.count as f64)
        )
    };
    let both = |of: &str, corrected: Option<&Percentiles>, service: Option<&Percentiles>| {
        let named = [("corrected", corrected), ("service", service)];
        let rows = named
            .iter()
            .filter_map(|(name, figures)| Some(row(&format!("{of}, {name}"), (*figures)?)));
        rows.collect::<String>()
    };
    let outcomes = report.outcomes.iter().map(|it| {
        let of = format!("{} {}", it.kind.name(), it.outcome);
        both(&of, it.corrected_us.as_ref(), Some(&it.service_us))
    });
    let sums = report
        .sums()
        .map(|it| both(it.of, it.corrected_us.as_ref(), it.service_us.as_ref()));
    let mut rows: String = outcomes.chain(sums).collect();
    if report.is_open() {
        rows += &row("generator late", &report.lateness_us);
    }
    format!("<div class=\"wide\"><table>{head}{rows}</table></div>")
}

pub(super) fn outcome_table(report: &Report) -> String {
    let totals = &report.totals;
    let mut rows = String::new();
    let mut add = |kind: &str, status: &str, what: &str, bad: bool, (number, of): (u64, u64)| {
        let class = if bad { "left error" } else { "left" };
        let share = number as f64 / of.max(1) as f64 * 100.0;
        let _ = write!(
            rows,
            "<tr><td>{kind}</td><td class=\"left\">{status}</td><td class=\"{class}\">{what}</td><td>{}</td><td>{share:.2} %</td></tr>",
            count(number as f64),
        );
    };
    for row in &report.outcomes {
        // Those without one follow, each with what it said.
        if let Some(status) = row.status {
            let bad = row.class == Class::Error;
            let share = (row.count, totals.sent);
            add(
                row.kind.name(),
                &status.to_string(),
                row.outcome,
                bad,
                share,
            );
        }
    }
    for row in &report.unknown {
        let what = format!("not described by the interface: {}", escape(&row.body));
        let share = (row.count, totals.sent);
        add(row.kind.name(), &row.status.to_string(), &what, true, share);
    }
    for (number, what) in [
        (totals.disconnected, "connection ended before the answer"),
        (totals.timed_out, "no answer in time"),
        (totals.malformed, "not HTTP/1.1 with a length"),
    ] {
        if number > 0 {
            add("–", "", what, true, (number, totals.sent));
        }
    }
    let journeys = [(totals.cut_short, "cut short by the end of the connection")];
    for (number, what) in totals.not_sent.by_cause().into_iter().chain(journeys) {
        if number > 0 {
            add("arrival", "", what, true, (number, totals.planned));
        }
    }
    format!(
        "<div class=\"wide\"><table><tr><th>request</th><th class=\"left\">status</th><th class=\"left\">outcome</th><th>count</th><th>of what was sent, or planned</th></tr>{rows}</table></div>"
    )
}

pub(super) fn cpu_table(report: &Report) -> String {
    let row = |name: &str, cpu: &super::Cpu, memory: String| {
        format!(
            "<tr><td>{name}</td><td>{:.2} µs</td><td>{:.2}</td><td>{:.2} s</td><td>{memory}</td></tr>",
            cpu.us_per_request,
            cpu.cores,
            cpu.total_ns as f64 / 1e9
        )
    };
    let memory = report
        .server_resident_kib
        .map_or_else(String::new, |kib| format!("{:.1} MiB", kib as f64 / 1024.0));
    let server = report
        .server_cpu
        .as_ref()
        .map(|cpu| row("server", cpu, memory));
    format!(
        "<table><tr><th></th><th>CPU a request</th><th>cores</th><th>CPU in all</th><th>resident</th></tr>{}{}</table>",
        server.unwrap_or_default(),
        row("generator", &report.client_cpu, String::new())
    )
}

pub(super) fn facts(report: &Report) -> String {
    let (plan, host) = (&report.plan, &report.host);
    let facts = [
        (
            "server",
            format!(
                "{}, sale {} of {} items",
                plan.address,
                report.sale.id,
                count(f64::from(report.sale.total_items))
            ),
        ),
        (
            "load",
            format!(
                "{}; {} threads; timeout {} s; seed {}",
                summary::title(plan),
                plan.threads,
                plan.timeout.as_secs_f64(),
                plan.seed
            ),
        ),
        ("users", format!("{}*", escape(&plan.prefix))),
        (
            "machine",
            format!(
                "{}, {} cores, {:.1} GiB, Linux {}",
                escape(&host.cpu),
                host.cores,
                host.memory_kib as f64 / 1_048_576.0,
                escape(&host.kernel)
            ),
        ),
        (
            "load average",
            format!(
                "{} in the last minute of the run",
                escape(&host.load_average)
            ),
        ),
    ];
    let fact = |(name, text): &(&str, String)| format!("<dt>{name}</dt><dd>{text}</dd>");
    format!("<dl>{}</dl>", facts.iter().map(fact).collect::<String>())
}

pub(super) fn audit_table(report: &Report) -> String {
    let row = |check: &Check| {
        let (class, mark) = if check.holds {
            ("left", "✓")
        } else {
            ("left error", "✗")
        };
        let (claim, figures) = (check.claim, escape(&check.figures));
        format!(
            "<tr><td class=\"{class}\">{mark} {claim}</td><td class=\"left\">{figures}</td></tr>"
        )
    };
    let rows: String = report.audit.checks.iter().map(row).collect();
    format!("<div class=\"wide\"><table class=\"wrap\">{rows}</table></div>")
}
