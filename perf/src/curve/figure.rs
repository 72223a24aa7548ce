//! The figure: latency against rate, a colour for each contestant and a line for each percentile.

use super::name::Name;
use super::point::Point;
use super::scale::Scale;
use super::svg::{Anchor, Stroke, Svg};
use crate::compare::statistics::Spread;

/// The size of the figure, and the area of its lines.
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 560.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 752.0;
const TOP: f64 = 74.0;
const BOTTOM: f64 = 484.0;

/// It has a background of its own, so that it is legible on a dark page, too.
const BACKGROUND: &str = "#ffffff";
const FRAME: &str = "#d0d7de";
const GRID: &str = "#e6e9ed";
const INK: &str = "fill=\"#1f2328\"";
const FAINT: &str = "fill=\"#57606a\"";

/// A percentile, and how its line is drawn.
struct Percentile {
    name: &'static str,
    dashes: &'static str,
    of: fn(&Point) -> Spread,
}

const PERCENTILES: [Percentile; 3] = [
    Percentile {
        name: "p50",
        dashes: "",
        of: |point| point.p50_us,
    },
    Percentile {
        name: "p99",
        dashes: "7 5",
        of: |point| point.p99_us,
    },
    Percentile {
        name: "p99.9",
        dashes: "0.5 5",
        of: |point| point.p999_us,
    },
];

/// A contestant of the figure.
pub struct Series<'a> {
    /// The contestant.
    pub name: Name,
    /// Its name as it is shown.
    pub label: &'a str,
    /// Requests a second in a closed loop.
    pub maximum: f64,
    /// Its points, the lowest rate first.
    pub points: Vec<Point>,
}

/// Returns the colour of a contestant. People who do not see all colours can tell them apart, too.
fn colour(name: Name) -> &'static str {
    match name {
        Name::Flashsale => "#d55e00",
        Name::Floor => "#0072b2",
        Name::Bare => "#6e7781",
        Name::RedisLua => "#009e73",
        Name::PostgresRow => "#b2509a",
    }
}

/// Draws the figure. `subtitle` and `footer` say how and where it was measured.
#[must_use]
pub fn draw(series: &[Series], subtitle: &str, footer: &str) -> String {
    let title =
        "Latency of an accepted checkout at 25, 50, 75 and 90 % of each one's own maximal rate";
    let mut svg = Svg::new(WIDTH, HEIGHT, title, &description(series));
    svg.rectangle((0.5, 0.5), (WIDTH - 1.0, HEIGHT - 1.0), BACKGROUND, FRAME);
    let strong = format!("{INK} font-size=\"16\" font-weight=\"600\"");
    svg.text((20.0, 30.0), Anchor::Start, &strong, title);
    svg.text((20.0, 51.0), Anchor::Start, FAINT, subtitle);
    let small = format!("{FAINT} font-size=\"11\"");
    svg.text((20.0, HEIGHT - 14.0), Anchor::Start, &small, footer);
    let area = Area::around(series);
    area.draw_axes(&mut svg);
    // The first one lies on top.
    for one in series.iter().rev() {
        area.draw_series(&mut svg, one);
    }
    draw_legend(&mut svg, series);
    svg.finish()
}

/// Returns the figures in words.
fn description(series: &[Series]) -> String {
    let mut text = String::from(
        "Both axes are logarithmic: accepted checkouts a second, and milliseconds from when each was due.",
    );
    for one in series {
        let maximum = thousands(one.maximum);
        text.push_str(&format!(
            " {} answers at most {maximum} requests/s;",
            one.label
        ));
        for point in &one.points {
            let [p50, p99, p999] = PERCENTILES
                .each_ref()
                .map(|it| milliseconds((it.of)(point).median));
            let share = point.share_percent;
            text.push_str(&format!(
                " at {share} % p50 {p50}, p99 {p99}, p99.9 {p999} ms;"
            ));
        }
    }
    text
}

/// The area of the lines, with its scales: requests a second, and milliseconds.
struct Area {
    rates: Scale,
    latencies: Scale,
}

impl Area {
    fn around(series: &[Series]) -> Self {
        let points = || series.iter().flat_map(|one| &one.points);
        let latencies = points().flat_map(|point| {
            let of = |percentile: &Percentile| (percentile.of)(point).median / 1e3;
            PERCENTILES.each_ref().map(of)
        });
        Self {
            rates: Scale::around(points().map(|point| point.asked_per_second)),
            latencies: Scale::around(latencies),
        }
    }

