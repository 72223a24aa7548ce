//! A logarithmic scale: which values have a label, and where a value lies.

/// Labels within a power of ten.
const STEPS: [f64; 3] = [1.0, 2.0, 5.0];
/// How much of a step is left free beyond the smallest and the largest value.
const MARGIN: f64 = 1.2;

/// A logarithmic scale from one value to another.
#[derive(Clone, Debug)]
pub struct Scale {
    from: f64,
    to: f64,
}

impl Scale {
    /// Returns the scale that shows all `values`, which are positive, with some room at both ends.
    #[must_use]
    pub fn around(values: impl Iterator<Item = f64>) -> Self {
        let (mut from, mut to) = (f64::INFINITY, 0.0_f64);
        for value in values.filter(|value| value.is_finite() && *value > 0.0) {
            (from, to) = (from.min(value), to.max(value));
        }
        if from > to {
            (from, to) = (1.0, 10.0);
        }
        Self {
            from: from / MARGIN,
            to: to * MARGIN,
        }
    }

    /// Returns the place of a value, from 0 to 1; of one beyond an end, that end.
    #[must_use]
    pub fn place(&self, value: f64) -> f64 {
        let value = value.clamp(self.from, self.to);
        (value / self.from).ln() / (self.to / self.from).ln()
    }

    /// Returns the values that have a label: 1, 2 and 5 times each power of ten.
    #[must_use]
    pub fn ticks(&self) -> Vec<f64> {
        let powers = self.from.log10().floor() as i32..=self.to.log10().ceil() as i32;
        let all = powers.flat_map(|power| STEPS.map(|step| step * 10_f64.powi(power)));
        let is_shown = |tick: &f64| (self.from..=self.to).contains(tick);
        all.filter(is_shown).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_equal_ratio_are_equally_far_apart() {
        let scale = Scale::around([1.0, 100.0].into_iter());
        let place = |value| scale.place(value);
        assert!((place(10.0) - 0.5).abs() < 1e-9);
        assert!((place(50.0) - place(10.0) - (place(5.0) - place(1.0))).abs() < 1e-9);
        assert!(place(1.0) > 0.0 && place(100.0) < 1.0, "there is room");
        assert_eq!((place(0.001), place(1e9)), (0.0, 1.0));
    }

    #[test]
    fn ticks_are_round_and_within_the_scale() {
        let scale = Scale::around([0.3, 41.0].into_iter());
        let ticks: Vec<_> = scale.ticks().iter().map(|it| format!("{it:.1}")).collect();
        assert_eq!(ticks, ["0.5", "1.0", "2.0", "5.0", "10.0", "20.0"]);
    }

    #[test]
    fn a_scale_of_nothing_or_of_one_value_can_be_drawn() {
        for values in [&[][..], &[7.0], &[f64::NAN, 0.0]] {
            let scale = Scale::around(values.iter().copied());
            assert!(scale.place(7.0).is_finite(), "{values:?}");
        }
    }
}
