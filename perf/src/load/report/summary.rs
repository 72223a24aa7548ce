//! A report for a terminal.

use std::io::{self, Write};

use flashsale::types::counted;

use super::super::plan::{Mode, Plan};
use super::rows::Percentiles;
use super::{Cpu, Report};

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    write_verdict(report, out)?;
    writeln!(out, "{}", title(&report.plan))?;
    let (plan, totals) = (&report.plan, &report.totals);
    writeln!(
        out,
        "{} connections, {} threads, {:.1} s from {}; users {}*; sale {}",
        plan.connections,
        plan.threads,
        report.elapsed_seconds,
        report.started_at,
        plan.prefix,
        report.sale.id
    )?;
    writeln!(
        out,
        "\n{} planned, {} sent, {} answered: {:.0} a second ({} ok: {:.0} a second, {} refused, {} errors)",
        totals.planned,
        totals.sent,
        totals.answered,
        totals.answers_per_second,
        totals.ok,
        totals.ok_per_second,
        totals.refused,
        totals.errors
    )?;
    if let Some(why) = &report.ended_early {
        writeln!(out, "{why}")?;
    }
    write_losses(report, out)?;
    write_outcomes(report, out)?;
    write_latencies(report, out)?;
    write_cost(report, out)?;
    write_audit(report, out)
}

/// Describes the run in a few words.
pub(super) fn title(plan: &Plan) -> String {
    let name = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let workload = name(serde_json::json!(plan.workload));
    match plan.mode {
        Mode::Closed => format!("{workload}, closed loop"),
        Mode::Open {
            rate,
            arrivals,
            shape,
            ..
        } => {
            let (arrivals, shape) = (
                name(serde_json::json!(arrivals)),
                name(serde_json::json!(shape)),
            );
            format!("{workload}, open loop of {rate} arrivals a second ({arrivals}, {shape})")
        }
    }
}

/// Writes what must be read before any figure.
fn write_verdict(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    for check in report.audit.checks.iter().filter(|check| !check.holds) {
        writeln!(
            out,
            "AUDIT FAILED: not true that {} ({})",
            check.claim, check.figures
        )?;
    }
    for unknown in &report.unknown {
        let kind = unknown.kind.name();
        writeln!(
            out,
            "UNKNOWN ANSWER: {} x {kind} status {}: {}",
            unknown.count, unknown.status, unknown.body
        )?;
    }
    for reason in &report.invalid {
        writeln!(out, "INVALID: {reason}")?;
    }
    for goal in &report.goals {
        let verdict = if goal.met { "goal met" } else { "GOAL NOT MET" };
        writeln!(out, "{verdict}: {} ({})", goal.goal, goal.figure)?;
    }
    Ok(())
}

fn write_losses(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let totals = &report.totals;
    for (count, cause) in totals.not_sent.by_cause() {
        if count > 0 {
            writeln!(out, "{count:>10}  arrivals not sent: {cause}")?;
        }
    }
    let losses = [
        (
            totals.cut_short,
            "journeys cut short by the end of their connection",
        ),
        (totals.disconnected, "connections ended before the answer"),
        (totals.timed_out, "answers did not come in time"),
        (
            totals.malformed,
            "responses were not HTTP/1.1 with a length",
        ),
        (totals.reconnected, "connections opened again"),
        (totals.connect_failed, "attempts to connect failed"),
    ];
    for (count, what) in losses.iter().filter(|(count, _)| *count > 0) {
        writeln!(out, "{count:>10}  {what}")?;
    }
    Ok(())
}

fn write_outcomes(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out)?;
    for row in &report.outcomes {
        writeln!(
            out,
            "{:>10}  {:<9} {:>3} {}",
            row.count,
            row.kind.name(),
            row.status.map_or("-".to_owned(), |it| it.to_string()),
            row.outcome
        )?;
    }
    Ok(())
}

fn write_latencies(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let columns = ["p50", "p90", "p99", "p99.9", "p99.99", "max"];
    write!(out, "\n{:<40}{:>10}", "latency, us", "count")?;
    columns
        .iter()
        .try_for_each(|column| write!(out, "{column:>11}"))?;
    writeln!(out)?;
    for row in &report.outcomes {
        let of = format!("{} {}", row.kind.name(), row.outcome);
        write_rows(&of, row.corrected_us.as_ref(), Some(&row.service_us), out)?;
    }
    for row in report.sums() {
        write_rows(
            row.of,
            row.corrected_us.as_ref(),
            row.service_us.as_ref(),
            out,
        )?;
    }
    if report.is_open() {
        write_row("generator late", &report.lateness_us, out)?;
        let (late, percent) = (report.totals.late, report.totals.late_percent);
        let late_us = report.plan.late.as_micros();
        writeln!(
            out,
            "{} ({percent:.3} %) sent more than {late_us} us late by the generator",
            counted(late, "request", "requests")
        )
    } else {
        writeln!(
            out,
            "a closed loop waits with the server: what a stall kept from being sent is not in these figures"
        )
    }
}

/// A row for each of the two latencies that there is.
fn write_rows(
    of: &str,
    corrected_us: Option<&Percentiles>,
    service_us: Option<&Percentiles>,
    out: &mut dyn Write,
) -> io::Result<()> {
    for (name, figures) in [("corrected", corrected_us), ("service", service_us)] {
        if let Some(figures) = figures {
            write_row(&format!("{of} {name}"), figures, out)?;
        }
    }
    Ok(())
}

fn write_row(name: &str, row: &Percentiles, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{name:<40}{:>10}", row.count)?;
    row.values()
        .iter()
        .try_for_each(|value| write!(out, "{value:>11.1}"))?;
    writeln!(out)
}

fn write_cost(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut line = |name: &str, cpu: &Cpu| {
        writeln!(
            out,
            "{name} {:>8.2} us CPU a request, {:.2} cores",
            cpu.us_per_request, cpu.cores
        )
    };
    line("\nclient", &report.client_cpu)?;
    if let Some(cpu) = &report.server_cpu {
        line("server", cpu)?;
    }
    if let Some(kib) = report.server_resident_kib {
        writeln!(out, "server {:>8.1} MiB resident", kib as f64 / 1024.0)?;
    }
    Ok(())
}

fn write_audit(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "\naudit: {}",
        if report.audit_passed {
            "passed"
        } else {
            "FAILED"
        }
    )?;
    for check in &report.audit.checks {
        let mark = if check.holds { "ok    " } else { "FAILED" };
        writeln!(out, "  {mark} {}: {}", check.claim, check.figures)?;
    }
    for left_out in &report.audit.left_out {
        writeln!(out, "  not compared: {left_out}")?;
    }
    Ok(())
}