    fn x(&self, per_second: f64) -> f64 {
        LEFT + self.rates.place(per_second) * (RIGHT - LEFT)
    }

    fn y(&self, ms: f64) -> f64 {
        BOTTOM - self.latencies.place(ms) * (BOTTOM - TOP)
    }

    fn draw_axes(&self, svg: &mut Svg) {
        let thin = |colour| Stroke {
            colour,
            width: 1.0,
            dashes: "",
        };
        for per_second in self.rates.ticks() {
            let x = self.x(per_second);
            svg.line(thin(GRID), &[(x, TOP), (x, BOTTOM)]);
            let label = thousands(per_second);
            svg.text((x, BOTTOM + 18.0), Anchor::Middle, FAINT, &label);
        }
        for ms in self.latencies.ticks() {
            let y = self.y(ms);
            svg.line(thin(GRID), &[(LEFT, y), (RIGHT, y)]);
            svg.text((LEFT - 8.0, y + 4.5), Anchor::End, FAINT, &tick_label(ms));
        }
        svg.line(
            thin("#8c959f"),
            &[(LEFT, TOP), (LEFT, BOTTOM), (RIGHT, BOTTOM)],
        );
        let middle = f64::midpoint(LEFT, RIGHT);
        let title = "checkouts a second that were asked for (log scale)";
        svg.text((middle, BOTTOM + 40.0), Anchor::Middle, INK, title);
        let turned = format!(
            "{INK} transform=\"rotate(-90 24 {0})\"",
            f64::midpoint(TOP, BOTTOM)
        );
        let title = "latency from the planned moment, ms (log scale)";
        let place = (24.0, f64::midpoint(TOP, BOTTOM));
        svg.text(place, Anchor::Middle, &turned, title);
    }

    fn draw_series(&self, svg: &mut Svg, series: &Series) {
        let colour = colour(series.name);
        let width = if series.name == Name::Flashsale {
            2.6
        } else {
            1.8
        };
        for percentile in &PERCENTILES {
            let at = |point: &Point| {
                let ms = (percentile.of)(point).median / 1e3;
                (self.x(point.asked_per_second), self.y(ms))
            };
            let stroke = Stroke {
                colour,
                width,
                dashes: percentile.dashes,
            };
            let places: Vec<_> = series.points.iter().map(at).collect();
            svg.line(stroke, &places);
            for point in &series.points {
                let title = dot_title(series.label, percentile, point);
                svg.dot(at(point), colour, point.is_valid(), &title);
            }
        }
    }
}

fn dot_title(label: &str, percentile: &Percentile, point: &Point) -> String {
    let Spread { median, min, max } = (percentile.of)(point);
    let [median, min, max] = [median, min, max].map(milliseconds);
    format!(
        "{label}, {} requests/s ({} %): {} {median} ms ({min}–{max}); {} of {} rounds valid",
        thousands(point.asked_per_second),
        point.share_percent,
        percentile.name,
        point.rounds - point.invalid_rounds,
        point.rounds
    )
}

fn draw_legend(svg: &mut Svg, series: &[Series]) {
    let (left, mut y) = (RIGHT + 24.0, TOP + 8.0);
    for one in series {
        let colour = colour(one.name);
        let stroke = Stroke {
            colour,
            width: 4.0,
            dashes: "",
        };
        svg.line(stroke, &[(left, y), (left + 22.0, y)]);
        svg.text((left + 30.0, y + 4.5), Anchor::Start, INK, one.label);
        let maximum = format!("at most {}/s", thousands(one.maximum));
        let small = format!("{FAINT} font-size=\"11\"");
        svg.text((left + 30.0, y + 19.0), Anchor::Start, &small, &maximum);
        y += 42.0;
    }
    y += 6.0;
    for percentile in &PERCENTILES {
        let stroke = Stroke {
            colour: "#1f2328",
            width: 2.0,
            dashes: percentile.dashes,
        };
        svg.line(stroke, &[(left, y), (left + 30.0, y)]);
        svg.text((left + 38.0, y + 4.5), Anchor::Start, INK, percentile.name);
        y += 22.0;
    }
    y += 6.0;
    svg.dot((left + 4.0, y), "#1f2328", false, "not valid");
    let lines = [
        "hollow: half of the rounds",
        "or more were not valid,",
        "such as by a late generator",
    ];
    for (index, line) in lines.into_iter().enumerate() {
        let (x, y) = (left + 14.0, y + 4.0 + 15.0 * index as f64);
        let small = format!("{FAINT} font-size=\"11\"");
        svg.text((x, y), Anchor::Start, &small, line);
    }
}

