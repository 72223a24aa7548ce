//! Pictures of items, drawn from their names: one name has one picture, which never changes.

use std::io::Write;

use hyper::header::{CACHE_CONTROL, HeaderValue};

use crate::env::splitmix64;
use crate::http::answer::{Answer, IMMUTABLE};
use crate::http::browser_file::guard;
use crate::http::problem::Problem;
use crate::http::routes::RoutedRequest;

const SVG: HeaderValue = HeaderValue::from_static("image/svg+xml");

/// `GET /images/{name}.svg`: the picture of a name. Nothing of the name itself gets into the picture.
pub(in crate::http) fn image(request: &RoutedRequest<'_>) -> Result<Answer, Problem> {
    let [name, _] = request.names;
    let mut answer = Answer::shown(SVG, draw(name));
    let headers = answer.response.headers_mut();
    headers.insert(CACHE_CONTROL, IMMUTABLE);
    // A picture that is opened by its address is a document.
    guard(headers);
    Ok(answer)
}

fn draw(name: &str) -> Vec<u8> {
    let mut state = name.bytes().fold(0x5eed, |mut state, byte| {
        state ^= u64::from(byte);
        splitmix64(&mut state)
    });
    let mut below = |end: u64| splitmix64(&mut state) % end;
    let hue = below(360);
    let mut out = Vec::with_capacity(1536);
    // Writing into memory cannot fail.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 400 400\">\
         <defs><linearGradient id=\"g\" gradientTransform=\"rotate({})\">\
         <stop stop-color=\"hsl({hue} 70% 62%)\"/>\
         <stop offset=\"1\" stop-color=\"hsl({} 75% 38%)\"/></linearGradient></defs>\
         <rect width=\"400\" height=\"400\" fill=\"url(#g)\"/>",
        below(90),
        (hue + 30 + below(60)) % 360,
    );
    for _ in 0..4 + below(4) {
        let (x, y, radius) = (below(400), below(400), 30 + below(110));
        let (tint, opacity) = ((hue + 150 + below(90)) % 360, 15 + below(35));
        let _ = match below(3) {
            0 => write!(
                out,
                "<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" \
                 fill=\"hsl({tint} 80% 70%)\" fill-opacity=\".{opacity}\"/>"
            ),
            1 => write!(
                out,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{radius}\" height=\"{radius}\" rx=\"18\" \
                 transform=\"rotate({} {x} {y})\" \
                 fill=\"hsl({tint} 80% 70%)\" fill-opacity=\".{opacity}\"/>",
                below(90),
            ),
            _ => write!(
                out,
                "<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" fill=\"none\" \
                 stroke=\"hsl({tint} 85% 80%)\" stroke-width=\"{}\" stroke-opacity=\".{opacity}\"/>",
                6 + below(20),
            ),
        };
    }
    out.extend_from_slice(b"</svg>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_determines_its_picture() {
        assert_eq!(draw("item-1"), draw("item-1"));
        assert_ne!(draw("item-1"), draw("item-2"));
    }

    #[test]
    fn a_name_cannot_get_into_the_markup() {
        let svg = String::from_utf8(draw("<script>x")).expect("UTF-8");
        assert!(!svg.contains("script"));
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"));
    }
}
