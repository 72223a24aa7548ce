//! The plots of the page.

use super::super::plan::Mode;
use super::plot::{Axis, Plot};
use super::text::{count, time_us};
use super::{Report, SecondRow};

/// Seconds beyond which bars are put together, so that each is wide enough to be seen.
const BARS_MAX: usize = 240;
/// Rows of the percentile curve from each quantile to half of what is left.
const CURVE_TICKS: u32 = 12;

fn legend(entries: &[(&str, &str)]) -> String {
    let entry = |(colour, text): &(&str, &str)| {
        format!("<span><i style=\"background:var(--{colour})\"></i>{text}</span>")
    };
    format!(
        "<p class=\"legend\">{}</p>",
        entries.iter().map(entry).collect::<String>()
    )
}

pub(super) fn percentiles(report: &Report) -> String {
    // In a closed loop there is one curve.
    let service = (&report.all.service_ns, "two");
    let corrected = (&report.all.corrected_ns, "one");
    let curves = if report.is_open() {
        vec![service, corrected]
    } else {
        vec![service]
    };
    let longest = curves[curves.len() - 1].0;
    let (min, max) = (service.0.min().max(1000), longest.max().max(1000));
    let count = longest.len();
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
            "In a closed loop nothing is planned ahead: what a stall kept from being sent is not in the curve."
        }
    };
    let entries = [
        ("one", "corrected: planned → answer"),
        ("two", "service: sent → answer"),
    ];
    let entries = if report.is_open() {
        &entries[..]
    } else {
        &entries[1..]
    };
    format!(
        "{}{}<p class=\"faint\">{note}</p>",
        legend(entries),
        plot.finish("share of all requests")
    )
}

pub(super) fn throughput(report: &Report) -> String {
    let seconds = shown(report);
    let width = seconds.len().div_ceil(BARS_MAX).max(1);
    let bars: Vec<[f64; 4]> = seconds
        .chunks(width)
        .map(|chunk| {
            let mean = |field: fn(&SecondRow) -> u64| {
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

pub(super) fn latency_over_time(report: &Report) -> String {
    let seconds = shown(report);
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
        ("two", "99 %", (|it| it.p99_us) as fn(&SecondRow) -> u64),
        ("one", "median", |it| it.p50_us),
    ] {
        let middle =
            |(second, row): &(usize, &SecondRow)| (*second as f64 + 0.5, field(row) as f64);
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
        plot.finish(if report.is_open() {
            "corrected, in the second in which the answer came"
        } else {
            "from sending, in the second in which the answer came"
        })
    )
}

/// The seconds, without a last one in which nearly nothing came any more.
fn shown(report: &Report) -> &[SecondRow] {
    let seconds = &report.seconds[..];
    let most = seconds
        .iter()
        .map(|second| second.answered)
        .max()
        .unwrap_or(0);
    match seconds {
        [rest @ .., last] if !rest.is_empty() && last.answered * 50 < most => rest,
        all => all,
    }
}
