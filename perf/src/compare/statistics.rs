//! The middle of several measurements, and how far they lie apart.

use std::fmt;

use serde::Serialize;

/// The median of some figures with the smallest and the largest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The one in the middle; of an even number of figures the mean of the middle two.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of `figures`; `None` where there are none.
    #[must_use]
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let (min, max) = (*figures.first()?, *figures.last()?);
        let (low, high) = (figures[(figures.len() - 1) / 2], figures[figures.len() / 2]);
        Some(Self {
            median: f64::midpoint(low, high),
            min,
            max,
        })
    }
}

/// `median (min–max)`, with two digits unless the formatter says another precision.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let Self { median, min, max } = self;
        write!(f, "{median:.digits$} ({min:.digits$}–{max:.digits$})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(figures: &[f64]) -> Option<Spread> {
        Spread::of(figures.iter().copied())
    }

    #[test]
    fn the_median_is_the_middle_or_between_the_middle_two() {
        let odd = spread(&[3.0, 1.0, 20.0]).expect("figures");
        assert_eq!((odd.median, odd.min, odd.max), (3.0, 1.0, 20.0));
        let even = spread(&[4.0, 1.0, 2.0, 30.0]).expect("figures");
        assert_eq!((even.median, even.min, even.max), (3.0, 1.0, 30.0));
        let one = spread(&[7.0]).expect("a figure");
        assert_eq!((one.median, one.min, one.max), (7.0, 7.0, 7.0));
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn the_extremes_are_shown_with_the_median() {
        let shown = spread(&[0.951, 1.0, 1.204]).expect("figures");
        assert_eq!(shown.to_string(), "1.00 (0.95–1.20)");
        assert_eq!(format!("{shown:.0}"), "1 (1–1)");
    }
}
