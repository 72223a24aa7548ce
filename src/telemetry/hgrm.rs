//! A histogram as text, in the form of HdrHistogram's percentile distributions, which its plotters read.

use std::io::{self, Write};

use hdrhistogram::Histogram;

/// Rows from each quantile to half of what is left.
const TICKS_PER_HALF_DISTANCE: u32 = 5;
/// Nanoseconds in a unit of the first column, which is microseconds.
const UNIT_NS: f64 = 1e3;

/// Writes a histogram of nanoseconds; its values come out in microseconds.
///
/// # Errors
/// Returns the errors of `out`.
pub fn write(histogram: &Histogram<u64>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "{:>12} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    )?;
    let mut total = 0;
    for step in histogram.iter_quantiles(TICKS_PER_HALF_DISTANCE) {
        total += step.count_since_last_iteration();
        let value = step.value_iterated_to() as f64 / UNIT_NS;
        let quantile = step.quantile_iterated_to();
        write!(out, "{value:>12.3} {quantile:>2.12} {total:>10}")?;
        if quantile < 1.0 {
            writeln!(out, " {:>14.2}", 1.0 / (1.0 - quantile))?;
        } else {
            writeln!(out)?;
        }
    }
    let (mean, deviation) = (histogram.mean() / UNIT_NS, histogram.stdev() / UNIT_NS);
    writeln!(
        out,
        "#[Mean    = {mean:>12.3}, StdDeviation   = {deviation:>12.3}]"
    )?;
    let (max, count) = (histogram.max() as f64 / UNIT_NS, histogram.len());
    writeln!(
        out,
        "#[Max     = {max:>12.3}, Total count    = {count:>12}]"
    )?;
    let sub_buckets = 1_u64
        << (f64::from(2 * 10_u32.pow(u32::from(histogram.sigfig())))
            .log2()
            .ceil() as u32);
    let buckets = histogram.buckets();
    writeln!(
        out,
        "#[Buckets = {buckets:>12}, SubBuckets     = {sub_buckets:>12}]"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Value, percentile, total count of each row.
    fn parse(text: &str) -> Vec<(f64, f64, u64)> {
        let rows = text.lines().skip(2).filter(|line| !line.starts_with('#'));
        rows.map(|row| {
            let mut cells = row.split_whitespace();
            let mut cell = || cells.next().expect("a cell");
            (
                cell().parse().expect("a value"),
                cell().parse().expect("a percentile"),
                cell().parse().expect("a count"),
            )
        })
        .collect()
    }

    #[test]
    fn what_is_written_can_be_read_back() {
        let mut histogram = Histogram::new_with_bounds(1, 1_000_000_000, 3).expect("bounds");
        (1..=1000).for_each(|us| histogram.saturating_record(us * 1000));
        let mut out = Vec::new();
        write(&histogram, &mut out).expect("into memory");
        let text = String::from_utf8(out).expect("UTF-8");
        let rows = parse(&text);
        assert!(rows.is_sorted_by(|a, b| a.0 <= b.0 && a.1 <= b.1 && a.2 <= b.2));
        let median = rows.iter().find(|row| row.1 >= 0.5).expect("a median");
        assert!((median.0 - 500.0).abs() < 1.0, "{median:?}");
        let last = rows.last().expect("rows");
        assert_eq!((last.1, last.2), (1.0, 1000));
        assert!(text.contains("#[Mean    =      500."), "{text}");
        assert!(text.contains("Total count    =         1000]"), "{text}");
        assert!(text.contains("SubBuckets     =         2048]"), "{text}");
    }

    #[test]
    fn an_empty_histogram_has_a_head_and_a_foot() {
        let histogram = Histogram::new_with_bounds(1, 1_000_000, 3).expect("bounds");
        let mut out = Vec::new();
        write(&histogram, &mut out).expect("into memory");
        assert!(
            String::from_utf8(out)
                .expect("UTF-8")
                .contains("Total count    =            0]")
        );
    }
}
