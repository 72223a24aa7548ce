//! Histograms as an interval log of HdrHistogram: version 2, compressed, in base64. Every tool of that
//! family reads it, and can add what several machines wrote.

use std::time::Duration;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use crate::types::Timestamp;

const HEAD: &str = "[Histogram log format version 1.3]\n\
                    Values are latencies in nanoseconds, the maximum is in milliseconds.";
/// Nanoseconds in a unit of the maximum that people read.
const MAX_UNIT_NS: f64 = 1e6;
const COLUMNS: &str =
    "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n";

/// The log of distributions of nanoseconds, each under its tag, which are all of the same time: from `since`
/// on, for so long.
#[must_use]
pub fn log(
    series: impl Iterator<Item = (String, Histogram<u64>)>,
    since: Timestamp,
    length: Duration,
) -> Vec<u8> {
    let since = Duration::from_micros(u64::try_from(since.0).unwrap_or(0));
    let mut out = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let log = IntervalLogWriterBuilder::new()
        .add_comment(HEAD)
        .with_max_value_divisor(MAX_UNIT_NS)
        .begin_log_with(&mut out, &mut serializer);
    let mut log = log.expect("writing into memory cannot fail");
    for (tag, histogram) in series {
        log.write_histogram(&histogram, since, length, Tag::new(&tag))
            .expect("a histogram that fits into memory can be written there");
    }
    insert_columns(out)
}

/// Names the columns before the first line of figures, as some readers expect it.
fn insert_columns(log: Vec<u8>) -> Vec<u8> {
    let lines = log.split_inclusive(|&byte| byte == b'\n');
    let head = lines.take_while(|line| line.starts_with(b"#"));
    let (head, figures) = log.split_at(head.map(<[u8]>::len).sum());
    [head, COLUMNS.as_bytes(), figures].concat()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::*;
    use crate::telemetry::Recorder;

    fn read_back(log: &[u8]) -> Vec<(String, Histogram<u64>)> {
        let entries = IntervalLogIterator::new(log);
        let histograms = entries.filter_map(|entry| match entry.expect("a log") {
            LogEntry::Interval(interval) => Some(interval),
            _ => None,
        });
        let decoded = histograms.map(|interval| {
            let bytes = BASE64_STANDARD.decode(interval.encoded_histogram());
            let bytes = bytes.expect("base64");
            let histogram = Deserializer::new().deserialize(&mut bytes.as_slice());
            let tag = interval.tag().expect("a tag").as_str().to_owned();
            (tag, histogram.expect("a histogram"))
        });
        decoded.collect()
    }

    #[test]
    fn logs_read_back_and_add_up() {
        let (recorder, other) = (Recorder::default(), Recorder::default());
        (1..=1000).for_each(|us| recorder.record(us * 1000));
        (1..=500).for_each(|us| other.record(us * 3000));
        let (one, two) = (recorder.read().to_histogram(), other.read().to_histogram());
        let series = [("a.b".to_owned(), one.clone()), ("c".to_owned(), two)];
        let since = Timestamp::from_seconds(100);
        let text = log(series.into_iter(), since, Duration::from_secs(10));
        let histograms = read_back(&text);
        let tags: Vec<_> = histograms.iter().map(|(tag, _)| tag.as_str()).collect();
        assert_eq!(tags, ["a.b", "c"]);
        let mut sum = histograms[0].1.clone();
        assert_eq!(sum, one);
        sum.add(&histograms[1].1).expect("the same bounds");
        assert_eq!(sum.len(), 1500);
        let text = String::from_utf8(text).expect("UTF-8");
        assert!(
            text.starts_with("#[Histogram log format version 1.3]\n"),
            "{text}"
        );
        assert!(text.contains("Tag=a.b,100.000,10.000,1.0"), "{text}");
    }

    #[test]
    fn an_empty_log_has_its_head() {
        let text = log(std::iter::empty(), Timestamp(0), Duration::ZERO);
        assert!(text.ends_with(COLUMNS.as_bytes()));
        assert!(text.starts_with(b"#["));
    }
}
