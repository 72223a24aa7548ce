//! The bodies of administration, which may be large: a bounded number is read at a time.

use std::sync::Arc;

use hyper::body::{Body, Bytes};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::Peer;
use crate::http::body::next_piece;
use crate::http::problem::Problem;
use crate::limits::{ADMIN_BODY_BYTES_MAX, ADMIN_SMALL_BODIES_MAX, ADMIN_SMALL_BODY_BYTES_MAX};
use crate::sale::Unavailable;

/// Limits the bodies in memory: some small ones and one large one at a time.
#[derive(Debug)]
pub(super) struct BodyLimits {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

/// A body that was read. It counts for the limits until it is dropped.
#[derive(Debug)]
pub(super) struct LimitedBody {
    bytes: Vec<u8>,
    _permit: OwnedSemaphorePermit,
}

impl LimitedBody {
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self {
            small: Arc::new(Semaphore::new(ADMIN_SMALL_BODIES_MAX)),
            large: Arc::new(Semaphore::new(1)),
        }
    }
}

impl BodyLimits {
    /// Reads the whole of `body`, for which `peer` gets the longer deadline.
    pub(super) async fn read<B>(&self, mut body: B, peer: &Peer) -> Result<LimitedBody, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let announced = body.size_hint();
        if announced.lower() > ADMIN_BODY_BYTES_MAX as u64 {
            return Err(Problem::payload_too_large());
        }
        let mut length_max = length_max_of(announced.lower());
        let mut permit = self.acquire(length_max)?;
        peer.set_long_body(true);
        let length = announced.exact().unwrap_or(0);
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        while let Some(piece) = next_piece(&mut body).await? {
            if bytes.len() + piece.len() > length_max {
                if length_max == ADMIN_BODY_BYTES_MAX {
                    return Err(Problem::payload_too_large());
                }
                length_max = ADMIN_BODY_BYTES_MAX;
                permit = self.acquire(length_max)?;
                // At once, so that nothing is copied later. Memory that is not written to costs nothing.
                bytes.reserve_exact(length_max - bytes.len());
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(LimitedBody {
            bytes,
            _permit: permit,
        })
    }

    fn acquire(&self, length_max: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let limit = if length_max > ADMIN_SMALL_BODY_BYTES_MAX {
            &self.large
        } else {
            &self.small
        };
        let taken = Arc::clone(limit).try_acquire_owned();
        taken.map_err(|_| Unavailable::Overloaded.into())
    }
}

/// Returns the length up to which a body of `length` bytes may grow without another permit.
fn length_max_of(length: u64) -> usize {
    if length > ADMIN_SMALL_BODY_BYTES_MAX as u64 {
        ADMIN_BODY_BYTES_MAX
    } else {
        ADMIN_SMALL_BODY_BYTES_MAX
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use http_body_util::Full;

    use super::*;
    use crate::http::problem::ProblemFormat;

    async fn read(room: &BodyLimits, length: usize) -> Result<LimitedBody, u16> {
        let peer = Peer::new(Ipv4Addr::LOCALHOST.into());
        let body = room
            .read(Full::new(Bytes::from(vec![b'x'; length])), &peer)
            .await;
        assert_eq!(peer.has_long_body(), body.is_ok());
        let status = |problem: Problem| problem.into_answer(ProblemFormat::Plain).response.status();
        body.map_err(|problem| status(problem).as_u16())
    }

    #[tokio::test]
    async fn few_bodies_are_taken_at_the_same_time() {
        let room = BodyLimits::default();
        let mut taken = Vec::new();
        for _ in 0..ADMIN_SMALL_BODIES_MAX {
            let mut body = read(&room, ADMIN_SMALL_BODY_BYTES_MAX).await.expect("room");
            assert_eq!(body.bytes().len(), ADMIN_SMALL_BODY_BYTES_MAX);
            taken.push(body);
        }
        assert_eq!(read(&room, 1).await.err(), Some(503));
        taken.pop();
        let small = read(&room, 1).await.expect("room again");
        let large = read(&room, ADMIN_SMALL_BODY_BYTES_MAX + 1).await;
        let large = large.expect("room for a large one, too");
        let another = read(&room, ADMIN_SMALL_BODY_BYTES_MAX + 1).await;
        assert_eq!(another.err(), Some(503));
        drop((large, small));
        let large = read(&room, ADMIN_SMALL_BODY_BYTES_MAX + 1).await;
        large.expect("room again");
    }

    #[tokio::test]
    async fn the_length_is_bounded() {
        let room = BodyLimits::default();
        let over = read(&room, ADMIN_BODY_BYTES_MAX + 1).await;
        assert_eq!(over.err(), Some(413));
    }
}
