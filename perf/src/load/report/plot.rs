//! Plots as inline SVG. Colours come from the page's style sheet, by class.

use std::fmt::Write;

/// Size of a plot, in SVG units.
const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 300.0;
/// Room for the labels around the area.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 32.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 44.0;

/// One axis: from where to where, and which values have a label.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    from: f64,
    to: f64,
    logarithmic: bool,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From 0 to a round number that is at least `max`.
    pub(super) fn linear(max: f64, label: impl Fn(f64) -> String) -> Self {
        let step = round_step(max.max(1e-9) / 5.0);
        let count = (max / step).ceil().max(1.0);
        let ticks = (0..=count as u32).map(|i| f64::from(i) * step);
        Self {
            from: 0.0,
            to: count * step,
            logarithmic: false,
            ticks: ticks.map(|at| (at, label(at))).collect(),
        }
    }

    /// From 0 to exactly `max`.
    pub(super) fn up_to(max: f64, label: impl Fn(f64) -> String) -> Self {
        let mut axis = Self::linear(max, label);
        axis.ticks.retain(|(at, _)| *at <= max);
        Self { to: max, ..axis }
    }

    /// Powers of ten around `min` to `max`.
    pub(super) fn logarithmic(min: f64, max: f64, label: impl Fn(f64) -> String) -> Self {
        let first = min.max(1e-9).log10().floor() as i32;
        let last = (max.max(1e-9).log10().ceil() as i32).max(first + 1);
        let ticks = (first..=last).map(|power| 10_f64.powi(power));
        Self {
            from: 10_f64.powi(first),
            to: 10_f64.powi(last),
            logarithmic: true,
            ticks: ticks.map(|at| (at, label(at))).collect(),
        }
    }

    /// Of quantiles, as 1/(1-q): each nine takes as much room as the one before it.
    pub(super) fn quantiles(count: u64) -> Self {
        let last = (count.max(10) as f64).log10().ceil() as i32;
        let label = |nines: i32| match nines {
            0 => "0 %".to_owned(),
            1 => "90 %".to_owned(),
            2 => "99 %".to_owned(),
            _ => format!("99.{} %", "9".repeat(nines as usize - 2)),
        };
        Self {
            from: 1.0,
            to: 10_f64.powi(last),
            logarithmic: true,
            ticks: (0..=last)
                .map(|nines| (10_f64.powi(nines), label(nines)))
                .collect(),
        }
    }

    /// Returns the place of a value on the axis, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let place = if self.logarithmic {
            let (from, to) = (self.from.ln(), self.to.ln());
            (value.max(self.from).ln() - from) / (to - from)
        } else {
            (value - self.from) / (self.to - self.from)
        };
        place.clamp(0.0, 1.0)
    }
}

/// 1, 2 or 5 times a power of ten, at least `step`.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0];
    let factor = factors
        .into_iter()
        .find(|factor| factor * power >= step * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

/// A plot that is being drawn.
pub(super) struct Plot {
    x: Axis,
    y: Axis,
    svg: String,
}

impl Plot {
    /// An empty plot. `label` is what a reader who cannot see it is told.
    pub(super) fn new(label: &str, x: Axis, y: Axis) -> Self {
        let mut svg =
            format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{label}\">");
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for (at, text) in &y.ticks {
            let at = bottom - y.place(*at) * (bottom - TOP);
            // Writing into memory cannot fail.
            let _ = write!(
                svg,
                "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{right}\"/><text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">{text}</text>",
                LEFT - 8.0,
                at + 4.0
            );
        }
        for (at, text) in &x.ticks {
            let at = LEFT + x.place(*at) * (right - LEFT);
            let _ = write!(
                svg,
                "<path class=\"grid\" d=\"M{at:.1} {TOP}V{bottom}\"/><text class=\"mid\" x=\"{at:.1}\" y=\"{:.1}\">{text}</text>",
                bottom + 18.0
            );
        }
        Self { x, y, svg }
    }

    fn point(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let (width, height) = (WIDTH - RIGHT - LEFT, HEIGHT - BOTTOM - TOP);
        (
            LEFT + self.x.place(x) * width,
            HEIGHT - BOTTOM - self.y.place(y) * height,
        )
    }

    /// A line through points.
    pub(super) fn line(mut self, class: &str, points: impl Iterator<Item = (f64, f64)>) -> Self {
        let mut path = String::new();
        for point in points {
            let (x, y) = self.point(point);
            let _ = write!(
                path,
                "{}{x:.1} {y:.1}",
                if path.is_empty() { "M" } else { "L" }
            );
        }
        let _ = write!(self.svg, "<path class=\"line {class}\" d=\"{path}\"/>");
        self
    }

    /// Bars beside each other, each from a lower to an upper value, with what is said of each.
    pub(super) fn bars(
        mut self,
        class: &str,
        width: f64,
        bars: impl Iterator<Item = (f64, (f64, f64), String)>,
    ) -> Self {
        for (left, (lower, upper), title) in bars.filter(|(_, (lower, upper), _)| upper > lower) {
            let (x, bottom) = self.point((left, lower));
            let (right, top) = self.point((left + width, upper));
            let _ = write!(
                self.svg,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{title}</title></rect>",
                (right - x - 1.0).max(0.5),
                bottom - top
            );
        }
        self
    }

    /// A dot with what is said of it.
    pub(super) fn dot(mut self, class: &str, point: (f64, f64), title: &str) -> Self {
        let (x, y) = self.point(point);
        let _ = write!(
            self.svg,
            "<circle class=\"dot {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"><title>{title}</title></circle>"
        );
        self
    }

    /// The SVG, with what the x axis shows.
    pub(super) fn finish(self, x_label: &str) -> String {
        format!(
            "{}<text class=\"mid axis\" x=\"{}\" y=\"{}\">{x_label}</text></svg>",
            self.svg,
            (LEFT + WIDTH - RIGHT) / 2.0,
            HEIGHT - 4.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        for (step, expected) in [
            (0.9, 1.0),
            (1.0, 1.0),
            (1.1, 2.0),
            (23.0, 50.0),
            (51.0, 100.0),
        ] {
            assert!((round_step(step) - expected).abs() < 1e-9, "{step}");
        }
    }

    #[test]
    fn axes_hold_what_they_are_made_for() {
        let text = |value: f64| value.to_string();
        let linear = Axis::linear(930.0, text);
        assert!(linear.to >= 930.0 && linear.place(930.0) <= 1.0);
        let logarithmic = Axis::logarithmic(30.0, 4000.0, text);
        assert_eq!(
            (logarithmic.place(10.0), logarithmic.place(10_000.0)),
            (0.0, 1.0)
        );
        assert!((logarithmic.place(1000.0) - 2.0 / 3.0).abs() < 1e-9);
        let quantiles = Axis::quantiles(12_345);
        assert_eq!(
            quantiles.ticks.last().map(|(_, text)| text.as_str()),
            Some("99.999 %")
        );
        assert!((quantiles.place(100.0) - 0.4).abs() < 1e-9);
    }
}
