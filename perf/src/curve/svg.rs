//! The elements of an SVG document, written as text.

use std::fmt::Write;

/// A document that is being written.
pub struct Svg {
    text: String,
}

/// How a text lies at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Begins there.
    Start,
    /// Its middle is there.
    Middle,
    /// Ends there.
    End,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Stroke {
    /// Its colour.
    pub colour: &'static str,
    /// Its width.
    pub width: f64,
    /// Lengths of dashes and gaps; empty for a solid line.
    pub dashes: &'static str,
}

impl Svg {
    /// Begins a document of `width` by `height`, with a title and a description for people who cannot see it.
    #[must_use]
    pub fn new(width: f64, height: f64, title: &str, description: &str) -> Self {
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             role=\"img\" aria-labelledby=\"title description\" \
             font-family=\"system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif\" font-size=\"13\">\n"
        );
        let (title, description) = (escape(title), escape(description));
        // Writing into memory cannot fail.
        let _ = writeln!(
            text,
            "<title id=\"title\">{title}</title>\n<desc id=\"description\">{description}</desc>"
        );
        Self { text }
    }

    /// Draws a rectangle.
    pub fn rectangle(
        &mut self,
        (x, y): (f64, f64),
        (width, height): (f64, f64),
        fill: &str,
        stroke: &str,
    ) {
        let _ = writeln!(
            self.text,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"{fill}\" stroke=\"{stroke}\"/>"
        );
    }

    /// Draws a line through points.
    pub fn line(&mut self, stroke: Stroke, points: &[(f64, f64)]) {
        let points: Vec<_> = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let Stroke {
            colour,
            width,
            dashes,
        } = stroke;
        let dashes = match dashes {
            "" => String::new(),
            lengths => format!(" stroke-dasharray=\"{lengths}\""),
        };
        let _ = writeln!(
            self.text,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-linejoin=\"round\" \
             stroke-linecap=\"round\"{dashes}/>",
            points.join(" ")
        );
    }

    /// Draws a dot with what is said of it: filled, or hollow.
    pub fn dot(&mut self, (x, y): (f64, f64), colour: &str, is_filled: bool, title: &str) {
        let fill = if is_filled { colour } else { "#ffffff" };
        let title = escape(title);
        let _ = writeln!(
            self.text,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.2\" fill=\"{fill}\" stroke=\"{colour}\" stroke-width=\"1.6\">\
             <title>{title}</title></circle>"
        );
    }

    /// Writes a text at a place.
    pub fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, style: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escape(text);
        let _ = writeln!(
            self.text,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" {style}>{text}</text>"
        );
    }

    /// Returns the whole document.
    #[must_use]
    pub fn finish(self) -> String {
        self.text + "</svg>\n"
    }
}

/// Returns `text` as it stands between tags or in an attribute.
#[must_use]
pub fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;");
    let text = text.replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;")
}

/// Returns whether every tag of `document` is closed in order, every attribute is quoted and every `&` is of an entity.
#[cfg(test)]
pub fn is_well_formed(document: &str) -> bool {
    let mut open = Vec::new();
    let mut rest = document;
    while let Some(start) = rest.find('<') {
        let (text, tag) = rest.split_at(start);
        let Some(end) = tag.find('>') else {
            return false;
        };
        let inside = &tag[1..end];
        let is_plain = !text.contains('>') && !inside.contains('<');
        let entities = text.split('&').skip(1);
        let are_entities = entities.into_iter().all(|it| {
            let name = it.split(';').next().unwrap_or_default();
            it.contains(';') && ["amp", "lt", "gt", "quot"].contains(&name)
        });
        if !is_plain || !are_entities || inside.matches('"').count() % 2 == 1 {
            return false;
        }
        let name = inside.split([' ', '/']).next().unwrap_or_default();
        if let Some(closed) = inside.strip_prefix('/') {
            if open.pop() != Some(closed) {
                return false;
            }
        } else if !inside.ends_with('/') {
            open.push(name);
        }
        rest = &tag[end + 1..];
    }
    open.is_empty() && rest.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_well_formed_whatever_is_written_in_it() {
        let odd = "a < b & \"c\" > d";
        let mut svg = Svg::new(10.0, 20.0, odd, odd);
        svg.text((1.0, 2.0), Anchor::End, "fill=\"#000\"", odd);
        svg.dot((1.0, 2.0), "#123456", false, odd);
        let stroke = Stroke {
            colour: "#123456",
            width: 2.0,
            dashes: "1 2",
        };
        svg.line(stroke, &[(1.0, 2.0), (3.0, 4.0)]);
        svg.rectangle((0.0, 0.0), (1.0, 1.0), "#fff", "#000");
        let document = svg.finish();
        assert!(is_well_formed(&document), "{document}");
        assert!(document.contains("a &lt; b &amp; &quot;c&quot; &gt; d"));
    }

    #[test]
    fn a_document_that_is_not_well_formed_is_told() {
        for odd in [
            "<a>",
            "<a></b>",
            "<a>&</a>",
            "<a b=\"></a>",
            "<a/>x>",
            "</a>",
        ] {
            assert!(!is_well_formed(odd), "{odd}");
        }
    }
}
