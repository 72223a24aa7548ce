//! Reads the body of a request, up to its bound.

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes};
use hyper::header::{CONTENT_ENCODING, HeaderMap};

use super::problem::Problem;
use crate::limits::BODY_BYTES_MAX;

/// Reads the whole of `body`, whose request has `headers`. A body that arrives in one piece is not copied.
pub(super) async fn read<B>(headers: &HeaderMap, mut body: B) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    check_encoding(headers)?;
    check_length(body.size_hint().lower())?;
    let Some(first) = next_piece(&mut body).await? else {
        return Ok(Bytes::new());
    };
    check_length(first.len() as u64)?;
    let Some(second) = next_piece(&mut body).await? else {
        return Ok(first);
    };
    let mut whole = Vec::with_capacity(BODY_BYTES_MAX.min(first.len() + second.len()));
    whole.extend_from_slice(&first);
    let mut piece = second;
    loop {
        check_length((whole.len() + piece.len()) as u64)?;
        whole.extend_from_slice(&piece);
        match next_piece(&mut body).await? {
            Some(next) => piece = next,
            None => return Ok(whole.into()),
        }
    }
}

/// Returns an error when the body has a content encoding other than `identity`.
pub(super) fn check_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers.get_all(CONTENT_ENCODING).iter();
    let mut codings = given.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    let is_plain = |coding: &[u8]| {
        let coding = coding.trim_ascii();
        coding.is_empty() || coding.eq_ignore_ascii_case(b"identity")
    };
    if codings.all(is_plain) {
        Ok(())
    } else {
        Err(Problem::unsupported_encoding())
    }
}

fn check_length(bytes: u64) -> Result<(), Problem> {
    if bytes > BODY_BYTES_MAX as u64 {
        Err(Problem::payload_too_large())
    } else {
        Ok(())
    }
}

/// Returns the next data of `body`, and skips trailers; `None` at its end.
pub(super) async fn next_piece<B>(body: &mut B) -> Result<Option<Bytes>, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(Problem::body_incomplete());
        };
        match frame.into_data() {
            Ok(data) if !data.is_empty() => return Ok(Some(data)),
            _ => {}
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use hyper::body::Frame;
    use hyper::header::HeaderValue;

    use super::*;

    struct Pieces(VecDeque<Bytes>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
        }
    }

    async fn read_pieces(lengths: &[usize]) -> Option<usize> {
        let pieces = lengths
            .iter()
            .map(|&length| Bytes::from(vec![b'x'; length]))
            .collect();
        let read = read(&HeaderMap::new(), Pieces(pieces)).await;
        read.ok().map(|whole| whole.len())
    }

    #[tokio::test]
    async fn bodies_are_bounded() {
        assert_eq!(read_pieces(&[]).await, Some(0));
        assert_eq!(read_pieces(&[0, 3, 0, 4]).await, Some(7));
        assert_eq!(read_pieces(&[BODY_BYTES_MAX]).await, Some(BODY_BYTES_MAX));
        assert_eq!(read_pieces(&[BODY_BYTES_MAX + 1]).await, None);
        assert_eq!(
            read_pieces(&[1, BODY_BYTES_MAX - 1]).await,
            Some(BODY_BYTES_MAX)
        );
        assert_eq!(read_pieces(&[1, BODY_BYTES_MAX - 1, 1]).await, None);
    }

    #[tokio::test]
    async fn a_declared_length_is_refused_before_reading() {
        let long = http_body_util::Full::new(Bytes::from(vec![0; BODY_BYTES_MAX + 1]));
        assert!(read(&HeaderMap::new(), long).await.is_err());
    }

    #[tokio::test]
    async fn only_plain_bodies_are_read() {
        for (codings, is_read) in [
            (&[][..], true),
            (&["identity"], true),
            (&["Identity, identity", ""], true),
            (&["gzip"], false),
            (&["identity, br"], false),
            (&["identity", "deflate"], false),
            (&["x"], false),
        ] {
            let mut headers = HeaderMap::new();
            for coding in codings {
                headers.append(CONTENT_ENCODING, HeaderValue::from_static(coding));
            }
            let body = http_body_util::Full::new(Bytes::from_static(b"x"));
            assert_eq!(read(&headers, body).await.is_ok(), is_read, "{codings:?}");
            let nothing = http_body_util::Full::new(Bytes::new());
            assert!(read(&headers, nothing).await.is_ok(), "{codings:?}");
        }
    }
}