/// Returns a label of the latency axis: no more digits than it has.
fn tick_label(ms: f64) -> String {
    let digits = (-ms.log10().floor()).max(0.0) as usize;
    format!("{ms:.digits$}")
}

/// Returns microseconds as milliseconds with three digits.
#[must_use]
pub fn milliseconds(us: f64) -> String {
    let ms = us / 1e3;
    let digits = (2.0 - ms.max(1e-3).log10().floor()).clamp(0.0, 3.0) as usize;
    format!("{ms:.digits$}")
}

/// Returns a whole number with a comma between groups of three digits.
#[must_use]
pub fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::svg::is_well_formed;
    use super::*;

    /// The most that a README should have to load.
    const BYTES_MAX: usize = 60_000;

    fn point(share_percent: u32, maximum: f64, p50: f64, invalid_rounds: usize) -> Point {
        let spread = |us| Spread::of([us]).expect("a figure");
        Point {
            contestant: "someone",
            share_percent,
            asked_per_second: maximum * f64::from(share_percent) / 100.0,
            p50_us: spread(p50),
            p99_us: spread(4.0 * p50),
            p999_us: spread(9.0 * p50),
            rounds: 3,
            invalid_rounds,
        }
    }

    fn series(name: Name, label: &str, maximum: f64, p50: f64) -> Series<'_> {
        let points = [(25, 1.0, 0), (50, 1.2, 0), (75, 1.6, 0), (90, 4.0, 2)];
        let points = points.map(|(share, times, bad)| point(share, maximum, p50 * times, bad));
        Series {
            name,
            label,
            maximum,
            points: points.to_vec(),
        }
    }

    fn all() -> Vec<Series<'static>> {
        vec![
            series(Name::Flashsale, "flashsale", 100_000.0, 300.0),
            series(Name::Floor, "floor", 130_000.0, 250.0),
            series(Name::Bare, "bare hyper", 190_000.0, 40.0),
            series(Name::RedisLua, "redis-lua, always", 33_000.0, 900.0),
            series(Name::PostgresRow, "postgres-row", 9_800.0, 3_000.0),
        ]
    }

    #[test]
    fn the_figure_is_well_formed_small_and_described() {
        let figure = draw(&all(), "64 connections", "2 cores & a <disk>");
        assert!(is_well_formed(&figure), "{figure}");
        assert!(figure.len() < BYTES_MAX, "{} bytes", figure.len());
        assert!(figure.contains("<title id=\"title\">Latency of"));
        let described = "flashsale answers at most 100,000 requests/s; at 25 % p50 0.300, p99 1.20, p99.9 2.70 ms;";
        assert!(figure.contains(described), "{figure}");
        // Three lines each, and three of the legend beside the five colours.
        let dashes = ["stroke-dasharray=\"7 5\"", "stroke-dasharray=\"0.5 5\""];
        assert_eq!(dashes.map(|it| figure.matches(it).count()), [6, 6]);
    }

    #[test]
    fn points_that_are_not_valid_are_hollow() {
        let figure = draw(&all(), "", "");
        let hollow = figure
            .matches("fill=\"#ffffff\" stroke=\"#d55e00\"")
            .count();
        assert_eq!(hollow, 3, "one of each percentile");
    }

    #[test]
    fn every_place_is_within_the_area() {
        let all = all();
        let area = Area::around(&all);
        for point in all.iter().flat_map(|one| &one.points) {
            let x = area.x(point.asked_per_second);
            assert!(x > LEFT && x < RIGHT, "{x}");
            for percentile in &PERCENTILES {
                let y = area.y((percentile.of)(point).median / 1e3);
                assert!(y > TOP && y < BOTTOM, "{y}");
            }
        }
        assert!(area.x(50_000.0) > area.x(10_000.0));
        assert!(area.y(1.0) < area.y(0.5), "longer is higher");
    }

    #[test]
    fn a_figure_of_nothing_can_be_drawn() {
        assert!(is_well_formed(&draw(&[], "", "")));
    }

    #[test]
    fn numbers_are_short() {
        let labels = [0.05, 0.2, 1.0, 50.0].map(tick_label);
        assert_eq!(labels, ["0.05", "0.2", "1", "50"]);
        let latencies = [43.0, 1_234.0, 12_345.0, 150_000.0].map(milliseconds);
        assert_eq!(latencies, ["0.043", "1.23", "12.3", "150"]);
        let numbers = [999.0, 1_000.0, 1_234_567.0].map(thousands);
        assert_eq!(numbers, ["999", "1,000", "1,234,567"]);
    }
}
