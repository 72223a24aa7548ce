//! Figures and foreign text, as they are shown on the page.

/// Microseconds, in the unit that suits them.
pub(super) fn time_us(us: f64) -> String {
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
pub(super) fn count(number: f64) -> String {
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

pub(super) fn escape(text: &str) -> String {
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
