//! The line that is shown once a second while a run lasts.

use std::io::{self, IsTerminal, Write};

use super::plan::Plan;
use super::second::Second;

/// The output that progress is shown on.
pub(super) struct Progress {
    /// `None`: nowhere.
    overwriting: Option<bool>,
    seconds_planned: u64,
}

impl Progress {
    /// On standard error, if the plan wants it: on a terminal each line takes the place of the last.
    pub(super) fn of(plan: &Plan) -> Self {
        Self {
            overwriting: plan.progress.then(|| io::stderr().is_terminal()),
            seconds_planned: plan.duration.as_secs(),
        }
    }

    /// A second is over.
    pub(super) fn show(&self, second: &Second) {
        let Some(overwriting) = self.overwriting else {
            return;
        };
        let line = line(second, self.seconds_planned);
        let mut out = io::stderr().lock();
        // A terminal that is gone does not stop the run.
        let _ = if overwriting {
            write!(out, "\r{line}\x1b[K").and_then(|()| out.flush())
        } else {
            writeln!(out, "{line}")
        };
    }

    /// The run is over.
    pub(super) fn end(&self) {
        if self.overwriting == Some(true) {
            eprintln!();
        }
    }
}

fn line(second: &Second, seconds_planned: u64) -> String {
    let latency_us = second.all_us();
    let ms = |quantile| latency_us.value_at_quantile(quantile) as f64 / 1e3;
    let [ok, refused, errors] = second.classes;
    let number = second.number as u64 + 1;
    let place = if number > seconds_planned {
        "last answers".to_owned()
    } else {
        format!("{number:>4}/{seconds_planned} s")
    };
    format!(
        "{place}  planned {}/s  begun {}/s  sent {}/s  in flight {}  ok {ok}  refused {refused}  errors {errors}  p50 {:.2} ms  p99 {:.2} ms",
        second.planned,
        second.begun,
        second.sent,
        second.in_flight,
        ms(0.5),
        ms(0.99),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_figures_of_its_second() {
        let mut second = Second::new(2);
        (second.planned, second.begun, second.sent, second.in_flight) = (9, 8, 7, 1);
        second.classes = [4, 2, 1];
        second.latency_us[0].record(1500).expect("it grows");
        assert_eq!(
            line(&second, 10),
            "   3/10 s  planned 9/s  begun 8/s  sent 7/s  in flight 1  ok 4  refused 2  errors 1  p50 1.50 ms  p99 1.50 ms"
        );
    }
}
