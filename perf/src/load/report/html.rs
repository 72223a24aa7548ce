//! A report as one page that needs nothing but itself.

use std::fmt::Write;

use super::super::answer::Class;
use super::super::plan::Mode;
use super::plot::{Axis, Plot};
use super::rows::{Latency, Percentiles};
use super::{Report, summary};

/// Seconds beyond which bars are put together, so that each is wide enough to be seen.
const BARS_MAX: usize = 240;
/// Rows of the percentile curve from each quantile to half of what is left.
const CURVE_TICKS: u32 = 12;

pub(super) fn page(report: &Report) -> String {
    let title = escape(&format!("flashsale load: {}", summary::title(&report.plan)));
    let parts = [
        header(report, &title),
        verdicts(report),
        tiles(report),
        section("Latency by percentile", &percentiles(report)),
        section("Throughput", &throughput(report)),
        section("Latency over time", &latency_over_time(report)),
        section("Percentiles", &latency_table(report)),
        section("Answers", &outcome_table(report)),
        section("Cost", &cpu_table(report)),
        section("Plan and machine", &facts(report)),
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

fn verdicts(report: &Report) -> String {
    let list = |items: Vec<String>| format!("<ul>{}</ul>", items.concat());
    let invalid = report
        .invalid
        .iter()
        .map(|reason| format!("<li class=\"bad\">{}</li>", escape(reason)));
    let validity = if report.valid {
        let (max, late) = (report.plan.late_percent_max, report.plan.late.as_micros());
        let percent = report.totals.late_percent;
        format!(
            "<p>Everything that was planned was sent. {percent:.3} % of the requests were sent more than {late} µs late by the generator; {max} % are allowed.</p>"
        )
    } else {
        list(invalid.collect())
    };
    let checks = report.audit.checks.iter().map(|check| {
        let class = if check.holds { "" } else { " class=\"bad\"" };
        let no = if check.holds { "" } else { "Not true: " };
        format!(
            "<li{class}>{no}{} <small>({})</small></li>",
            check.claim,
            escape(&check.figures)
        )
    });
    let left_out = report.audit.left_out.iter();
    let left_out =
        left_out.map(|what| format!("<li class=\"faint\">Not compared: {}</li>", escape(what)));
    let audit = list(checks.chain(left_out).collect());
    let verdict = |good: bool, yes: &str, no: &str, text: &str| {
        let (class, title) = if good { ("", yes) } else { (" bad", no) };
        format!("<section class=\"verdict{class}\"><h2>{title}</h2>{text}</section>")
    };
    format!(
        "<div class=\"verdicts\">{}{}</div>",
        verdict(
            report.valid,
            "The run is valid",
            "The run is invalid",
            &validity
        ),
        verdict(
            report.audit_passed,
            "The books are right",
            "The books are wrong",
            &audit
        )
    )
}

fn tiles(report: &Report) -> String {
    let all = report
        .latency
        .iter()
        .find(|row| row.of == "all")
        .map(|row| row.corrected_us);
    let mut tiles = vec![(count(report.totals.answers_per_second), "answers a second")];
    if let Some(all) = all {
        tiles.push((time_us(all.p50), "median"));
        tiles.push((time_us(all.p99), "99 %"));
        tiles.push((time_us(all.p999), "99.9 %"));
        tiles.push((time_us(all.max), "longest"));
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

fn legend(entries: &[(&str, &str)]) -> String {
    let entry = |(colour, text): &(&str, &str)| {
        format!("<span><i style=\"background:var(--{colour})\"></i>{text}</span>")
    };
    format!(
        "<p class=\"legend\">{}</p>",
        entries.iter().map(entry).collect::<String>()
    )
}

fn percentiles(report: &Report) -> String {
    let curves = [
        (&report.curves.service_ns, "two"),
        (&report.curves.corrected_ns, "one"),
    ];
    let (min, max) = (curves[0].0.min().max(1000), curves[1].0.max().max(1000));
    let count = curves[1].0.len();
    let y = Axis::logarithmic(min as f64 / 1e3, max as f64 / 1e3, time_us);
    let mut plot = Plot::new("Latency by percentile", Axis::quantiles(count), y);
    for (histogram, class) in curves {
        let steps = histogram.iter_quantiles(CURVE_TICKS);
        let points = steps.map(|step| {
            // The last value has the share of one among all.
            let left = (1.0 - step.quantile_iterated_to()).max(1.0 / count.max(1) as f64);
            (1.0 / left, step.value_iterated_to() as f64 / 1e3)
        });
        plot = plot.line(class, points);
        for (nines, name) in [
            (10.0, "90 %"),
            (100.0, "99 %"),
            (1000.0, "99.9 %"),
            (10_000.0, "99.99 %"),
        ] {
            if count as f64 >= nines {
                let value = histogram.value_at_quantile(1.0 - 1.0 / nines) as f64 / 1e3;
                plot = plot.dot(
                    class,
                    (nines, value),
                    &format!("{name}: {}", time_us(value)),
                );
            }
        }
    }
    let note = match report.plan.mode {
        Mode::Open { .. } => {
            "Corrected counts from the planned moment, also for those who had to wait to be asked."
        }
        Mode::Closed => {
            "In a closed loop nothing is planned ahead: the two curves are one, and what a stall kept from being sent is in neither."
        }
    };
    format!(
        "{}{}<p class=\"faint\">{note}</p>",
        legend(&[
            ("one", "corrected: planned → answer"),
            ("two", "service: sent → answer")
        ]),
        plot.finish("share of all requests")
    )
}

fn throughput(report: &Report) -> String {
    let seconds = &report.seconds;
    let width = seconds.len().div_ceil(BARS_MAX).max(1);
    let bars: Vec<[f64; 4]> = seconds
        .chunks(width)
        .map(|chunk| {
            let mean = |field: fn(&super::SecondRow) -> u64| {
                chunk.iter().map(field).sum::<u64>() as f64 / chunk.len() as f64
            };
            [
                mean(|it| it.ok),
                mean(|it| it.refused),
                mean(|it| it.errors),
                mean(|it| it.planned),
            ]
        })
        .collect();
    let highest = |bar: &[f64; 4]| bar[..3].iter().sum::<f64>().max(bar[3]);
    let max = bars.iter().map(highest).fold(1.0, f64::max);
    let x = Axis::up_to(seconds.len().max(1) as f64, |second| {
        format!("{second:.0} s")
    });
    let mut plot = Plot::new("Throughput over time", x, Axis::linear(max, count));
    for (index, class) in ["ok", "refused", "error"].into_iter().enumerate() {
        let stacked = bars.iter().enumerate().map(|(place, bar)| {
            let lower: f64 = bar[..index].iter().sum();
            let left = (place * width) as f64;
            let title = format!("second {left:.0}: {} {class} a second", count(bar[index]));
            (left, (lower, lower + bar[index]), title)
        });
        plot = plot.bars(class, width as f64, stacked);
    }
    let mut entries = vec![
        ("ok", "ok"),
        ("refused", "refused"),
        ("error", "errors and no answer"),
    ];
    if matches!(report.plan.mode, Mode::Open { .. }) {
        let planned = report.plan.duration.as_secs().max(1) as usize;
        let steps = bars
            .iter()
            .enumerate()
            .take(planned.div_ceil(width))
            .flat_map(|(place, bar)| {
                let left = (place * width) as f64;
                [(left, bar[3]), (left + width as f64, bar[3])]
            });
        plot = plot.line("plan", steps);
        entries.push(("plan", "arrivals planned; each is one request or several"));
    }
    format!(
        "{}{}",
        legend(&entries),
        plot.finish("answers a second, in the second in which they came")
    )
}

fn latency_over_time(report: &Report) -> String {
    let seconds = &report.seconds;
    let answered: Vec<_> = seconds
        .iter()
        .enumerate()
        .filter(|(_, it)| it.answered > 0)
        .collect();
    let max = answered.iter().map(|(_, it)| it.p99_us).max().unwrap_or(1);
    let min = answered
        .iter()
        .map(|(_, it)| it.p50_us)
        .min()
        .unwrap_or(1)
        .max(1);
    let x = Axis::up_to(seconds.len().max(1) as f64, |second| {
        format!("{second:.0} s")
    });
    let y = Axis::logarithmic(min as f64, max.max(2) as f64, time_us);
    let mut plot = Plot::new("Latency over time", x, y);
    for (class, name, field) in [
        (
            "two",
            "99 %",
            (|it| it.p99_us) as fn(&super::SecondRow) -> u64,
        ),
        ("one", "median", |it| it.p50_us),
    ] {
        let middle =
            |(second, row): &(usize, &super::SecondRow)| (*second as f64 + 0.5, field(row) as f64);
        plot = plot.line(class, answered.iter().map(middle));
        if answered.len() <= BARS_MAX {
            for (second, row) in &answered {
                let title = format!("second {second}: {name} {}", time_us(field(row) as f64));
                plot = plot.dot(class, middle(&(*second, *row)), &title);
            }
        }
    }
    let entries = [
        ("one", "median of the second"),
        ("two", "99 % of the second"),
    ];
    format!(
        "{}{}",
        legend(&entries),
        plot.finish("corrected, in the second in which the answer came")
    )
}

fn latency_table(report: &Report) -> String {
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
    let open = matches!(report.plan.mode, Mode::Open { .. });
    let rows = |it: &Latency| {
        let corrected = (open || it.service_us.is_none())
            .then(|| row(&format!("{}, corrected", it.of), &it.corrected_us));
        let service = it
            .service_us
            .map(|us| row(&format!("{}, service", it.of), &us));
        corrected.unwrap_or_default() + &service.unwrap_or_default()
    };
    let mut rows: String = report.latency.iter().map(rows).collect();
    if open {
        rows += &row("generator late", &report.lateness_us);
    }
    format!("<div class=\"wide\"><table>{head}{rows}</table></div>")
}

fn outcome_table(report: &Report) -> String {
    let total = report.totals.sent.max(1) as f64;
    let share = |count: u64| format!("{:.2} %", count as f64 / total * 100.0);
    let mut rows = String::new();
    let mut add = |kind: &str, status: &str, what: &str, bad: bool, number: u64| {
        let class = if bad { "left error" } else { "left" };
        let _ = write!(
            rows,
            "<tr><td>{kind}</td><td class=\"left\">{status}</td><td class=\"{class}\">{what}</td><td>{}</td><td>{}</td></tr>",
            count(number as f64),
            share(number)
        );
    };
    for row in &report.outcomes {
        let bad = row.class == Class::Error;
        add(
            row.kind.name(),
            &row.status.to_string(),
            row.code,
            bad,
            row.count,
        );
    }
    for row in &report.unknown {
        let what = format!("not described by the interface: {}", escape(&row.body));
        add(
            row.kind.name(),
            &row.status.to_string(),
            &what,
            true,
            row.count,
        );
    }
    let totals = &report.totals;
    for (number, what) in [
        (totals.disconnected, "connection ended before the answer"),
        (totals.timed_out, "no answer in time"),
        (totals.malformed, "not HTTP/1.1 with a length"),
        (totals.not_sent, "arrival not sent"),
    ] {
        if number > 0 {
            add("–", "", what, true, number);
        }
    }
    format!(
        "<div class=\"wide\"><table><tr><th>request</th><th class=\"left\">status</th><th class=\"left\">code</th><th>count</th><th>share</th></tr>{rows}</table></div>"
    )
}

fn cpu_table(report: &Report) -> String {
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

fn facts(report: &Report) -> String {
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
                summary::title(&plan),
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

/// Microseconds, in the unit that suits them.
fn time_us(us: f64) -> String {
    let (value, unit) = match us {
        us if us >= 1e6 => (us / 1e6, "s"),
        us if us >= 1e3 => (us / 1e3, "ms"),
        us => (us, "µs"),
    };
    let digits = if value >= 100.0 || value.fract() == 0.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {unit}")
}

/// A number with thin spaces between the thousands.
fn count(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_a_fitting_unit() {
        let cases = [
            (0.5, "0.50 µs"),
            (12.34, "12.3 µs"),
            (1500.0, "1.50 ms"),
            (250_000.0, "250 ms"),
            (2e6, "2 s"),
        ];
        for (us, expected) in cases {
            assert_eq!(time_us(us), expected);
        }
        assert_eq!(count(1_234_567.0), "1\u{202f}234\u{202f}567");
        assert_eq!(count(12.0), "12");
    }

    #[test]
    fn what_a_server_said_is_shown_as_text() {
        assert_eq!(escape("<script>\"&"), "&lt;script&gt;&quot;&amp;");
    }
}
